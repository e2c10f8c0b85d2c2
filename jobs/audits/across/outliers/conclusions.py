"""What the AUCs of densities conclude."""

from ....reduce.context import GeneratorInfo, ReduceContext
from ....reduce.schema import MARGINAL, PER_CLASS_MEAN
from ....report.conclusion import Conclusion, Conclusions
from ....report.summary import Summary
from ....report.verdict import decide
from .questions import CHANCE


def conclude_outliers(
    context: ReduceContext, summary: Summary, generator: GeneratorInfo
) -> Conclusions:
    """By the side of one half on which the AUC's interval lies."""
    if context.inliers is None:
        return {}
    words = {"above": "less dense", "below": "denser", "undecided": "not decided"}
    found = {}
    for group in context.with_role("outlier"):
        auc = summary.find(
            "outlier_auc_likelihood",
            generator=generator.name,
            group=group.name,
            against=context.inliers.name,
            conditions=(MARGINAL, PER_CLASS_MEAN),
        )
        if auc is not None:
            name = f"AUC of {group.name} against {context.inliers.name}, {auc.condition}"
            found[name] = Conclusion(auc.fixed(3), words[decide(auc, CHANCE)])
    return found
