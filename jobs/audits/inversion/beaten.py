"""Where the search of another stage found a nearer image than the inversion."""

from collections.abc import Sequence

from ...reduce.schema import OWN
from ...report.view import View


def beaten_sentence(
    view: View, groups: Sequence[str], conditions: Sequence[str | None] = (None, OWN)
) -> str:
    """Of how many images of these groups the inversion was beaten; empty where of none.

    ``conditions`` says whose errors are meant, those that the sentence's finding rests on.
    """
    counts = []
    for group in groups:
        beaten = view.find("search_beaten", group, *conditions)
        if beaten is not None and beaten.value > 0:
            counts.append(f"{beaten.value:.0f} of {beaten.n} {group}")
    if not counts:
        return ""
    *others, last = counts
    named = f"{', '.join(others)} and {last}" if others else last
    return (
        f"On {named} images another stage's search found a nearer image than the inversion did; "
        "the nearest known one is used."
    )
