"""Plain words on how far the likelihood estimates can be trusted."""

from ..reduce.context import GeneratorInfo, ReduceContext
from .summary import Summary, number
from .verdicts import SETTLED_NATS


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


def convergence_warnings(
    summary: Summary, context: ReduceContext, generator: GeneratorInfo
) -> list[str]:
    """A warning for every group whose estimate still changes when the transitions are doubled."""
    warnings = []
    for group in context.groups:
        keys = {"generator": generator.name, "group": group.name}
        change = summary.find("doubling_change", **keys)
        largest = summary.find("doubling_change_max", **keys)
        if change is None or largest is None or abs(change.value) <= SETTLED_NATS:
            continue
        warning = (
            f"{group.name}: ln p changes by {change.text()} nats on average, and by "
            f"{number(largest.value)} at most, when the transitions are doubled (N = {change.n}). "
            "The estimate is a lower bound that has not settled here; the true density may be "
            "higher by several times this change."
        )
        if group.role == "outlier":
            warning += (
                " An outlier's posterior has several modes, and chains that all miss the best one "
                "agree with each other: neither their spread nor the sandwich gap shows it. A "
                "finding that these outliers are denser than the data is thereby conservative; a "
                "finding that they are less dense is weakened."
            )
        warnings.append(warning)
    return warnings
