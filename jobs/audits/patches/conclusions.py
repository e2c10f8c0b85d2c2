"""Whether patches explain the density."""

from ...reduce.image_scores import named
from ...reduce.schema import WITH_OUTLIERS
from ...report.conclusion import Conclusion, Conclusions
from ...report.table import Format
from ...report.view import View
from .question import is_explained, patch_correlation


def conclude_patches(view: View) -> Conclusions:
    """By whether the patch model accounts for more than half of the variance of ln p."""
    inliers = view.context.inliers
    if inliers is None:
        return {}
    words = {"yes": "above half", "no": "below half", "undecided": "not decided"}
    found = {}
    for against in (None, WITH_OUTLIERS):
        correlation = patch_correlation(view, inliers.name, against)
        if correlation is not None:
            name = f"variance explained by patches, correlation on {named(inliers.name, against)}"
            said = words[is_explained(correlation)]
            found[name] = Conclusion(correlation, said, Format(decimals=2))
    return found
