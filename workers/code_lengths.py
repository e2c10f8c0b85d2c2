"""The ``code_lengths`` stage: how many bits each image takes without loss, by PNG's coder."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..core.code_length import code_lengths
from ..core.quantisation import EIGHT_BIT_LEVELS
from .outcome import Failure, Outcome
from .resources import Resources
from .revisions import Computation
from .schema import TableSchema
from .shard import Item
from .subjects import simulates_images, subject_images
from .usable_images import NOT_FINITE

COMPUTATION = Computation(
    "offmanifold.workers.code_lengths:compute", "code_lengths", 1, simulates_images
)

# code_length is in bits, of the image's values rounded to so many levels of [0, 1].
CODE_LENGTHS_TABLE = TableSchema(
    "code_lengths",
    1,
    (("levels", pa.int32()), ("code_length", pa.float64())),
    always=("code_length",),
)


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``code_lengths`` table: each image on the grey levels of the data, at most 256.

    Observation noise may leave [0, 1]; it is cut off there.
    """
    images = subject_images(items, settings, resources)[0].cpu().numpy().astype(np.float64)
    finite = [bool(np.isfinite(image).all()) for image in images]
    levels = min(settings["levels"] or EIGHT_BIT_LEVELS, EIGHT_BIT_LEVELS)
    numbers = np.rint(images[finite].clip(0, 1) * (levels - 1)).astype(np.int64)
    bits = iter(code_lengths(numbers).tolist() if len(numbers) else [])
    return [
        {"levels": levels, "code_length": next(bits)} if is_finite else Failure(NOT_FINITE)
        for is_finite in finite
    ]
