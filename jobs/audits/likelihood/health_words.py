"""Plain words on how far the likelihood estimates can be trusted.

Every function speaks of the estimator of the summary that it is given.
"""

from ...reduce.context import GeneratorInfo, ReduceContext
from ...report.summary import Estimate, Summary, estimator_prefix


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
                f"{estimator_prefix(summary)}estimate on average{typical}, with the true ln p "
                "between them in expectation. This certificate speaks for the model's own images "
                "only."
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
            f"The best chain of a {estimator_prefix(summary)}estimate carries "
            f"{shares[group].fixed(2)} of its weight on {group} images, the most of any group; "
            "where that is near 1, one chain decides and the others do not confirm it."
        )
    return [
        *sentences,
        *_prior_sentences(summary, context, generator),
        *_settled_sentences(summary, context, generator),
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
        return [
            f"Every {estimator_prefix(summary)}estimate settled within the tolerance of the spec."
        ]
    return [
        f"Of the {estimator_prefix(summary)}estimates on {group} images "
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
