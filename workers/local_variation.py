"""The ``local_variation`` stage: how much the pixels of each image's patches vary [IP Fig. 7]."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from ..core.patches import local_variation, patch_grid
from .outcome import Outcome
from .resources import Resources
from .revisions import Computation
from .schema import TableSchema
from .shard import Item
from .subjects import simulates_images, subject_images

COMPUTATION = Computation(
    "offmanifold.workers.local_variation:compute", "local_variation", 1, simulates_images
)

# Mean over 8x8 patches of standard deviation / mean, the mean being at least mean_floor.
LOCAL_VARIATION_TABLE = TableSchema(
    "local_variation",
    1,
    (
        ("mean_floor", pa.float64()),
        ("patches", pa.int32()),
        ("covered", pa.float64()),
        ("variation", pa.float64()),
    ),
    always=("variation",),
)


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``local_variation`` table."""
    images = subject_images(items, settings, resources)[0].cpu().numpy()
    grid = patch_grid(*images.shape[2:])
    floor = settings["mean_floor"]
    return [
        {
            "mean_floor": floor,
            "patches": grid.patches,
            "covered": grid.covered,
            "variation": variation,
        }
        for variation in local_variation(images, floor).tolist()
    ]
