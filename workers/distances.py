"""The ``distances`` stage: how far a set of images lies from real ones, in a space of features."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..core.statistics.frechet import Moments, frechet_distance, kernel_distance, moments
from ..core.statistics.manifolds import manifolds
from ..core.statistics.precision_recall import precision_recall_curve
from .kept_features import kept_features
from .outcome import Failure, Outcome
from .resources import Resources
from .revisions import Computation, never
from .schema import TableSchema
from .shard import Item

COMPUTATION = Computation("offmanifold.workers.distances:compute", "distances", 1, never)

MEASURES = (
    "frechet_distance",
    "kernel_distance",
    "manifold_precision",
    "manifold_recall",
    "manifold_density",
    "manifold_coverage",
    "prd_precision",
    "prd_recall",
)
"""FID's and KID's formulas, the means of manifolds, and PRD's F1/8 and F8, in this order."""

# A row is a set of n images, generated or real, against as many real images of the reference.
DISTANCES_TABLE = TableSchema(
    "distances",
    1,
    (
        ("space", pa.string()),
        ("n", pa.int64()),
        *((measure, pa.float64()) for measure in MEASURES),
    ),
    repeated_by=("space",),
    always=MEASURES,
)


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``distances`` table, from the features of two sets of equal size."""
    count = settings["images"]
    reference = resources.kept(
        "reference features",
        (tuple(settings["reference"]), count),
        lambda: _vectors(settings["reference"], count, resources),
        most=1,
    )
    vectors = _vectors(settings["parts"], count, resources)
    for words, found in (("the reference", reference), ("the set", vectors)):
        if len(found) < count:
            failure = Failure(f"{words} has features of {len(found)} images, of {count} needed")
            return [failure for _ in items]
    real = resources.kept(
        "reference moments",
        (tuple(settings["reference"]), count),
        lambda: moments(reference),
        most=1,
    )
    return [_row(vectors, reference, real, settings["space"], item.seed) for item in items]


def _row(
    vectors: np.ndarray, reference: np.ndarray, real: Moments, space: str, seed: int
) -> Outcome:
    each = manifolds(vectors, reference)
    # Of scikit-learn, seeds have 32 bits.
    curve = precision_recall_curve(vectors, reference, seed % 2**31)
    values = (
        frechet_distance(moments(vectors), real),
        kernel_distance(vectors, reference),
        float(each.precise.mean()),
        float(each.recalled.mean()),
        float(each.density.mean()),
        float(each.covered.mean()),
        curve.precision_score,
        curve.recall_score,
    )
    return {"space": space, "n": len(vectors), **dict(zip(MEASURES, values, strict=True))}


def _vectors(parts: Sequence[str], count: int, resources: Resources) -> np.ndarray:
    """The features of the first ``count`` images that have any, of parts in their order."""
    found = [kept_features(part, resources).vectors for part in parts]
    some = [vectors for vectors in found if len(vectors)]
    return np.concatenate(some)[:count] if some else np.empty((0, 0), np.float32)
