"""What the AUCs of densities conclude."""

from ....reduce.schema import MARGINAL, PER_CLASS_MEAN
from ....report.conclusion import Conclusion, Conclusions
from ....report.table import Format
from ....report.verdict import decide
from ....report.view import View
from .methods import CHANCE
from .questions import withheld


def conclude_outliers(view: View) -> Conclusions:
    """By the side of one half on which the AUC's interval lies, if replicates agree on it."""
    inliers = view.context.inliers
    if inliers is None:
        return {}
    words = {"above": "less dense", "below": "denser", "undecided": "not decided"}
    found = {}
    for group in view.context.with_role("outlier"):
        auc = view.find(
            "outlier_auc_likelihood", group.name, MARGINAL, PER_CLASS_MEAN, against=inliers.name
        )
        if auc is not None:
            name = f"AUC of {group.name} against {inliers.name}, {auc.condition}"
            side = decide(auc, CHANCE)
            if withheld(view, group.name, inliers.name, auc):
                side = "undecided"
            found[name] = Conclusion(auc, words[side], Format(decimals=3))
    return found
