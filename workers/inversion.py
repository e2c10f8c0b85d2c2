"""The ``inversion`` stage: each image's nearest point on the generator's manifold [IP Eq. 3]."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from torch import Tensor

from ..core.image_metrics import psnr
from ..core.inversion import Inversion, invert
from ..core.residuals import sketch_residuals
from ..core.settings.definition import build_settings
from ..core.settings.inversion import InversionSettings
from .conditions import condition_tensor
from .generators import shard_generator
from .latent_bank import shared_bank
from .lpips_backbone import shard_distance
from .outcome import Failure, Outcome, Row
from .part_file import Part, read_columns
from .resources import Resources
from .revisions import Computation
from .schema import ListColumn, TableSchema
from .shard import Item, part_path
from .stored_images import stored_images

COMPUTATION = Computation("offmanifold.workers.inversion:compute", "inversion", 3)

# mse is per pixel on [0, 1]; distance is what was minimised; restart_distance has one per finalist
# among the restarts; latent is the best one's, restart_latent those of all finalists, one after the
# other; latent_square is the mean square of the values of the best latent before its polish;
# residual is x - G(latent), averaged over blocks where it has more than 1024 values. evaluations
# counts generator calls of the row: gradients, starts that were judged and products with the
# Jacobian alike, but not the bank's, which are all images' together.
INVERSION_TABLE = TableSchema(
    "inversion",
    5,
    (
        ("mse", pa.float64()),
        ("psnr", pa.float64()),
        ("distance", pa.float64()),
        ("restart_distance", pa.list_(pa.float64())),
        ("latent", pa.list_(pa.float32())),
        ("restart_latent", pa.list_(pa.float32())),
        ("latent_square", pa.float64()),
        ("residual", pa.list_(pa.float32())),
        ("evaluations", pa.int64()),
    ),
    always=("mse", "distance", "latent_square"),
    lists=(
        ListColumn("restart_distance", ("search:finalists",), numbers="any"),
        ListColumn("latent", ("generator:latent",)),
        ListColumn("restart_latent", ("search:finalists", "generator:latent"), numbers="any"),
        ListColumn("residual", ("image:residual",), optional=True),
    ),
)

NO_RECONSTRUCTION = "no finite reconstruction error was found; is the generator's output finite?"
_PARTS_KEPT = 8
_ITEM = ("generator", "condition", "image_id")


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``inversion`` table; an inversion without a finite error is a failure."""
    inversion = inverted_images(items, stored_images(items, resources), settings, resources)
    columns = {
        "mse": inversion.mse.tolist(),
        "psnr": psnr(inversion.mse.cpu().numpy()).tolist(),
        "distance": inversion.distance.tolist(),
        "restart_distance": inversion.restart_distance.tolist(),
        "latent": inversion.latent.tolist(),
        "restart_latent": inversion.restart_latent.flatten(1).tolist(),
        "latent_square": latent_squares(inversion).tolist(),
        "residual": sketch_residuals(inversion.residual).tolist(),
    }
    return [
        _row(item, dict(zip(columns, values, strict=True)), inversion.evaluations)
        for item, *values in zip(items, *columns.values(), strict=True)
    ]


def _row(item: Item, values: Row, evaluations: int) -> Outcome:
    if not math.isfinite(values["mse"]):
        return Failure(NO_RECONSTRUCTION)
    # Only under an image's own class are residuals compared; all classes would make many rows.
    kept = {} if item.condition in (None, item.label) else {"residual": None}
    return {**values, **kept, "evaluations": evaluations}


def inverted_images(
    items: Sequence[Item], images: Tensor, settings: Mapping[str, Any], resources: Resources
) -> Inversion:
    """The inversion of the items' images, whichever they are, from the generator's bank."""
    generator = shard_generator(settings, resources)
    return invert(
        generator,
        images,
        condition_tensor(items, resources.device),
        build_settings(InversionSettings, settings),
        [item.seed for item in items],
        None if settings["distance"] == "mse" else shard_distance(settings, resources),
        shared_bank(generator, settings, resources),
    )


def latent_squares(inversion: Inversion) -> npt.NDArray[np.float64]:
    """|z|^2 / d of each image's best latent before its polish; about 1 for the prior's own."""
    squares: npt.NDArray[np.float64] = inversion.descended.double().square().mean(1).cpu().numpy()
    return squares


def restart_latents(
    item: Item, resources: Resources, table: TableSchema = INVERSION_TABLE
) -> npt.NDArray[np.float32]:
    """The latents of all finalists of the item's inversion, flat; empty where it has none."""
    if item.inversion_part is None:
        return np.empty(0, np.float32)
    return inverted(item, "restart_latent", resources, table)


def inverted(
    item: Item, column: str, resources: Resources, table: TableSchema = INVERSION_TABLE
) -> npt.NDArray[np.float32]:
    """A list of the item's row in the table of its inversion.

    Raises:
        ValueError: the item names no inversion.
        PartError: the row is another item's.
    """
    part = item.inversion_part
    if part is None or item.inversion_row is None:
        raise ValueError(f"item {item.image_id} names no inversion")

    def read() -> list[Row]:
        return read_columns(resources.storage, table, part, [*_ITEM, column]).to_pylist()

    key = (table.name, part, column)
    rows = resources.kept(INVERSION_TABLE.name, key, read, most=_PARTS_KEPT)
    row = rows[item.inversion_row] if item.inversion_row < len(rows) else {}
    wanted = {name: getattr(item, name) for name in _ITEM}
    if {name: row.get(name) for name in _ITEM} != wanted:
        raise Part(part_path(table.name, part), resources.storage.locate()).error(
            f"has image {row.get('image_id')} under class {row.get('condition')} of "
            f"{row.get('generator')} in row {item.inversion_row}, where {item.image_id} under "
            f"class {item.condition} of {item.generator} was planned"
        )
    return np.asarray(row[column], np.float32)
