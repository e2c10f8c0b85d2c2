"""The simulations behind docs/intervals.md: every interval of the summary, on data to suit it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from offmanifold.core.statistics.correlation import (
    Kind,
    class_correlations,
    correlation_interval,
    pair_correlations,
)
from offmanifold.core.statistics.interval import Interval
from offmanifold.core.statistics.leads import simultaneous_leads
from offmanifold.core.statistics.means import mean_difference_interval, mean_interval
from offmanifold.core.statistics.medians import median_interval, median_ratio_interval
from offmanifold.core.statistics.outliers import marginal_auc, per_class_auc
from offmanifold.core.statistics.proportions import paired_difference_interval, proportion_interval
from scipy import stats

SIZES = (16, 32, 64, 200)

Generator = np.random.Generator
Sampler = Callable[[Generator, int], np.ndarray]
# Intervals that are to hold at once, each with what it should hold.
Draw = Callable[[Generator], list[tuple[Interval, float]]]


@dataclass(frozen=True)
class Coverage:
    """The share of intervals that hold, of those printed, and the share of samples that got one."""

    covered: float
    printed: float = 1.0

    def __str__(self) -> str:
        if self.printed == 0:
            return "none"
        # More than a few samples without an interval are named.
        aside = f" ({self.printed:.0%} printed)" if self.printed < 0.995 else ""
        return f"{100 * self.covered:.1f}{aside}"


@dataclass(frozen=True)
class Case:
    """A cell of the table: an interval, on what data, and how many images."""

    interval: str
    data: str
    images: str
    measure: Callable[[int], Coverage]


def simulated(draw: Draw) -> Callable[[int], Coverage]:
    """Coverage in so many samples."""

    def measure(replicates: int) -> Coverage:
        rng = np.random.default_rng(2026)
        held = printed = 0
        for _ in range(replicates):
            found = draw(rng)
            if any(np.isnan(each.low) for each, _ in found):
                continue
            printed += 1
            held += all(each.low <= truth <= each.high for each, truth in found)
        return Coverage(held / max(printed, 1), printed / replicates)

    return measure


def one(interval: Interval | None, truth: float) -> list[tuple[Interval, float]]:
    """A single interval; None where there is none."""
    return [(interval or Interval(np.nan, np.nan, np.nan, 0), truth)]


def seed_from(rng: Generator) -> int:
    """A seed of an interval's own resampling."""
    return int(rng.integers(2**31))


def some_low(rng: Generator, n: int) -> np.ndarray:
    """Normal values of which 5% lie 30 standard deviations low."""
    return rng.normal(size=n) - 30 * (rng.random(n) < 0.05)


# Values by name: how they are drawn, their mean and their median.
VALUES: dict[str, tuple[Sampler, float, float]] = {
    "normal": (lambda rng, n: rng.normal(size=n), 0.0, 0.0),
    "t, 5 df": (lambda rng, n: rng.standard_t(5, size=n), 0.0, 0.0),
    "log-normal, s = 1": (lambda rng, n: rng.lognormal(0, 1, n), np.exp(0.5), 1.0),
    "log-normal, s = 1.5": (lambda rng, n: rng.lognormal(0, 1.5, n), np.exp(1.125), 1.0),
    "5% of images 30 sd low": (some_low, -1.5, float(stats.norm.ppf((0.5 - 0.05) / 0.95))),
    "whole numbers (Poisson, mean 3)": (lambda rng, n: 1.0 * rng.poisson(3, n), 3.0, 3.0),
}


def means() -> Iterator[Case]:
    """Means, differences of two and leads."""
    for data, (draw, mean, _) in VALUES.items():
        for n in SIZES:
            yield Case("mean", data, str(n), simulated(_mean(draw, mean, n)))
    for data, other in (("normal, sd 1 and 3", "normal"), ("log-normal, s = 1, and normal", "")):
        for n in SIZES:
            yield Case("difference of means", data, str(n), simulated(_difference(bool(other), n)))
    for data in ("normal", "log-normal, s = 1"):
        for ahead in (0.0, 5.0):
            name = f"5 groups, {data}, {'one far ahead' if ahead else 'equal'}"
            for n in SIZES:
                leads = _leads(VALUES[data][0], ahead, n)
                yield Case("leads, all at once", name, str(n), simulated(leads))


def _mean(sample: Sampler, truth: float, n: int) -> Draw:
    return lambda rng: one(mean_interval(sample(rng, n), seed_from(rng)), truth)


def _difference(normal: bool, n: int) -> Draw:
    def draw(rng: Generator) -> list[tuple[Interval, float]]:
        first = rng.normal(size=n) if normal else rng.lognormal(size=n)
        second = rng.normal(0, 3 if normal else 1, n)
        truth = 0.0 if normal else float(np.exp(0.5))
        return one(mean_difference_interval(first, second, seed_from(rng)), truth)

    return draw


def _leads(sample: Sampler, ahead: float, n: int) -> Draw:
    def draw(rng: Generator) -> list[tuple[Interval, float]]:
        groups = {str(g): sample(rng, n) + ahead * (g == 0) for g in range(5)}
        truth = {name: ahead * (name == "0") for name in groups}
        found = simultaneous_leads(groups, seed_from(rng))
        return [(each, truth[found.leader] - truth[name]) for name, each in found.over.items()]

    return draw


def medians() -> Iterator[Case]:
    """Medians and ratios of two."""
    for data, (sample, _, truth) in VALUES.items():
        for n in SIZES:
            yield Case("median", data, str(n), simulated(_median(sample, truth, n)))
    for data, spread in (("log-normal, s = 1", 1.0), ("log-normal, s = 1 and 0.3", 0.3)):
        for name, sizes in [*((str(n), (n, n)) for n in SIZES), ("100 and 40", (100, 40))]:
            yield Case("ratio of medians", data, name, simulated(_ratio(spread, *sizes)))


def _median(sample: Sampler, truth: float, n: int) -> Draw:
    return lambda rng: one(median_interval(sample(rng, n)), truth)


def _ratio(spread: float, n: int, m: int) -> Draw:
    return lambda rng: one(
        median_ratio_interval(rng.lognormal(0, 1, n), rng.lognormal(1, spread, m)),
        float(np.exp(-1)),
    )


def proportions() -> Iterator[Case]:
    """Proportions and paired differences, by enumeration."""
    for share in (0.5, 0.9, 0.95, 0.99):
        for n in SIZES:
            yield Case("proportion", f"{share}", str(n), _proportion(share, n))
    for differing in (0.05, 0.1, 0.2):
        for points in (-2, 0, 2):
            data = f"{points:+d} points, {differing:.0%} of images differ"
            for n in SIZES:
                yield Case("paired difference", data, str(n), _paired(differing, points / 100, n))


def _proportion(share: float, n: int) -> Callable[[int], Coverage]:
    def measure(_: int) -> Coverage:
        found = [proportion_interval(k, n) for k in range(n + 1)]
        held = [each.low <= share <= each.high for each in found]
        return Coverage(float(stats.binom.pmf(np.arange(n + 1), n, share)[held].sum()))

    return measure


def _paired(differing: float, difference: float, n: int) -> Callable[[int], Coverage]:
    def measure(_: int) -> Coverage:
        chances = [(differing + difference) / 2, (differing - difference) / 2, 1 - differing]
        most = int(stats.binom.isf(1e-5, n, differing))
        counts = np.array([(b, c) for b in range(most + 1) for c in range(most + 1 - b)])
        chance = stats.multinomial.pmf(np.column_stack([counts, n - counts.sum(1)]), n, chances)
        found = [paired_difference_interval(int(b), int(c), n) for b, c in counts]
        held = [each.low - 1e-9 <= difference <= each.high + 1e-9 for each in found]
        return Coverage(float(chance[held].sum() / chance.sum()))

    return measure


def _far_apart(rng: Generator, auc: float, n: int) -> np.ndarray:
    """A few outliers that look like inliers, and others out of reach."""
    return rng.normal(size=n) + 100 * (rng.random(n) > 2 * (1 - auc))


# Outliers' scores against inliers that are standard normal, of a given AUC.
OUTLIERS: dict[str, Callable[[Generator, float, int], np.ndarray]] = {
    "normal": lambda rng, auc, n: rng.normal(np.sqrt(2) * stats.norm.ppf(auc), 1, n),
    "outliers three times as wide": lambda rng, auc, n: rng.normal(
        np.sqrt(10) * stats.norm.ppf(auc), 3, n
    ),
    "some outliers like inliers, the others apart": _far_apart,
}


def aucs() -> Iterator[Case]:
    """AUCs of one score an image, and means over classes."""
    pairs = [*((f"{n}", (n, n)) for n in SIZES), ("100 and 40", (100, 40))]
    for data in OUTLIERS:
        for auc in (0.5, 0.7, 0.9, 0.97, 0.998):
            for name, sizes in pairs:
                yield Case("AUC", f"{auc}, {data}", name, simulated(_auc(data, auc, *sizes)))
    for own in (False, True):
        data = "each outlier under one class" if own else "outliers under all 10 classes"
        for auc in (0.5, 0.7, 0.9, 0.97, 0.998):
            for name, sizes in pairs:
                draw = _class_auc(own, auc, *sizes)
                yield Case("mean AUC over classes", f"{auc}, {data}", name, simulated(draw))


def _auc(data: str, auc: float, n: int, m: int) -> Draw:
    return lambda rng: one(
        marginal_auc(rng.normal(size=n), OUTLIERS[data](rng, auc, m)).interval, auc
    )


def _class_auc(own: bool, auc: float, n: int, m: int) -> Draw:
    """Ten classes whose AUCs differ; an outlier's scores under them have a correlation of 0.5."""
    shift = np.sqrt(2) * stats.norm.ppf(auc) + np.linspace(-0.8, 0.8, 10)
    truth = float(stats.norm.cdf(shift / np.sqrt(2)).mean())
    label = np.arange(n) % 10

    def draw(rng: Generator) -> list[tuple[Interval, float]]:
        scores = shift + np.sqrt(0.5) * (rng.normal(size=(m, 1)) + rng.normal(size=(m, 10)))
        if own:
            scores[np.arange(10) != np.arange(m)[:, None] % 10] = np.nan
        return one(per_class_auc(rng.normal(size=n), label, scores).interval, truth)

    return draw


def correlated(rng: Generator, rho: float, shape: tuple[int, int], heavy: bool) -> np.ndarray:
    """Images [n, columns] with the same correlation of all columns; t of 5 df where ``heavy``."""
    common = np.sqrt(rho) * rng.normal(size=(shape[0], 1))
    values: np.ndarray = common + np.sqrt(1 - rho) * rng.normal(size=shape)
    return values / np.sqrt(rng.chisquare(5, (shape[0], 1)) / 5) if heavy else values


def true_correlation(kind: Kind, rho: float, heavy: bool) -> float:
    """Pearson's is rho; Spearman's of the normal is known, that of t is taken from many values."""
    if kind == "pearson":
        return rho
    if not heavy:
        return float(6 / np.pi * np.arcsin(rho / 2))
    many = correlated(np.random.default_rng(0), rho, (1_000_000, 2), heavy)
    return float(stats.spearmanr(many).statistic)


def correlations() -> Iterator[Case]:
    """Single correlations, means over classes and means over pairs of classes."""
    kinds: tuple[Kind, ...] = ("pearson", "spearman")
    for kind in kinds:
        for heavy in (False, True):
            tail = "joint t, 5 df" if heavy else "normal"
            for rho in (0.0, 0.5, 0.9):
                truth = true_correlation(kind, rho, heavy)
                for n in SIZES:
                    for name, draw in (
                        (f"{kind} correlation", _correlation(kind, rho, heavy, n, truth)),
                        (f"mean {kind} over 4 classes", _by_class(kind, rho, heavy, n, truth)),
                        (
                            f"mean {kind} over 4 classes of own images",
                            _by_own_class(kind, rho, heavy, n, truth),
                        ),
                        (f"mean {kind} over pairs", _by_pair(kind, rho, heavy, n, truth)),
                    ):
                        yield Case(name, f"{rho}, {tail}", str(n), simulated(draw))


def _correlation(kind: Kind, rho: float, heavy: bool, n: int, truth: float) -> Draw:
    def draw(rng: Generator) -> list[tuple[Interval, float]]:
        first, second = correlated(rng, rho, (n, 2), heavy).T
        return one(correlation_interval(first, second, kind), truth)

    return draw


def _by_class(kind: Kind, rho: float, heavy: bool, n: int, truth: float) -> Draw:
    """Every image under all four classes, each of which adds noise of its own to both scores."""

    def draw(rng: Generator) -> list[tuple[Interval, float]]:
        both = [correlated(rng, rho, (n, 2), heavy) for _ in range(4)]
        first, second = (np.stack([pair[:, side] for pair in both], 1) for side in (0, 1))
        found = class_correlations(first, second, kind)
        return one(None if found is None else found.mean, truth)

    return draw


def _by_own_class(kind: Kind, rho: float, heavy: bool, n: int, truth: float) -> Draw:
    """Every image under one of four classes, which differ in level."""

    def draw(rng: Generator) -> list[tuple[Interval, float]]:
        pair = correlated(rng, rho, (n, 2), heavy)
        first, second = np.full((2, n, 4), np.nan)
        own = np.arange(n) % 4
        first[np.arange(n), own], second[np.arange(n), own] = pair.T + 9.0 * own
        found = class_correlations(first, second, kind)
        return one(None if found is None else found.mean, truth)

    return draw


def _by_pair(kind: Kind, rho: float, heavy: bool, n: int, truth: float) -> Draw:
    return lambda rng: one(pair_correlations(correlated(rng, rho, (n, 4), heavy), kind).mean, truth)


def cases() -> Iterator[Case]:
    """Every cell of the tables."""
    for part in (means, medians, proportions, aucs, correlations):
        yield from part()
