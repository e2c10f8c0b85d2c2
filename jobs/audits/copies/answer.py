"""When images are said to be copies, and when not: the rule, for the report and for calibration."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...report.summary import Estimate
from ...report.verdict import ERROR_RATE, Answer, decide, side_p_value

# Fewer copies than this share count as none.
RARE = 0.01
# And only where at least this share of planted copies of each kind is seen.
SEEN = 0.9

Reason = Literal["found", "shared", "no control", "not alike", "loud", "unseen", "rare", "open"]
"""Why: copies are found; held-out images are training images; a control could say nothing; held-out
images are not like training images; the placebo speaks up; planted copies are not seen; fewer than
`RARE` are copies; or the numbers do not decide."""


@dataclass(frozen=True)
class Evidence:
    """What the answer rests on.

    ``p_value`` is that of no copies and ``share`` the estimate of theirs. ``placebo`` is the
    p-value of no copies of what cannot have been copied, ``alike`` that of held-out images lying
    among training images as these among themselves; None where there is no such number.
    ``unseen`` are the kinds of planted copies of which less than `SEEN` are seen. ``shared`` is the
    p-value that hardly any held-out image is a training image.
    """

    p_value: float
    share: Estimate
    placebo: float | None
    alike: float | None
    unseen: Sequence[str]
    shared: float | None = None


def answer_on_copies(evidence: Evidence) -> tuple[Answer, float | None, Reason]:
    """The answer to whether there are copies, the p-value behind it, and why.

    Nothing where held-out images are training images, which hides copies. Yes only if the placebo
    finds no copies where there are none, and held-out images lie among training images as these do.
    No if fewer than `RARE` are, and planted copies are seen.
    """
    if evidence.shared is not None and evidence.shared <= ERROR_RATE:
        return "undecided", evidence.p_value, "shared"
    if evidence.p_value <= ERROR_RATE:
        if evidence.alike is None or evidence.placebo is None:
            return "undecided", evidence.p_value, "no control"
        if evidence.alike <= ERROR_RATE:
            return "undecided", evidence.p_value, "not alike"
        if evidence.placebo <= ERROR_RATE:
            return "undecided", evidence.p_value, "loud"
        return "yes", evidence.p_value, "found"
    if evidence.unseen:
        return "undecided", evidence.p_value, "unseen"
    if decide(evidence.share, RARE) == "below":
        return "no", side_p_value(evidence.share, RARE), "rare"
    return "undecided", evidence.p_value, "open"
