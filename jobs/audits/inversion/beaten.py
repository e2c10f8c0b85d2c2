"""Where the search of another stage found a nearer image than the inversion."""

from collections.abc import Sequence

from ...reduce.context import GeneratorInfo
from ...reduce.schema import OWN
from ...report.summary import Summary


def beaten_sentence(
    summary: Summary,
    generator: GeneratorInfo,
    groups: Sequence[str],
    conditions: Sequence[str | None] = (None, OWN),
) -> str:
    """Of how many images of these groups the inversion was beaten; empty where of none.

    ``conditions`` says whose errors are meant, those that the sentence's finding rests on.
    """
    counts = []
    for group in groups:
        beaten = summary.find(
            "search_beaten", generator=generator.name, group=group, conditions=conditions
        )
        if beaten is not None and beaten.value > 0:
            counts.append(f"{beaten.value:.0f} of {beaten.n} {group}")
    if not counts:
        return ""
    *others, last = counts
    named = f"{', '.join(others)} and {last}" if others else last
    return (
        f"On {named} images another stage's search found a nearer image than the inversion; the "
        "nearest known is used."
    )
