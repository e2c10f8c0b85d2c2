"""Which group does the generator find most likely?"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ....reduce.schema import MARGINAL, OWN
from ....report.summary import Estimate, number
from ....report.verdict import (
    Answer,
    Finding,
    Null,
    Verdict,
    answer_of,
    decide,
    difference,
    side_p_value,
)
from ....report.view import View
from ....report.words import BOUND
from ...convergence.gates import replicates, replicates_agree
from ..outliers.questions import (
    REMAINING_ERROR_FACTOR,
    moving_changes,
    unknown_remark,
)

EVERY_GROUP = "density_lead"
GIVEN_GROUPS = "density_lead_given"


@dataclass(frozen=True)
class Lead:
    """The likeliest group, its lead over each other one, the nearest first, in nats.

    ``contenders`` are the groups of which these images do not say which one leads.
    """

    leader: str
    over: dict[str, Estimate]
    contenders: list[str]

    @property
    def runner_up(self) -> str:
        """The group with the next lower mean."""
        return next(iter(self.over))

    @property
    def words(self) -> str:
        """The leader, or those that may be it."""
        if len(self.contenders) == 1:
            return self.leader
        return ", ".join(self.contenders[:-1]) + f" or {self.contenders[-1]} (not decided)"


def likeliest_group(view: View) -> Verdict | None:
    """The ranking of the groups by mean ln p under one condition; the data should lead outliers."""
    every = find_lead(view, EVERY_GROUP)
    given = find_lead(view, GIVEN_GROUPS)
    if every is None:
        return None
    findings = [_finding(view, every, "All groups")]
    answered = every.words
    if given is not None and given.leader != every.leader:
        first = _finding(view, given, "Without the model's own images")
        both = f"{_ahead(every)}; without the model's own images {_ahead(given)}"
        findings = [replace(first, measured=both), replace(findings[0], primary=False)]
        answered = f"{every.words}; among the images it did not make: {given.words}"
    return Verdict(
        "likeliest",
        "Which group does the generator find most likely?",
        "yes",
        tuple(findings),
        section="density",
        answered=answered,
    )


def find_lead(view: View, metric: str) -> Lead | None:
    """The lead that the summary gives under ``metric``; None without two groups to compare."""
    order = [group.name for group in view.context.groups]
    leader = next((name for name in order if view.against(metric, name)), None)
    if leader is None:
        return None
    leads: dict[str, Estimate] = {}
    for other in view.against(metric, leader):
        found = view.find(metric, leader, against=other)
        if found is not None:
            leads[other] = found
    over = dict(sorted(leads.items(), key=lambda lead: lead[1].value))
    may_lead = [leader] + [
        name for name, lead in over.items() if not _decided(view, leader, name, lead)
    ]
    return Lead(leader, over, sorted(may_lead, key=order.index))


def _decided(view: View, leader: str, other: str, lead: Estimate) -> bool:
    """Whether the interval excludes 0 by more than what other seeds or doubled settings change."""
    if decide(lead, 0.0) != "above" or not replicates_agree(view, other, lead.low):
        return False
    moving = moving_changes(view, other, leader)
    rises = [change.value - leading.value for change, leading in moving.values()]
    return all(rise * REMAINING_ERROR_FACTOR <= lead.value for rise in rises)


def _finding(view: View, lead: Lead, pool: str) -> Finding:
    outliers = {group.name for group in view.context.with_role("outlier")}
    leading = {name in outliers for name in lead.contenders}
    rival = _rival(lead, outliers)
    answer: Answer = "no" if True in leading else "yes"
    if len(leading) > 1 or rival is None:
        answer = "undecided"
    nearest = lead.over[lead.runner_up]
    ranking = [lead.leader, *lead.over]
    means = {name: view.find("log_likelihood_mean", name, nearest.condition) for name in ranking}
    counts = [str(found.n) for found in list(means.values())[:2] if found is not None]
    counted = f"N = {' and '.join(counts)}"
    listed = ", ".join(
        name if found is None else f"{name} {found.text(4)}" for name, found in means.items()
    )
    sentence = (
        f"{pool}, from the most likely to the least, mean ln p in nats: {listed} "
        f"({_density_words(nearest.condition)}, {counted} for the first two; "
        f"{BOUND}). {_ahead(lead)}."
    )
    if len(lead.contenders) > 1:
        sentence += (
            f" These images and settings do not decide between {' and '.join(lead.contenders)}."
        )
        sentence += "".join(_withheld_words(view, lead))
    if rival is None:
        kind = "else than outliers has" if lead.leader in outliers else "of the outliers has"
        sentence += f" Nothing {kind} densities to hold against these, so nothing is decided."
    elif answer != "undecided":
        sentence += unknown_remark(view, lead.leader, rival)
    return Finding(
        pool.lower(),
        answer,
        sentence,
        measured=_ahead(lead),
        counted=counted,
        p_value=None if rival is None else side_p_value(lead.over[rival], 0.0),
        null=_null(view, lead, outliers),
    )


def _withheld_words(view: View, lead: Lead) -> Iterator[str]:
    """Of each contender that would not be one but for its replicates."""
    for name in lead.contenders:
        over, found = lead.over.get(name), replicates(view, name)
        if over is None or found is None or decide(over, 0.0) != "above":
            continue
        if not replicates_agree(view, name, over.low):
            yield (
                f" Estimates of {name} images with other seeds differ by up to "
                f"{number(found.apart)} nats, so that their place is withheld until replicates "
                "agree."
            )


def _rival(lead: Lead, outliers: set[str]) -> str | None:
    """The nearest group of the other kind than the leader: outliers, or anything else."""
    others = (name for name in lead.over if (name in outliers) != (lead.leader in outliers))
    return next(others, None)


def _null(view: View, lead: Lead, outliers: set[str]) -> Null | None:
    """Whether the likeliest outliers lead the model's own samples as well.

    Asked of these two groups alone: noise-free images that lead both say nothing of it. Where the
    samples are too few to say, they count as the data do unless they are denser than these.
    """
    samples = next((group.name for group in view.context.with_role("simulated")), None)
    likeliest = next((name for name in (lead.leader, *lead.over) if name in outliers), None)
    data = [group.name for group in view.context.with_role("train", "test")]
    nearest = next((name for name in (lead.leader, *lead.over) if name in data), None)
    condition = lead.over[lead.runner_up].condition
    means = [
        view.find("log_likelihood_mean", name, condition) for name in (likeliest, samples, nearest)
    ]
    if means[0] is None or means[1] is None:
        return None
    ahead = difference(means[0], means[1])
    # Where outliers lead the model's own samples, the data need not lead outliers either.
    answer = answer_of(ahead, 0.0, yes="below")
    sentence = (
        f"The mean ln p of {likeliest} minus that of the model's own samples ({samples}) is "
        f"{ahead.text()} nats"
    )
    if answer == "undecided":
        denser = means[2] is not None and (decide(difference(means[1], means[2]), 0.0) == "above")
        answer = "undecided" if denser else "no"
        shown = "denser" if denser else "not shown to be denser"
        sentence += f"; these are {shown} than {nearest or 'the data'}"
    return Null(answer, f"{sentence}.")


def _ahead(lead: Lead) -> str:
    nearest = lead.over[lead.runner_up]
    return f"{lead.leader} leads {lead.runner_up} by {nearest.text()} nats of mean ln p"


def _density_words(condition: str | None) -> str:
    return {MARGINAL: "marginal density", OWN: "each image under its own class"}.get(
        condition or "", "one density"
    )
