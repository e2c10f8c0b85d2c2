"""Which group does the generator find most likely?"""

from dataclasses import dataclass, replace

from ..reduce.context import GeneratorInfo, ReduceContext
from ..reduce.schema import MARGINAL, OWN
from .outlier_questions import REMAINING_ERROR_FACTOR, moving_changes
from .summary import Estimate, Summary
from .verdict import Answer, Finding, Null, Verdict, decide, side_p_value

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


def likeliest_group(
    context: ReduceContext, summary: Summary, generator: GeneratorInfo
) -> Verdict | None:
    """The ranking of the groups by mean ln p under one condition; the data should lead outliers."""
    every = find_lead(context, summary, generator, EVERY_GROUP)
    given = find_lead(context, summary, generator, GIVEN_GROUPS)
    if every is None:
        return None
    null = _null(context, every)
    findings = [replace(_finding(context, summary, generator, every, "All groups"), null=null)]
    answered = every.words
    if given is not None and given.leader != every.leader:
        first = _finding(context, summary, generator, given, "Without the model's own images")
        both = f"{_ahead(every)}; without the model's own images {_ahead(given)}"
        findings = [replace(first, measured=both, null=null), replace(findings[0], primary=False)]
        answered = f"{every.words}; of the images it did not make: {given.words}"
    return Verdict(
        "likeliest",
        "Which group does the generator find most likely?",
        "yes",
        tuple(findings),
        section="density",
        answered=answered,
    )


def find_lead(
    context: ReduceContext, summary: Summary, generator: GeneratorInfo, metric: str
) -> Lead | None:
    """The lead that the summary gives under ``metric``; None without two groups to compare."""
    rows = [
        row
        for row in summary.rows(metric)
        if row["metric"] == metric
        and row["generator"] == generator.name
        and row["estimator"] in (None, summary.estimator)
    ]
    if not rows:
        return None
    leader = str(rows[0]["group"])
    leads: dict[str, Estimate] = {}
    for row in rows:
        other = str(row["against"])
        found = summary.find(metric, generator=generator.name, group=leader, against=other)
        if found is not None:
            leads[other] = found
    over = dict(sorted(leads.items(), key=lambda lead: lead[1].value))
    may_lead = [leader] + [
        name for name, lead in over.items() if not _decided(summary, generator, leader, name, lead)
    ]
    order = [group.name for group in context.groups]
    return Lead(leader, over, sorted(may_lead, key=order.index))


def _decided(
    summary: Summary, generator: GeneratorInfo, leader: str, other: str, lead: Estimate
) -> bool:
    """Whether the interval excludes 0, and what doubling a setting still changes is too little."""
    if not lead.low > 0:
        return False
    moving = moving_changes(summary, generator, other, leader)
    rises = [change.value - leading.value for change, leading in moving.values()]
    return all(rise * REMAINING_ERROR_FACTOR <= lead.value for rise in rises)


def _finding(
    context: ReduceContext, summary: Summary, generator: GeneratorInfo, lead: Lead, pool: str
) -> Finding:
    outliers = {group.name for group in context.with_role("outlier")}
    leading = {name in outliers for name in lead.contenders}
    answer: Answer = "undecided" if len(leading) > 1 else "no" if True in leading else "yes"
    nearest = lead.over[lead.runner_up]
    ranking = [lead.leader, *lead.over]
    means = {
        name: summary.find(
            "log_likelihood_mean",
            generator=generator.name,
            group=name,
            conditions=(nearest.condition,),
        )
        for name in ranking
    }
    counts = [str(found.n) for found in list(means.values())[:2] if found is not None]
    counted = f"N = {' and '.join(counts)}"
    listed = ", ".join(
        name if found is None else f"{name} {found.text(4)}" for name, found in means.items()
    )
    sentence = (
        f"{pool}, from the most likely to the least, mean ln p in nats: {listed} "
        f"({_density_words(nearest.condition)}, {counted} for the first two). {_ahead(lead)}."
    )
    if len(lead.contenders) > 1:
        sentence += (
            f" These images and settings do not decide between {' and '.join(lead.contenders)}."
        )
    return Finding(
        pool.lower(),
        answer,
        sentence,
        measured=_ahead(lead),
        counted=counted,
        p_value=_p_value(lead, outliers),
    )


def _p_value(lead: Lead, outliers: set[str]) -> float | None:
    """Of no lead over the nearest group of the other kind: outliers, or anything else."""
    for name, over in lead.over.items():
        if (name in outliers) != (lead.leader in outliers):
            return side_p_value(over, 0.0)
    return None


def _null(context: ReduceContext, every: Lead) -> Null | None:
    """Whether an outlier leads the model's own samples as well."""
    samples = [group.name for group in context.with_role("simulated")]
    outliers = [group.name for group in context.with_role("outlier")]
    if not samples or not outliers:
        return None
    if every.leader in outliers and samples[0] in every.over:
        lead = every.over[samples[0]]
        ahead = decide(lead, 0.0) == "above"
        sentence = (
            f"{every.leader} also leads the model's own samples ({samples[0]}) by {lead.text()} "
            "nats."
        )
        return Null("no" if ahead else "undecided", sentence)
    return Null("yes", f"No outliers lead the model's own samples ({samples[0]}).")


def _ahead(lead: Lead) -> str:
    nearest = lead.over[lead.runner_up]
    return f"{lead.leader} leads {lead.runner_up} by {nearest.text()} nats of mean ln p"


def _density_words(condition: str | None) -> str:
    return {MARGINAL: "marginal density", OWN: "each image under its own class"}.get(
        condition or "", "one density"
    )
