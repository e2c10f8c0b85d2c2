"""The group with the highest mean, and by how much it leads each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float64

from .bootstrap import MINIMUM_RESAMPLES, Interval, check_confidence, check_resamples, check_sample
from .means import MINIMUM_IMAGES_OF_A_MEAN, Moments, moments, resampled_moments, studentised


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
    confidence: float = 0.95,
) -> Leads:
    """Leads of the group with the highest mean; with ``confidence`` all intervals hold at once.

    The leader is chosen from the data, so that a plain interval of a lead would be for the luckiest
    of the groups. These are the leader's among intervals for all pairs of groups at once: the
    difference of means plus or minus c standard errors, c the quantile of the largest studentised
    difference over all pairs in resamples of every group (a Tukey interval by bootstrap-t). Which
    group leads then cannot matter. They are the more conservative the clearer the leader is: with 5
    groups 95% where all means are equal, 97% where one is far ahead.

    Groups without an interval of their mean (see :func:`.means.mean_interval`) have none here, and
    do not count among the pairs. ``n`` counts the images of the leader.

    Raises:
        ValueError: no groups, an empty one, a value that is nan, or too few resamples.
    """
    if not groups:
        raise ValueError("groups is empty: a lead needs a group that leads")
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
    means = {name: float(groups[name].mean()) for name in known}
    width = _standard_errors(known, means, confidence)
    over = {}
    for name, values in groups.items():
        if name == leader:
            continue
        lead = float(groups[leader].mean() - values.mean())
        half = np.nan
        if leader in known and name in known:
            error = np.sqrt(moments(groups[leader]).minus(moments(values)).variance)
            half = float(width * error)
        over[name] = Interval(lead, lead - half, lead + half, len(groups[leader]))
    return Leads(leader, over)


def _standard_errors(
    drawn: Mapping[str, Moments], means: Mapping[str, float], confidence: float
) -> float:
    """How many standard errors hold all pairs' differences at once; nan where there is no pair."""
    ratios = [
        np.abs(studentised(drawn[a].minus(drawn[b]), np.asarray(means[a] - means[b])))
        for a, b in combinations(drawn, 2)
    ]
    if not ratios:
        return np.nan
    largest = np.sort(np.max(ratios, axis=0))
    return float(largest[-1 - int(len(largest) * (1 - confidence))])
