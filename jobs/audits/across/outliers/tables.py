"""The table of AUCs."""

from ....reduce.context import GeneratorInfo, ReduceContext
from ....reduce.schema import MARGINAL, NEAREST_CLASS, PER_CLASS_MEAN
from ....report.summary import Summary
from ....report.tables import Table
from .methods import METHODS, Found, share, side_by_side


def outlier_table(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> Table | None:
    """AUC of every method that the run has, side by side, for each outlier group.

    Outliers are held against the data, and below that against the model's own samples.
    """
    if context.inliers is None:
        return None
    own_samples = [group.name for group in context.with_role("simulated")]
    if context.null is not None:
        own_samples.append(context.null)
    variants = [f"{MARGINAL} / {NEAREST_CLASS}", PER_CLASS_MEAN]
    if not generator.num_classes:
        variants = [MARGINAL]
    found: Found = {}
    for group in context.with_role("outlier"):
        for against in (context.inliers.name, *own_samples):
            for variant in variants:
                found[group.name, against, variant] = [
                    method.outlier_auc(
                        summary,
                        generator,
                        group.name,
                        against,
                        (PER_CLASS_MEAN,) if variant == PER_CLASS_MEAN else method.pooled,
                    )
                    for method in METHODS
                ]
    headers, rows = side_by_side(found, share)
    if not rows:
        return None
    beside = f", and against the model's own samples ({', '.join(own_samples)})"
    return Table(
        f"AUC of outliers against {context.inliers.name} images{beside if own_samples else ''}; "
        "the outlier is positive, 0.5 is chance",
        ["outliers", "against", "scores", *headers, "N"],
        rows,
        key="auc",
    )
