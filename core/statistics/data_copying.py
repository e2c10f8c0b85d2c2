"""C_T and authenticity: two published numbers of copying, each beside what honest images give.

Neither has the null that its paper states. They are reported as descriptions, never as verdicts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import stats

from ..settings.statistics import MINIMUM_RESAMPLES
from .interval import check_sample

# A cell counts with at least so many images of both kinds (Meehan et al. use 20 generated ones).
_FEWEST_IN_CELL = 20
_BLOCK_ELEMENTS = 2_000_000


@dataclass(frozen=True)
class DataCopying:
    """C_T, far below 0 for a generator that copies, and its law without copies.

    ``deviation`` is its standard deviation under exchanged labels (1 is what its paper supposes),
    ``p_value`` the share of exchanges that give as little; ``cells`` were used.
    """

    value: float
    deviation: float
    p_value: float
    cells: int


def data_copying(
    generated: Float64[np.ndarray, " images"],
    generated_cell: Int64[np.ndarray, " images"],
    held_out: Float64[np.ndarray, " held"],
    held_out_cell: Int64[np.ndarray, " held"],
    seed: int,
    *,
    sets: int = MINIMUM_RESAMPLES,
) -> DataCopying | None:
    """C_T of Meehan, Chaudhuri and Dasgupta (2020), with its null simulated; None without a cell.

    ``generated`` and ``held_out`` are distances to the nearest training image of the same cell. C_T
    is the mean over cells, by their share of held-out images, of Mann and Whitney's Z: (U - m n /
    2) / sqrt(m n (m + n + 1) / 12), U the number of pairs in which the generated image is farther
    away, half of equal ones. The null exchanges "generated" and "held out" within each cell.

    Raises:
        ValueError: no distances, or a nan.
    """
    check_sample("generated", generated)
    check_sample("held_out", held_out)
    rng = np.random.default_rng(seed)
    observed, null, weights = [], [], []
    for cell in np.unique(held_out_cell):
        mine, theirs = generated[generated_cell == cell], held_out[held_out_cell == cell]
        m, n = len(mine), len(theirs)
        if min(m, n) < _FEWEST_IN_CELL:
            continue
        ranks = stats.rankdata(np.concatenate([mine, theirs]))
        observed.append(_z(ranks[:m].sum(), m, n))
        null.append(_z(np.concatenate(list(_exchanged(rng, ranks, m, sets))), m, n))
        weights.append(n)
    if not weights:
        return None
    share = np.array(weights) / sum(weights)
    value, drawn = float(share @ np.array(observed)), share @ np.stack(null)
    p_value = (1 + int(np.sum(drawn <= value + 1e-9))) / (1 + sets)
    return DataCopying(value, float(drawn.std(ddof=1)), p_value, len(weights))


def _exchanged(
    rng: np.random.Generator, ranks: np.ndarray, m: int, sets: int
) -> Iterator[np.ndarray]:
    """Sums of ``m`` ranks drawn without replacement, block by block."""
    rows = max(1, _BLOCK_ELEMENTS // len(ranks))
    for start in range(0, sets, rows):
        every = np.tile(ranks, (min(rows, sets - start), 1))
        yield rng.permuted(every, axis=1)[:, :m].sum(axis=1)


def _z(rank_sum: Float64[np.ndarray, "*sets"] | float, m: int, n: int) -> np.ndarray:
    u = np.asarray(rank_sum) - m * (m + 1) / 2
    return np.asarray((u - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12))


def authentic(
    nearest: Int64[np.ndarray, " images"],
    distance: Float64[np.ndarray, " images"],
    training_distance: Float64[np.ndarray, " training"],
) -> Bool[np.ndarray, " images"]:
    """Which images are farther from their nearest training image than that is from its own nearest.

    Alaa et al. (2022), Section 4.2. ``nearest`` and ``distance`` say which training image is an
    image's nearest and how near, ``training_distance`` is each training image's to its nearest
    other one. The share of honest images depends on the data: state that of held-out ones beside.
    """
    return np.asarray(distance > training_distance[nearest])
