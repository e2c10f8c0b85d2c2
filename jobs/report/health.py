"""Plain words on how far the likelihood estimates can be trusted."""

from ..reduce.context import GeneratorInfo, ReduceContext
from .summary import Estimate, Summary, number
from .verdict import SETTLED_NATS


def sandwich_sentences(summary: Summary, context: ReduceContext, generator: str) -> list[str]:
    """What the gap between upper and lower bound certifies, per simulated group."""
    sentences = []
    for group in context.with_role("simulated"):
        keys = {"generator": generator, "group": group.name}
        nats = summary.find("sandwich_gap", **keys)
        bits = summary.find("sandwich_gap_bits_per_dim", **keys)
        if nats is not None and bits is not None:
            sentences.append(
                f"On {nats.n} images simulated from the model, whose latents are known, an upper "
                f"bound lies {nats.text()} nats ({bits.text()} bits per dimension) above the "
                "estimate on average, with the true ln p between them in expectation. This "
                "certificate speaks for the model's own images only."
            )
    return sentences


def unsettled(
    summary: Summary, context: ReduceContext, generator: GeneratorInfo
) -> dict[str, tuple[Estimate, Estimate]]:
    """Mean and largest change, by group, where doubling the transitions still moves ln p."""
    found = {}
    for group in context.groups:
        keys = {"generator": generator.name, "group": group.name}
        change = summary.find("doubling_change", **keys)
        largest = summary.find("doubling_change_max", **keys)
        if change is not None and largest is not None and abs(change.value) > SETTLED_NATS:
            found[group.name] = (change, largest)
    return found


def convergence_line(
    summary: Summary, context: ReduceContext, generator: GeneratorInfo
) -> str | None:
    """The groups that still change when the transitions are doubled, in one line."""
    moving = unsettled(summary, context, generator)
    if not moving:
        return None
    named = ", ".join(f"{group} {change.text(2)}" for group, (change, _) in moving.items())
    return (
        f"not settled: mean change of ln p with twice the transitions, nats: {named}; "
        "the report says what this does to the verdicts"
    )


def convergence_warnings(
    summary: Summary, context: ReduceContext, generator: GeneratorInfo
) -> list[str]:
    """What the changes mean: for the estimates, and for findings about outliers."""
    moving = unsettled(summary, context, generator)
    if not moving:
        return []
    named = "; ".join(
        f"{group} {change.text()}, at most {number(largest.value)} (N = {change.n})"
        for group, (change, largest) in moving.items()
    )
    warnings = [
        f"With twice the transitions ln p changes, in nats, on average by: {named}. The estimates "
        "are lower bounds that have not settled for these groups; the true densities may be "
        "higher by several times the change."
    ]
    outliers = [group.name for group in context.with_role("outlier") if group.name in moving]
    if outliers:
        warnings.append(
            f"This concerns outliers ({', '.join(outliers)}). An outlier's posterior has several "
            "modes, and chains that all miss the best one agree with each other: neither their "
            "spread nor the sandwich gap shows it. A finding that these outliers are denser than "
            "the data is thereby conservative; a finding that they are less dense is weakened."
        )
    return warnings
