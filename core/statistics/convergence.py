"""How many transitions annealed importance sampling needs, from its sandwich gap."""

from collections.abc import Mapping
from dataclasses import dataclass

from .bootstrap import Interval


@dataclass(frozen=True)
class Recommendation:
    """``transitions`` to use, None where none of those tried will do.

    ``gap`` is the mean sandwich gap in nats at that number, or at the largest number tried.
    """

    transitions: int | None
    gap: Interval


def recommend_transitions(gaps: Mapping[int, Interval], tolerance: float) -> Recommendation:
    """The smallest number of transitions whose sandwich gap is under ``tolerance`` nats.

    The gap of an image simulated from the model is its upper minus its lower bound on ln p
    (Grosse et al. 2015); ``gaps`` holds the mean over images by number of transitions. A gap counts
    as under the tolerance when the upper end of its interval is: a mean alone would be met by luck.
    One image gives no interval, and so no recommendation.

    Raises:
        ValueError: no gaps, or a tolerance that is not positive.
    """
    if not gaps:
        raise ValueError("gaps is empty: a recommendation needs at least one number of transitions")
    if not tolerance > 0:
        raise ValueError(f"tolerance = {tolerance}: expected a positive number of nats")
    for transitions in sorted(gaps):
        if gaps[transitions].high < tolerance:
            return Recommendation(transitions, gaps[transitions])
    return Recommendation(None, gaps[max(gaps)])
