"""Which groups may be the likeliest."""

from ....reduce.context import GeneratorInfo, ReduceContext
from ....report.conclusion import Conclusion, Conclusions
from ....report.summary import Summary
from .question import EVERY_GROUP, GIVEN_GROUPS, find_lead


def conclude_likeliest(
    context: ReduceContext, summary: Summary, generator: GeneratorInfo
) -> Conclusions:
    """By the groups that may lead the ranking."""
    found = {}
    for metric, pool in ((EVERY_GROUP, "all groups"), (GIVEN_GROUPS, "images not its own")):
        lead = find_lead(context, summary, generator, metric)
        if lead is not None:
            nearest = lead.over[lead.runner_up]
            found[f"likeliest of {pool}, lead in nats"] = Conclusion(nearest.text(), lead.words)
    return found
