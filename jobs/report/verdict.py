"""Answers in words: a finding for each group, and the verdict that they make.

Every finding has one of three outcomes: the interval lies on one side of its threshold, on the
other, or holds it, and then these images do not decide.
"""

from dataclasses import dataclass, replace
from typing import Literal

from .summary import Estimate

Answer = Literal["yes", "no", "undecided"]

# A change of the mean by more nats than this when T is doubled is worth a warning.
SETTLED_NATS = 1.0

_WORDS: dict[Answer, str] = {"yes": "yes", "no": "no", "undecided": "not decided"}


@dataclass(frozen=True)
class Finding:
    """An answer for one group, and the sentence that gives its number and interval.

    Findings that are not ``primary`` are read beside the verdict and do not decide it.
    ``measured`` is the number with its interval and unit in a few words, for the summary on top,
    and ``counted`` the N that it rests on; without them the sentence stands there.
    """

    group: str
    answer: Answer
    sentence: str
    primary: bool = True
    measured: str = ""
    counted: str = ""


@dataclass(frozen=True)
class Verdict:
    """A question with its findings. ``good`` is the answer that speaks for the generator.

    ``section`` is the key of the report's section that answers it at length. ``answered`` is the
    answer in words to a question that is not of yes and no.
    """

    key: str
    question: str
    good: Literal["yes", "no"]
    findings: tuple[Finding, ...]
    section: str = ""
    answered: str = ""

    @property
    def answer(self) -> Answer | Literal["mixed"]:
        """The answer that all primary findings share; mixed where they do not."""
        answers = {finding.answer for finding in self.findings if finding.primary}
        return answers.pop() if len(answers) == 1 else "mixed"

    @property
    def headline(self) -> str:
        """The answer in a few words."""
        if self.answered:
            return self.answered
        if self.answer == "mixed":
            words = ", ".join(
                f"{_WORDS[finding.answer]} for {finding.group}"
                for finding in self.findings
                if finding.primary
            )
        else:
            words = _WORDS[self.answer]
        return words[0].upper() + words[1:]

    @property
    def tone(self) -> Literal["good", "bad", "open"]:
        """Whether the answer speaks for the generator."""
        if self.answer in ("undecided", "mixed"):
            return "open"
        return "good" if self.answer == self.good else "bad"


def decide(estimate: Estimate, threshold: float) -> Literal["above", "below", "undecided"]:
    """On which side of the threshold the whole interval lies; no interval decides nothing."""
    if estimate.low > threshold:
        return "above"
    if estimate.high < threshold:
        return "below"
    return "undecided"


def first_decides(findings: list[Finding]) -> list[Finding]:
    """The first finding decides: the training images under the strictest test there is."""
    return [replace(finding, primary=index == 0) for index, finding in enumerate(findings)]
