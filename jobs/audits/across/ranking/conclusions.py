"""Which groups may be the likeliest."""

from ....report.conclusion import Conclusion, Conclusions
from ....report.view import View
from .question import EVERY_GROUP, GIVEN_GROUPS, find_lead


def conclude_likeliest(view: View) -> Conclusions:
    """By the groups that may lead the ranking."""
    found = {}
    for metric, pool in ((EVERY_GROUP, "all groups"), (GIVEN_GROUPS, "images not its own")):
        lead = find_lead(view, metric)
        if lead is not None:
            nearest = lead.over[lead.runner_up]
            found[f"likeliest of {pool}, lead in nats"] = Conclusion(nearest, lead.words)
    return found
