"""What changes mean: for the estimates, and for findings about outliers."""

import math

from ....core.statistics.convergence import FEWEST_BOUNDED
from ...report.summary import number
from ...report.verdict import SETTLED_NATS
from ...report.view import View
from .gates import Doubling, Gate, doublings, replicates
from .reduce import PROBE_NATS

Changes = dict[str, Doubling]


def changes_of(gate: Gate, view: View) -> dict[str, Changes]:
    """The doublings that come out at this gate, by what was doubled and by group."""
    found: dict[str, Changes] = {}
    for group in view.context.groups:
        for varied, doubling in doublings(view, group.name).items():
            if doubling.gate == gate:
                found.setdefault(varied, {})[group.name] = doubling
    return found


def convergence_line(view: View) -> str | None:
    """The groups that still change when a setting is doubled, in one line."""
    named = [
        f"with twice the {varied} "
        + ", ".join(f"{group} {change.mean.text(2)}" for group, change in changes.items())
        for varied, changes in changes_of("moving", view).items()
    ]
    if not named:
        return None
    return (
        f"not settled: mean change of ln p, nats: {'; '.join(named)}; "
        "the report says what this does to the verdicts"
    )


def convergence_warnings(view: View) -> list[str]:
    """What the changes mean: for the estimates, and for findings about outliers."""
    moving = changes_of("moving", view)
    warnings = []
    for varied, changes in moving.items():
        named = "; ".join(f"{group} {_change_words(change)}" for group, change in changes.items())
        warnings.append(
            f"With twice the {varied} ln p of the {view.estimator_prefix}estimator changes, "
            f"in nats, on average by: {named}. The estimates are lower bounds that "
            "have not settled for these groups; the true densities may be higher by several times "
            "the change."
        )
    warnings += _unknown_warnings(view)
    restless = {group for changes in moving.values() for group in changes}
    outliers = [group.name for group in view.context.with_role("outlier") if group.name in restless]
    if outliers:
        warnings.append(
            f"This concerns outliers ({', '.join(outliers)}). An outlier's posterior has several "
            "modes, and chains that all miss the best one agree with each other: neither their "
            "spread nor the sandwich gap shows it. A finding of the "
            f"{view.estimator_prefix}estimator that these outliers are denser than the data is "
            "therefore conservative; a finding that they are less dense is weakened."
        )
    return warnings


def replicate_warnings(view: View) -> list[str]:
    """The groups whose replicates differ by more than a nat, and those a probe bettered."""
    warnings = []
    found = {group.name: replicates(view, group.name) for group in view.context.groups}
    named = "; ".join(
        f"{group} {each.median.text()} in the median, the largest {number(each.largest.value)} "
        f"(N = {each.mean.n})"
        for group, each in found.items()
        if each is not None and each.apart >= SETTLED_NATS
    )
    if named:
        warnings.append(
            f"Two {view.estimator_prefix}estimates of the same images with other seeds differ, in "
            f"nats, by: {named}. Verdicts that this could overturn are withheld."
        )
    shares = {
        group: share for group, share in view.by_group("probe_found_share").items() if share.value
    }
    if shares:
        named = "; ".join(
            f"{group} {share.scaled(100).fixed(0)}% (N = {share.n})"
            for group, share in shares.items()
        )
        warnings.append(
            f"A second search of another law found evidence of {number(PROBE_NATS)} nats or more "
            f"that the first had missed, on images of: {named}. Their estimates are low by as much."
        )
    return warnings


def _change_words(change: Doubling) -> str:
    bound = ""
    if not math.isnan(change.high.value):
        bound = f", all but a tenth of the images at most {number(change.high.value)}"
    largest = number(change.largest.value)
    return f"{change.mean.text()}{bound}, the largest {largest} (N = {change.mean.n})"


def _unknown_warnings(view: View) -> list[str]:
    unknown = changes_of("unknown", view)
    named = "; ".join(
        f"with twice the {varied} "
        + ", ".join(f"{group} (N = {change.mean.n})" for group, change in changes.items())
        for varied, changes in unknown.items()
    )
    if not named:
        return []
    return [
        "Too few images were estimated again to say whether the "
        f"{view.estimator_prefix}estimates have settled: {named}. It takes "
        f"{FEWEST_BOUNDED} to bound the change of all but a tenth of a group by "
        f"{number(SETTLED_NATS)} nat."
    ]
