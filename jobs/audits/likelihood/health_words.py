"""Plain words on how far the likelihood estimates can be trusted.

Every function speaks of the estimator of the summary that it is given.
"""

import math

from ...reduce.context import GeneratorInfo, ReduceContext
from ...report.summary import Estimate, Summary, number
from ...report.verdict import SETTLED_NATS
from ..convergence.gates import FEWEST_BOUNDED, Doubling, Gate, doublings

Changes = dict[str, Doubling]


def sandwich_sentences(summary: Summary, context: ReduceContext, generator: str) -> list[str]:
    """What the gap between upper and lower bound certifies, per simulated group."""
    sentences = []
    for group in context.with_role("simulated"):
        keys = {"generator": generator, "group": group.name}
        nats = summary.find("sandwich_gap", **keys)
        bits = summary.find("sandwich_gap_bits_per_dim", **keys)
        middle = summary.find("sandwich_gap_median", **keys)
        if nats is not None and bits is not None:
            typical = "" if middle is None else f" and {middle.text()} nats in the median"
            sentences.append(
                f"On {nats.n} images simulated from the model, whose latents are known, an upper "
                f"bound lies {nats.text()} nats ({bits.text()} bits per dimension) above the "
                f"{_named(summary)}estimate on average{typical}, with the true ln p between them "
                "in expectation. This certificate speaks for the model's own images only."
            )
    return sentences


def certificate_line(
    summary: Summary, context: ReduceContext, generator: GeneratorInfo
) -> str | None:
    """The sandwich gap of the first simulated group, in one line."""
    for group in context.with_role("simulated"):
        keys = {"generator": generator.name, "group": group.name}
        gap = summary.find("sandwich_gap", **keys)
        middle = summary.find("sandwich_gap_median", **keys)
        if gap is not None:
            typical = "" if middle is None else f", in the median {middle.text()}"
            return (
                f"on images simulated from the model the two bounds on ln p lie {gap.text()} nats "
                f"apart on average{typical} (N = {gap.n})"
            )
    return None


def chain_sentences(
    summary: Summary, context: ReduceContext, generator: GeneratorInfo
) -> list[str]:
    """What the chains say: how they agree, where the best started, and how many rows settled."""
    sentences = []
    shares = _by_group("best_chain_share", summary, context, generator)
    if shares:
        group = max(shares, key=lambda name: shares[name].value)
        sentences.append(
            f"The best chain of a {_named(summary)}estimate carries "
            f"{shares[group].fixed(2)} of its weight on {group} images, the most of any group; "
            "where that is near 1, one chain decides and the others do not confirm it."
        )
    return [
        *sentences,
        *_prior_sentences(summary, context, generator),
        *_settled_sentences(summary, context, generator),
    ]


def changes_of(
    gate: Gate, summary: Summary, context: ReduceContext, generator: GeneratorInfo
) -> dict[str, Changes]:
    """The doublings that come out at this gate, by what was doubled and by group."""
    found: dict[str, Changes] = {}
    for group in context.groups:
        for varied, doubling in doublings(summary, generator, group.name).items():
            if doubling.gate == gate:
                found.setdefault(varied, {})[group.name] = doubling
    return found


def convergence_line(
    summary: Summary, context: ReduceContext, generator: GeneratorInfo
) -> str | None:
    """The groups that still change when a setting is doubled, in one line."""
    named = [
        f"with twice the {varied} "
        + ", ".join(f"{group} {change.mean.text(2)}" for group, change in changes.items())
        for varied, changes in changes_of("moving", summary, context, generator).items()
    ]
    if not named:
        return None
    return (
        f"not settled: mean change of ln p, nats: {'; '.join(named)}; "
        "the report says what this does to the verdicts"
    )


def convergence_warnings(
    summary: Summary, context: ReduceContext, generator: GeneratorInfo
) -> list[str]:
    """What the changes mean: for the estimates, and for findings about outliers."""
    moving = changes_of("moving", summary, context, generator)
    warnings = []
    for varied, changes in moving.items():
        named = "; ".join(f"{group} {_change_words(change)}" for group, change in changes.items())
        warnings.append(
            f"With twice the {varied} ln p of the {_named(summary)}estimator changes, in nats, on "
            f"average by: {named}. The estimates are lower bounds that have not settled for these "
            "groups; the true densities may be higher by several times the change."
        )
    warnings += _unknown_warnings(summary, context, generator)
    restless = {group for changes in moving.values() for group in changes}
    outliers = [group.name for group in context.with_role("outlier") if group.name in restless]
    if outliers:
        warnings.append(
            f"This concerns outliers ({', '.join(outliers)}). An outlier's posterior has several "
            "modes, and chains that all miss the best one agree with each other: neither their "
            f"spread nor the sandwich gap shows it. A finding of the {_named(summary)}estimator "
            "that these outliers are denser than the data is thereby conservative; a finding that "
            "they are less dense is weakened."
        )
    return warnings


def _change_words(change: Doubling) -> str:
    bound = ""
    if not math.isnan(change.high.value):
        bound = f", all but a tenth of the images at most {number(change.high.value)}"
    largest = number(change.largest.value)
    return f"{change.mean.text()}{bound}, the largest {largest} (N = {change.mean.n})"


def _unknown_warnings(
    summary: Summary, context: ReduceContext, generator: GeneratorInfo
) -> list[str]:
    unknown = changes_of("unknown", summary, context, generator)
    named = "; ".join(
        f"with twice the {varied} "
        + ", ".join(f"{group} (N = {change.mean.n})" for group, change in changes.items())
        for varied, changes in unknown.items()
    )
    if not named:
        return []
    return [
        f"Too few images were estimated again to say whether the {_named(summary)}estimates have "
        f"settled: {named}. It takes {FEWEST_BOUNDED} to bound the change of all but a tenth of a "
        f"group by {number(SETTLED_NATS)} nat."
    ]


def _prior_sentences(
    summary: Summary, context: ReduceContext, generator: GeneratorInfo
) -> list[str]:
    shares = _by_group("prior_won_share", summary, context, generator)
    if not shares:
        return []
    group = max(shares, key=lambda name: shares[name].value)
    if shares[group].value == 0:
        return ["The best chain never started from the prior: always from a mode that was found."]
    return [
        f"The best chain had started from the prior, and not from a mode that the search found, "
        f"in {shares[group].scaled(100).fixed(0)}% of the estimates on {group} images, the most of "
        "any group: where this is common, the search misses what makes these images likely."
    ]


def _settled_sentences(
    summary: Summary, context: ReduceContext, generator: GeneratorInfo
) -> list[str]:
    shares = _by_group("settled_share", summary, context, generator)
    if not shares:
        return []
    group = min(shares, key=lambda name: shares[name].value)
    if shares[group].value == 1:
        return [f"Every {_named(summary)}estimate settled within the tolerance of the spec."]
    return [
        f"Of the {_named(summary)}estimates on {group} images "
        f"{shares[group].scaled(100).fixed(0)}% settled within the tolerance of the spec, the "
        "fewest of any group; the others stopped at its cap."
    ]


def _by_group(
    metric: str, summary: Summary, context: ReduceContext, generator: GeneratorInfo
) -> dict[str, Estimate]:
    found = {
        group.name: summary.find(metric, generator=generator.name, group=group.name)
        for group in context.groups
    }
    return {group: estimate for group, estimate in found.items() if estimate is not None}


def _named(summary: Summary) -> str:
    return "" if summary.estimator is None else f"{summary.estimator} "
