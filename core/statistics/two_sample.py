"""Do two groups of numbers have one distribution? Permutation tests of their means and shapes.

For log densities under a fitted observation variance: an error of the variance moves all densities
of one group against those of the other, by the same amount. The test of the means allows for such a
shift; that of the shapes does not see it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from ..settings.statistics import MINIMUM_RESAMPLES

_BLOCK_ELEMENTS = 2_000_000


@dataclass(frozen=True)
class Shift:
    """A shift that the first group may have: its standard error, and that one's own degrees.

    ``freedom`` are the degrees of freedom that the standard error was estimated with.
    """

    standard_error: float = 0.0
    freedom: float = np.inf


NO_SHIFT = Shift()


@dataclass(frozen=True)
class TwoSampleTest:
    """P-values of equal means, two-sided, and of equal shapes about the mean."""

    p_mean: float
    p_shape: float

    @property
    def p_value(self) -> float:
        """That of both together, by Bonferroni."""
        return min(1.0, 2 * min(self.p_mean, self.p_shape))


def energy_distance(
    first: Float64[np.ndarray, "*sets first"], second: Float64[np.ndarray, "*sets second"]
) -> np.ndarray:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| = 2 int (F - G)^2 of each set [*sets].

    Szekely and Rizzo (2004); of one dimension, so by sorting.
    """
    values = np.concatenate([first, second], axis=-1)
    n, m = first.shape[-1], second.shape[-1]
    step = np.concatenate([np.full(n, 1 / n), np.full(m, -1 / m)])
    order = np.argsort(values, axis=-1)
    ordered = np.take_along_axis(values, order, axis=-1)
    difference = np.cumsum(step[order], axis=-1)[..., :-1]
    return np.asarray(2 * np.sum(difference**2 * np.diff(ordered, axis=-1), axis=-1))


def compare_samples(
    first: Float64[np.ndarray, " first"],
    second: Float64[np.ndarray, " second"],
    seed: int,
    *,
    shift: Shift = NO_SHIFT,
    failed: int = 0,
    sets: int = MINIMUM_RESAMPLES,
) -> TwoSampleTest:
    """Permutation tests of equal means, and of equal shapes by the energy distance.

    Groups are drawn without replacement from both together. For the means each is moved by a draw
    of the shift: without one, that test is exact. For the shapes every group, drawn or observed, is
    centred on its mean. With ``failed`` images of the first group, whose values nobody knows, the
    larger of the p-values with all of them at the lower and at the upper end of all values.

    Raises:
        ValueError: fewer than two values in a group, or one that is not finite.
    """
    for name, values in (("first", first), ("second", second)):
        if len(values) < 2 or not np.isfinite(values).all():
            raise ValueError(
                f"{name} holds {len(values)} values: a comparison needs at least two, all finite"
            )
    if not failed:
        return _compare(first, second, seed, shift, sets)
    both = np.concatenate([first, second])
    ends = [
        _compare(np.append(first, np.full(failed, end)), second, seed, shift, sets)
        for end in (both.min(), both.max())
    ]
    return TwoSampleTest(max(end.p_mean for end in ends), max(end.p_shape for end in ends))


def _compare(
    first: np.ndarray, second: np.ndarray, seed: int, shift: Shift, sets: int
) -> TwoSampleTest:
    rng = np.random.default_rng(seed)
    pooled, n = np.concatenate([first, second]), len(first)
    centred = np.concatenate([_centred(first), _centred(second)])
    rows = max(1, _BLOCK_ELEMENTS // len(pooled))
    means, distances = [], []
    for start in range(0, sets, rows):
        count = min(rows, sets - start)
        order = rng.permuted(np.tile(np.arange(len(pooled)), (count, 1)), axis=1)
        drawn, shapes = pooled[order], centred[order]
        moved = shift.standard_error * _deviates(rng, shift.freedom, count)
        means.append(drawn[:, :n].mean(axis=1) - drawn[:, n:].mean(axis=1) + moved)
        distances.append(energy_distance(_centred(shapes[:, :n]), _centred(shapes[:, n:])))
    observed = abs(float(first.mean() - second.mean()))
    return TwoSampleTest(
        _p_value(np.abs(np.concatenate(means)), observed),
        _p_value(
            np.concatenate(distances), float(energy_distance(_centred(first), _centred(second)))
        ),
    )


def _centred(values: np.ndarray) -> np.ndarray:
    centred: np.ndarray = values - values.mean(axis=-1, keepdims=True)
    return centred


def _deviates(rng: np.random.Generator, freedom: float, count: int) -> np.ndarray:
    if np.isinf(freedom):
        return rng.standard_normal(count)
    return rng.standard_t(freedom, count)


def _p_value(null: np.ndarray, observed: float) -> float:
    """The share of sets that are as extreme, the observed one among them: never zero."""
    slack = 1e-12 * max(1.0, abs(observed))
    return float((1 + np.sum(null >= observed - slack)) / (1 + len(null)))
