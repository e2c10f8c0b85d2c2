"""Which training images the variance is fitted to, and which the verdicts are about."""

from collections import Counter
from collections.abc import Sequence

from .settings import VarianceSpec

# Halves of fewer images would be one image, or none.
_FEWEST_HALVED = 4


def fitted_positions(labels: Sequence[int | None], spec: VarianceSpec) -> list[int]:
    """The positions of the images that the variance is fitted to; none where its value is given.

    With ``fit: half`` and four images or more, every other image of each class, so that both halves
    have the same classes; which one comes first goes by the class, for sets with one image of each.
    """
    if spec.value is not None:
        return []
    if spec.fit == "all" or len(labels) < _FEWEST_HALVED:
        return list(range(len(labels)))
    seen: Counter[int | None] = Counter()
    fitted = []
    for position, label in enumerate(labels):
        if (seen[label] + (label or 0)) % 2 == 0:
            fitted.append(position)
        seen[label] += 1
    return fitted
