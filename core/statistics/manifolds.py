"""Precision, recall, density and coverage: sets of images as unions of balls of features."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from .l2 import pair_distances, products, rounding, rows_at_once, squared_norms
from .neighbour_lists import nearest_lists

_ROWS = 1024
_ELEMENTS = 8_000_000
# The nearest neighbour that is a ball's radius: Kynkaanniemi et al.'s and Naeem et al.'s choice.
PRECISION_NEIGHBOUR = 3
DENSITY_NEIGHBOUR = 5


@dataclass(frozen=True)
class Manifolds:
    """One value per image, each set's mean its measure.

    ``precise`` says of a generated image whether it lies in a real one's ball, ``recalled`` of a
    real one whether in a generated one's (Kynkaanniemi et al. 2019, Eq. 1, k = 3, boundaries
    inside). ``density`` is the number of real balls that a generated image lies in, over k, and
    ``covered`` says of a real image whether a generated one lies in its ball (Naeem et al. 2020,
    Section 3, k = 5, boundaries outside).
    """

    precise: Bool[np.ndarray, " generated"]
    recalled: Bool[np.ndarray, " real"]
    density: Float64[np.ndarray, " generated"]
    covered: Bool[np.ndarray, " real"]


def manifolds(
    generated: Float[np.ndarray, "generated features"], real: Float[np.ndarray, "real features"]
) -> Manifolds:
    """All four of two sets of features.

    A copy lies in a ball whatever its radius: precision and density reward copying. All depend on
    both numbers of images: compare at equal N, and with real images against real ones.

    Raises:
        ValueError: too few images for a radius, or a value that is not finite.
    """
    fewest = DENSITY_NEIGHBOUR + 1
    if min(len(generated), len(real)) < fewest:
        raise ValueError(
            f"{len(generated)} generated and {len(real)} real images: expected at least {fewest}"
        )
    radii = _radii(real, DENSITY_NEIGHBOUR)
    precise_radius, dense_radius = radii[:, PRECISION_NEIGHBOUR - 1], radii[:, -1]
    recall_radius = _radii(generated, PRECISION_NEIGHBOUR)[:, -1]
    precise = _in_balls(generated, real, precise_radius, inside=True) > 0
    recalled = _in_balls(real, generated, recall_radius, inside=True) > 0
    inside = _in_balls(generated, real, dense_radius, inside=False)
    nearest = nearest_lists(real, generated, 1).distance[:, 0]
    return Manifolds(precise, recalled, inside / DENSITY_NEIGHBOUR, nearest < dense_radius)


def _radii(vectors: np.ndarray, k: int) -> np.ndarray:
    return nearest_lists(vectors, vectors, k, np.arange(len(vectors))).distance


def _in_balls(
    points: np.ndarray, centres: np.ndarray, radius: np.ndarray, *, inside: bool
) -> Int64[np.ndarray, " points"]:
    """In how many balls each point lies, points of the boundary ``inside`` or not."""
    found = np.zeros(len(points), np.int64)
    norms, centre_norms = squared_norms(points), squared_norms(centres)
    factor = points.astype(np.float32, copy=False)
    centre_factor = centres.astype(np.float32, copy=False)
    step = rows_at_once(_ROWS, _ELEMENTS, points)
    for start in range(0, len(points), step):
        rows = slice(start, start + step)
        for other in range(0, len(centres), step):
            columns = slice(other, other + step)
            scores = products(factor[rows], centre_factor[columns]).astype(np.float64)
            # Above 0 outside of the ball, below inside, as far as rounding lets one say.
            scores = norms[rows][:, None] - 2 * scores
            scores += centre_norms[columns] - radius[columns] ** 2
            error = rounding(norms[rows], float(centre_norms[columns].max()), points.shape[1])
            found[rows] += np.count_nonzero(scores < -error[:, None], axis=1)
            row, column = np.nonzero(np.abs(scores) <= error[:, None])
            distance = pair_distances(points[rows], row, centres[columns], column)
            limit = radius[columns][column]
            within = distance <= limit if inside else distance < limit
            found[rows] += np.bincount(row[within], minlength=len(scores))
    return found
