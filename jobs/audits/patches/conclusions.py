"""Whether patches explain the density."""

from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.image_scores import named
from ...reduce.schema import WITH_OUTLIERS
from ...report.conclusion import Conclusion, Conclusions
from ...report.summary import Summary
from .question import is_explained, patch_correlation


def conclude_patches(
    context: ReduceContext, summary: Summary, generator: GeneratorInfo
) -> Conclusions:
    """By whether the patch model accounts for more than half of the variance of ln p."""
    if context.inliers is None:
        return {}
    words = {"yes": "above half", "no": "below half", "undecided": "not decided"}
    found = {}
    for against in (None, WITH_OUTLIERS):
        correlation = patch_correlation(summary, generator, context.inliers.name, against)
        if correlation is not None:
            images = named(context.inliers.name, against)
            name = f"variance explained by patches, correlation on {images}"
            found[name] = Conclusion(correlation.fixed(2), words[is_explained(correlation)])
    return found
