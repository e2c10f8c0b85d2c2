"""The group with the highest mean, and by how much it leads each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float64

from ..settings.statistics import MINIMUM_RESAMPLES
from .interval import CONFIDENCE, Interval, check_confidence, check_resamples, check_sample
from .means import MINIMUM_IMAGES_OF_A_MEAN, Moments, moments, resampled_moments, studentised

# The share of an interval's error that may go into telling which groups could lead.
_SCREENING = 0.02


@dataclass(frozen=True)
class Leads:
    """The group of the highest mean, and its mean minus that of each other group."""

    leader: str
    over: dict[str, Interval]


def simultaneous_leads(
    groups: Mapping[str, Float64[np.ndarray, " _"]],
    seed: int,
    *,
    resamples: int = MINIMUM_RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Leads:
    """Leads of the group with the highest mean; with ``confidence`` all intervals hold at once.

    The leader is chosen from the data, so that a plain interval of a lead would be for the luckiest
    of the groups. These are the leader's among intervals for all pairs that a leader could be in:
    the difference of means plus or minus c standard errors, c the quantile of the largest
    studentised difference over those pairs in resamples of every group (bootstrap-t). A group could
    lead if it lies no further behind than a 99.9% interval for all pairs allows: where all means
    are equal this is Tukey's interval, where one is far ahead Dunnett's, and which group leads
    cannot matter.

    Groups without an interval of their mean (see :func:`.means.mean_interval`) have none here, and
    do not count among the pairs. ``n`` counts the images of the leader.

    Raises:
        ValueError: no groups, an empty one, a value that is nan, or too few resamples.
    """
    if not groups:
        raise ValueError("groups is empty: a lead needs at least one group")
    for name, values in groups.items():
        check_sample(name, values)
    check_resamples(resamples)
    check_confidence(confidence)
    leader = max(groups, key=lambda name: float(groups[name].mean()))
    streams = np.random.default_rng(seed).spawn(len(groups))
    drawn = {
        name: resampled_moments(values, stream, resamples)
        for (name, values), stream in zip(groups.items(), streams, strict=True)
        if len(values) >= MINIMUM_IMAGES_OF_A_MEAN
    }
    known = {name: each for name, each in drawn.items() if each.varies(confidence)}
    observed = {name: moments(groups[name]) for name in known}
    width = _standard_errors(known, observed, leader, confidence) if leader in known else np.nan
    over = {}
    for name, values in groups.items():
        if name == leader:
            continue
        lead = float(groups[leader].mean() - values.mean())
        half = np.nan
        if leader in known and name in known:
            half = float(width * np.sqrt(observed[leader].minus(observed[name]).variance))
        over[name] = Interval(lead, lead - half, lead + half, len(groups[leader]))
    return Leads(leader, over)


def _standard_errors(
    drawn: Mapping[str, Moments],
    observed: Mapping[str, Moments],
    leader: str,
    confidence: float,
) -> float:
    """How many standard errors hold the leader's leads at once; nan where it has none."""
    ratios = {}
    for a, b in combinations(drawn, 2):
        around = observed[a].minus(observed[b]).mean
        ratios[a, b] = np.abs(studentised(drawn[a].minus(drawn[b]), around))
    if not ratios:
        return np.nan
    wide = _quantile_of_largest(list(ratios.values()), 1 - (1 - confidence) * _SCREENING)
    possible = set()
    for name in drawn:
        lead = observed[leader].minus(observed[name])
        if lead.mean <= wide * np.sqrt(lead.variance):
            possible.add(name)
    kept = [ratio for pair, ratio in ratios.items() if possible & set(pair)]
    return _quantile_of_largest(kept, confidence)


def _quantile_of_largest(ratios: list[np.ndarray], confidence: float) -> float:
    largest = np.sort(np.max(ratios, axis=0))
    return float(largest[-1 - int(len(largest) * (1 - confidence))])
