"""What a comparison found, in a sentence for each pair of sides."""

from collections.abc import Sequence

from .classes import class_sentences
from .pairing import Difference
from .runs import Comparison
from .side_by_side import DIFFERENCES, differs, first_conditions, in_words, is_equal


def comparison_sentences(comparison: Comparison) -> list[str]:
    """Each later side's paired differences from the first; what classifiers say of all sides."""
    first, *others = comparison.sides
    shown = first_conditions(comparison)
    paired = [
        _sentence(
            f"{other.letter} ({other.generator.name})",
            f"{first.letter} ({first.generator.name})",
            comparison,
            [each for each in shown if each.second == other.letter],
        )
        for other in others
    ]
    return [*paired, *class_sentences(comparison.sides)]


def _sentence(
    second: str, first: str, comparison: Comparison, differences: Sequence[Difference]
) -> str:
    if not differences:
        return f"{second} and {first} share no image that both evaluated, so nothing is paired."
    decided = [
        f"{DIFFERENCES[each.metric]} of {each.group}: {in_words(comparison, each)}"
        for each in differences
        if differs(each)
    ]
    equal = sum(is_equal(each) for each in differences)
    named = f" ({'; '.join(decided)})" if decided else ""
    return (
        f"Paired differences between {second} and {first}: {len(decided)} of {len(differences)} "
        f"decided{named}, {equal} of equal numbers, {len(differences) - len(decided) - equal} not "
        "decided."
    )
