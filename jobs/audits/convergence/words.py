"""What changes mean: for the estimates, and for findings about outliers."""

from collections.abc import Iterable

from ....core.statistics.convergence import FEWEST_BOUNDED
from ...report.summary import number
from ...report.verdict import SETTLED_NATS
from ...report.view import View
from .gates import Doubling, Gate, Replicates, doublings, replicates
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
    if moving:
        change, group, varied = max(
            (
                (change.mean, group, varied)
                for varied, changes in moving.items()
                for group, change in changes.items()
            ),
            key=lambda each: abs(each[0].value),
        )
        named = "; ".join(f"the {varied}: {_listed(changes)}" for varied, changes in moving.items())
        warnings.append(
            f"With twice a setting ln p still changes. Twice {named}. The largest mean change is "
            f"{change.text()} nats ({group}, {varied}, N = {change.n}). Estimates are lower "
            "bounds: the true densities of these groups may be higher by several times the change."
        )
    warnings += _unknown_warnings(view)
    restless = {group for changes in moving.values() for group in changes}
    outliers = [group.name for group in view.context.with_role("outlier") if group.name in restless]
    if outliers:
        warnings.append(
            f"This concerns outliers ({_listed(outliers)}). An outlier's posterior has several "
            "modes, and chains that all miss the best one agree: neither their spread nor the "
            "sandwich gap shows it. A finding that these outliers are denser than the data is "
            "therefore conservative; a finding that they are less dense is weakened."
        )
    return warnings


def replicate_warnings(view: View) -> list[str]:
    """The groups whose replicates differ by more than a nat, and those a probe bettered."""
    warnings = []
    apart = _apart(view)
    if apart:
        most = max(apart, key=lambda group: apart[group].apart)
        found = apart[most]
        warnings.append(
            f"Estimates of the same images with other seeds differ by {number(SETTLED_NATS)} nat "
            f"or more: {_listed(apart)}. The most those of {most}: by {found.median.text()} nats "
            f"in the median, the largest {number(found.largest.value)} (N = {found.mean.n}). "
            "Verdicts that this could overturn are withheld."
        )
    shares = {
        group: share for group, share in view.by_group("probe_found_share").items() if share.value
    }
    if shares:
        most = max(shares, key=lambda group: shares[group].value)
        share = shares[most]
        warnings.append(
            f"A second search of another law found evidence of {number(PROBE_NATS)} nats or more "
            f"that the first had missed, on images of {_listed(shares)}; most often of {most}, "
            f"{share.scaled(100).fixed(0)}% (N = {share.n}). Their estimates are low by as much."
        )
    return warnings


def comparison_warnings(view: View) -> list[str]:
    """The groups that have not settled under an estimator that no verdict rests on."""
    warnings = []
    _, *others = view.by_estimator()
    for each in others:
        moving = {
            group for changes in changes_of("moving", each).values() for group in changes
        } | set(_apart(each))
        restless = [group.name for group in view.context.groups if group.name in moving]
        if restless:
            warnings.append(
                f"The {each.estimator_prefix}estimates, which no verdict rests on, have not "
                f"settled, or differ with other seeds: {_listed(restless)}."
            )
    return warnings


def _apart(view: View) -> dict[str, Replicates]:
    """The groups whose replicates differ by a nat or more."""
    found = {group.name: replicates(view, group.name) for group in view.context.groups}
    return {
        group: each
        for group, each in found.items()
        if each is not None and each.apart >= SETTLED_NATS
    }


def _listed(groups: Iterable[str]) -> str:
    return ", ".join(groups)


def _unknown_warnings(view: View) -> list[str]:
    unknown = changes_of("unknown", view)
    if not unknown:
        return []
    named = "; ".join(
        f"with twice the {varied} {_listed(changes)}" for varied, changes in unknown.items()
    )
    sizes = {change.mean.n for changes in unknown.values() for change in changes.values()}
    counted = " to ".join(str(n) for n in sorted({min(sizes), max(sizes)}))
    return [
        "Too few images were estimated again to say whether these have settled "
        f"(N = {counted}; it takes {FEWEST_BOUNDED} to bound the change of all but a tenth of a "
        f"group by {number(SETTLED_NATS)} nat): {named}."
    ]
