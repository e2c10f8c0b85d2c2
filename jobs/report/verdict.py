"""Answers in words: a finding for each group, and the verdict that they make.

Every finding has one of three outcomes: the interval lies on one side of its threshold, on the
other, or holds it, and then these images do not decide. A finding that speaks against the generator
stands only where the same test does not say it of the model's own samples, and where it survives
Holm's correction over all that the report decides.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from scipy import stats

from ..reduce.context import GroupInfo
from .summary import Estimate, p_value_words

Answer = Literal["yes", "no", "undecided"]
Scale = Callable[[float], float]

# A change of the mean by more nats than this when T is doubled is worth a warning.
SETTLED_NATS = 1.0
# The error rate that all decisions of a report share.
ERROR_RATE = 0.05

Tone = Literal["good", "bad", "open"]


@dataclass(frozen=True)
class Side:
    """How the page says which way an answer speaks: a mark, a word, and what the word means."""

    mark: str
    word: str
    meaning: str


SIDES: dict[Tone, Side] = {
    "good": Side("✓", "for", "speaks for the generator"),
    "bad": Side("✗", "against", "speaks against the generator"),
    "open": Side("?", "open", "not decided, or not the same everywhere"),
}

_WORDS: dict[Answer, str] = {"yes": "yes", "no": "no", "undecided": "not decided"}
_NORMAL_95 = 1.959964
_SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z])")


@dataclass(frozen=True)
class Null:
    """What the same test says of the model's own samples, in the place of the data."""

    answer: Answer
    sentence: str


@dataclass(frozen=True)
class Finding:
    """An answer for one group, and the sentence that gives its number and interval.

    Findings that are not ``primary`` are read beside the verdict and do not decide it.
    ``measured`` is the number with its interval and unit in a few words, for the summary on top,
    and ``counted`` the N that it rests on; without them the sentence stands there. ``p_value`` is
    that of the side on which the number lies; None where no test stands behind the answer.
    ``null`` is what the null audit says; None where the spec has none.
    """

    group: str
    answer: Answer
    sentence: str
    primary: bool = True
    measured: str = ""
    counted: str = ""
    p_value: float | None = None
    null: Null | None = None


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
        if self.answered and self.answer == "undecided" and "not decided" not in self.answered:
            return f"Not decided; ahead is {self.answered}"
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
    def told(self) -> tuple[list[str], list[str]]:
        """What each finding says alone, and after it the sentences that several of them share."""
        told = [_SENTENCE_END.split(finding.sentence) for finding in self.findings]
        times = Counter(sentence for each in told for sentence in dict.fromkeys(each))
        own = [" ".join(each for each in sentences if times[each] == 1) for sentences in told]
        return [each for each in own if each], [each for each in times if times[each] > 1]

    @property
    def tone(self) -> Tone:
        """Whether the answer speaks for the generator."""
        if self.answer in ("undecided", "mixed"):
            return "open"
        return "good" if self.answer == self.good else "bad"


def in_a_sentence(generator: str, verdicts: Sequence[Verdict]) -> str:
    """How many answers speak against and for a generator or are open, and which are against it."""
    if not verdicts:
        return f"The stages of this audit answer none of the questions about {generator}."
    by_tone: dict[Tone, list[Verdict]] = {"bad": [], "good": [], "open": []}
    for verdict in verdicts:
        by_tone[verdict.tone].append(verdict)
    named = "; ".join(f"“{each.question}” {each.headline}" for each in by_tone["bad"])
    against = _counted(len(by_tone["bad"]), "speaks against it", "speak against it")
    counted = [
        f"{against} ({named})" if named else against,
        _counted(len(by_tone["good"]), "speaks for it", "speak for it"),
        _counted(len(by_tone["open"]), "is open", "are open"),
    ]
    answers = "one answer" if len(verdicts) == 1 else f"{len(verdicts)} answers"
    return f"Of {answers} about {generator}, {counted[0]}, {counted[1]} and {counted[2]}."


def _counted(count: int, one: str, several: str) -> str:
    if count == 0:
        return f"none {one}"
    return f"{count} {one if count == 1 else several}"


def decide(estimate: Estimate, threshold: float) -> Literal["above", "below", "undecided"]:
    """On which side of the threshold the whole interval lies.

    No interval decides nothing, and neither does one without width.
    """
    if not estimate.low < estimate.high:
        return "undecided"
    if estimate.low > threshold:
        return "above"
    if estimate.high < threshold:
        return "below"
    return "undecided"


def answer_of(estimate: Estimate, threshold: float, yes: Literal["above", "below"]) -> Answer:
    """``yes`` with the whole interval on that side of the threshold, ``no`` on the other."""
    side = decide(estimate, threshold)
    return "undecided" if side == "undecided" else "yes" if side == yes else "no"


def difference(first: Estimate, second: Estimate) -> Estimate:
    """Of two groups' estimates, by the squares of either side's errors (Zou and Donner 2008).

    Where both rest on the same images it is too wide and not too narrow.
    """
    value = first.value - second.value
    low = value - math.hypot(first.value - first.low, second.high - second.value)
    high = value + math.hypot(first.high - first.value, second.value - second.low)
    return Estimate(value, low, high, first.n, first.condition)


def settle_null(
    answer: Answer,
    convicts: Literal["yes", "no"],
    data: Estimate,
    null: Estimate,
    side: Literal["above", "below"],
) -> tuple[Answer, str]:
    """The null's answer, and words for what settled it where its own test had not.

    That one is significant and the other is not does not make two groups differ. So an undecided
    null ``convicts`` as the data do, unless these are shown to lie further to that ``side``.
    """
    if answer != "undecided":
        return answer, ""
    words = "lower" if side == "below" else "higher"
    if decide(difference(data, null), 0.0) == side:
        return "undecided", f"; the data's is {words}"
    return convicts, f"; the data's is not shown to be {words}"


def side_p_value(
    estimate: Estimate, threshold: float, scale: Scale = lambda value: value
) -> float | None:
    """The two-sided p-value of ``threshold`` that the estimate's 95% interval stands for.

    The side of the interval that faces the threshold is taken as 1.96 standard errors, on the
    ``scale`` on which intervals of the kind are symmetric. None without an interval.
    """
    if not estimate.low < estimate.high:
        return None
    value, low, high, at = (
        scale(each) for each in (estimate.value, estimate.low, estimate.high, threshold)
    )
    side = value - low if value > at else high - value
    if math.isinf(value):
        return _separated_p_value(estimate, threshold)
    if side <= 0:
        return None
    return float(2 * stats.norm.sf(abs(value - at) / (side / _NORMAL_95)))


def _separated_p_value(estimate: Estimate, threshold: float) -> float:
    """Of an AUC or a share of 0 or 1, whose bound is that of n images which all agree.

    n is what the bound says, and all agree with a chance of threshold^n. Without a bound, 1.
    """
    bound, at = estimate.low, threshold
    if estimate.value <= 0:
        bound, at = 1 - estimate.high, 1 - threshold
    if bound <= 0:
        return 1.0
    images = math.log(ERROR_RATE / 2) / math.log(bound)
    return min(1.0, 2 * math.pow(at, images))


def bonferroni(p_values: Sequence[float]) -> float:
    """The p-value of several tests together."""
    return min(1.0, len(p_values) * min(p_values))


def fisher(correlation: float) -> float:
    """The scale of correlations; infinite at -1 and 1."""
    return (
        math.copysign(math.inf, correlation) if abs(correlation) >= 1 else math.atanh(correlation)
    )


def logit(share: float) -> float:
    """The scale of AUCs and shares; infinite at 0 and 1."""
    if share <= 0:
        return -math.inf
    return math.inf if share >= 1 else math.log(share / (1 - share))


def log_scale(value: float) -> float:
    """The scale of ratios; minus infinity at 0."""
    return math.log(value) if value > 0 else -math.inf


def own_group_decides(
    findings: Sequence[Finding], group: GroupInfo, of: Callable[[Finding], str]
) -> list[Finding]:
    """The first finding about the question's own group decides.

    A question never moves to another group because the images of its own failed: then nothing is
    decided. ``of`` names the group that a finding is about.
    """
    own = next((found for found in findings if of(found) == group.name), None)
    decided = [replace(found, primary=found is own) for found in findings]
    if own is not None or not findings:
        return decided
    missing = (
        f"There is no result about {group.name} images, which this question needs: they failed, "
        "their own classes are not known, or there are too few of them or of what they are "
        "compared with. Other groups cannot replace them."
    )
    return [Finding(group.name, "undecided", missing), *decided]


def under_null(finding: Finding, good: Literal["yes", "no"]) -> Finding:
    """The finding as the null audit allows it.

    One against the generator does not stand where the same test says it of the model's own samples,
    or where it was not asked of them. What was asked is said either way.
    """
    null = finding.null
    said = "" if null is None else f" {null.sentence}"
    finding = replace(finding, sentence=finding.sentence + said)
    if finding.answer in ("undecided", good):
        return finding
    if null is None:
        reason = (
            " The model's own samples were not put to the same test, and without that nothing "
            "is decided against a model. Add a group for it: `{name: null, role: null, count: "
            "128}` for reconstruction and typicality, role `simulated` for densities, role "
            "`generated` with `conditions: all` for classification and restoration."
        )
    elif null.answer == finding.answer:
        reason = (
            " So the test says the same about a model that is right by construction, and "
            "nothing is decided."
        )
    else:
        return finding
    return replace(finding, answer="undecided", sentence=finding.sentence + reason)


def correct_for_many(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Holm's correction over the primary findings of all questions (Holm 1979).

    A decision whose corrected p-value is above 5% becomes undecided; the others stay. So the chance
    that a report decides anything wrongly is at most 5%, whatever the number of its questions.
    """
    values = [
        finding.p_value
        for verdict in verdicts
        for finding in verdict.findings
        if finding.primary and finding.p_value is not None
    ]
    largest = _holm_threshold(values)
    return [
        replace(
            verdict,
            findings=tuple(
                _corrected(finding, largest, len(values)) for finding in verdict.findings
            ),
        )
        for verdict in verdicts
    ]


def _holm_threshold(p_values: Sequence[float]) -> float:
    """The largest p-value that is rejected; negative where none is."""
    largest = -1.0
    for rank, p_value in enumerate(sorted(p_values)):
        if p_value * (len(p_values) - rank) > ERROR_RATE:
            break
        largest = p_value
    return largest


def _corrected(finding: Finding, largest: float, count: int) -> Finding:
    if not finding.primary or finding.p_value is None or finding.answer == "undecided":
        return finding
    if finding.p_value <= largest:
        return finding
    p_value = p_value_words(finding.p_value)
    remark = (
        f" Alone it would be decided ({p_value}), but not as one of {count} decisions that "
        f"share an error rate of {100 * ERROR_RATE:.0f}%."
        if finding.p_value <= ERROR_RATE
        else f" But a test of all that it rests on gives {p_value}, so nothing is decided."
    )
    return replace(finding, answer="undecided", sentence=finding.sentence + remark)
