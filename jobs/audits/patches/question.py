"""Do small patches explain the generator's density?"""

import math
from dataclasses import replace

from ...reduce.image_scores import named
from ...reduce.schema import MARGINAL, OWN, PER_CLASS_MEAN, WITH_OUTLIERS
from ...report.summary import Estimate, number
from ...report.verdict import (
    Answer,
    Finding,
    Null,
    Verdict,
    answer_of,
    fisher,
    own_group_decides,
    settle_null,
    side_p_value,
)
from ...report.view import View
from .section import fits_patches, one_patch

# From here on the patch model accounts for more than half of the variance of ln p over images.
EXPLAINED = math.sqrt(0.5)


def explained_by_patches(view: View) -> Verdict | None:
    """Whether ln p correlates so highly with that of a model of small patches.

    Within the group that outliers are held against; with the outliers beside it. There is no
    answer where a single patch is the whole image.
    """
    inliers, generator = view.context.inliers, view.generator
    if inliers is None or not fits_patches(generator) or one_patch(generator):
        return None
    findings = []
    for against in (None, WITH_OUTLIERS):
        found = patch_correlation(view, inliers.name, against)
        if found is not None:
            about = _finding(view, inliers.name, against, found)
            findings.append(replace(about, null=_null(view, found)))
    findings = own_group_decides(findings, inliers, lambda found: found.group)
    question = "Do small patches explain the generator's density?"
    return Verdict("patches", question, "no", tuple(findings), "patches") if findings else None


def patch_correlation(view: View, group: str, against: str | None) -> Estimate | None:
    """Pearson's correlation, averaged over classes where they have the images for it."""
    return view.find(
        "patch_correlation_pearson", group, PER_CLASS_MEAN, OWN, MARGINAL, against=against
    )


def is_explained(correlation: Estimate) -> Answer:
    """By the place of the interval: more than half of the variance, less, or open."""
    return answer_of(correlation, EXPLAINED, yes="above")


def _finding(view: View, group: str, against: str | None, found: Estimate) -> Finding:
    ranks = view.find("patch_correlation_spearman", group, found.condition, against=against)
    beside = "" if ranks is None else f" (of ranks {ranks.fixed(2)})"
    images = named(group, against)
    sentence = (
        f"Over {images} images ln p correlates with that of a model of 8×8 patches by "
        f"{found.fixed(2)}{beside}, {found.condition}, N = {found.n}; above {number(EXPLAINED, 2)} "
        "the patches account for more than half of its variance."
    )
    return Finding(
        images,
        is_explained(found),
        sentence,
        measured=f"{images}: correlation with a model of 8×8 patches {found.fixed(2)}; above "
        f"{number(EXPLAINED, 2)} it explains more than half of the variance",
        counted=f"N = {found.n}",
        p_value=side_p_value(found, EXPLAINED, fisher),
    )


def _null(view: View, data: Estimate) -> Null | None:
    """Whether patches explain the density of the model's own samples as well."""
    for group in view.context.with_role("simulated"):
        found = patch_correlation(view, group.name, None)
        if found is not None:
            answer, words = settle_null(is_explained(found), "yes", data, found, "above")
            sentence = (
                f"On the model's own samples ({group.name}) the correlation is {found.fixed(2)}, "
                f"N = {found.n}{words}."
            )
            return Null(answer, sentence)
    return None
