"""The table of AUCs."""

from ....reduce.schema import MARGINAL, NEAREST_CLASS, PER_CLASS_MEAN
from ....report.table import Column, Table
from ....report.view import View
from .methods import METHODS, Found, methods_table


def outlier_table(view: View) -> Table | None:
    """AUC of every method that the run has, side by side, for each outlier group.

    Outliers are held against the data, and below that against the model's own samples.
    """
    context = view.context
    if context.inliers is None:
        return None
    own_samples = [group.name for group in context.with_role("simulated")]
    if context.null is not None:
        own_samples.append(context.null)
    variants = [f"{MARGINAL} / {NEAREST_CLASS}", PER_CLASS_MEAN]
    if not view.generator.num_classes:
        variants = [MARGINAL]
    found: Found = {}
    for group in context.with_role("outlier"):
        for against in (context.inliers.name, *own_samples):
            for variant in variants:
                found[group.name, against, variant] = [
                    method.outlier_auc(
                        view,
                        group.name,
                        against,
                        *((PER_CLASS_MEAN,) if variant == PER_CLASS_MEAN else method.pooled),
                    )
                    for method in METHODS
                ]
    beside = f", and against the model's own samples ({', '.join(own_samples)})"
    return methods_table(
        f"AUC of outliers against {context.inliers.name} images{beside if own_samples else ''}; "
        "the outlier is positive, 0.5 is chance",
        [Column("outliers"), Column("against"), Column("scores")],
        found,
        decimals=3,
        key="auc",
    )
