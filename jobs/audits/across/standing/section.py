"""Where a generator stands: its likelihood and variance beside published ones, and their bound."""

import yaml

from .....core.image_metrics import psnr
from ....reduce.context import GeneratorInfo, ReduceContext
from ....reduce.schema import MARGINAL, OWN
from ....report.section import ReportContext, Section, present
from ....report.summary import MISSING, Summary, by_estimator, number
from ....report.tables import Table, text
from .published import published_likelihoods, published_variances

THIS_RUN = "this run"
_BOUND_RULE = (
    "No density can be higher than the bound that follows from the image's distance to the "
    "manifold: ln p(x) is an average of p(x|z) over the prior, and so at most its largest value. A "
    "mean above its bound is either an impossible estimate or an inversion that missed the nearest "
    "image."
)


def standing_section(context: ReportContext, summary: Summary, generator: GeneratorInfo) -> Section:
    """Bits/dim and variance of the audited generators beside published ones, and the bound."""
    reduce, datasets = context.reduce, _datasets(context.spec_yaml)
    ours = likelihood_standing(reduce, summary, datasets)
    return Section(
        "standing",
        "Where does it stand?",
        [
            "Rows marked published are figures of other models, as their sources print them. Bits "
            "per dimension depend on the images: only rows of one data set can be compared, and "
            "densities under an added noise of variance σ² with those of models that have none "
            "only with care.",
            _BOUND_RULE,
        ],
        [],
        [
            *present(ours),
            *present(variance_standing(reduce, summary, datasets)),
            *present(bound_table(reduce, generator, summary)),
        ]
        if ours is not None
        else [],
        bound_warnings(reduce, generator, summary),
        alarm="Above the bound.",
    )


def likelihood_standing(
    context: ReduceContext, summary: Summary, datasets: dict[str, str]
) -> Table | None:
    """Mean bits/dim of unseen images under every audited generator, then the published rows."""
    rows = []
    for generator in context.generators:
        for group in context.with_role("test") or context.with_role("train"):
            for condition in (MARGINAL, OWN):
                for estimator, found in by_estimator(summary):
                    keys = {"generator": generator.name, "group": group.name}
                    bits = found.find("bits_per_dim", **keys, conditions=(condition,))
                    if bits is not None:
                        images = _images(group.name, datasets)
                        how = f"{THIS_RUN}: {condition} density, {estimator}, N = {bits.n}"
                        rows.append([generator.name, images, bits.text(), MISSING, how])
    if not rows:
        return None
    published = [
        [
            row.model,
            row.dataset,
            number(row.bits_per_dim),
            MISSING if row.fid is None else number(row.fid),
            f"published: {row.source}",
        ]
        for row in published_likelihoods()
    ]
    return Table(
        "Mean log likelihood of unseen images, bits per dimension: higher is better, the negative "
        "of the usual number",
        ["model", "images", "bits/dim", "FID", "source"],
        rows + published,
        key="likelihoods",
    )


def variance_standing(
    context: ReduceContext, summary: Summary, datasets: dict[str, str]
) -> Table | None:
    """The observation variance of every audited generator, then the published ones."""
    rows = []
    for generator in context.generators:
        variance = summary.find("variance", generator=generator.name)
        if variance is None:
            continue
        for group in context.with_role("train")[:1]:
            mean_psnr = summary.find(
                "psnr_mean", generator=generator.name, group=group.name, conditions=(OWN, None)
            )
            how = "given in the spec" if variance.n == 0 else f"fitted, N = {variance.n}"
            rows.append(
                [
                    generator.name,
                    _images(group.name, datasets),
                    number(variance.value),
                    number(float(psnr(variance.value))),
                    text(mean_psnr),
                    f"{THIS_RUN}: {how}",
                ]
            )
    if not rows:
        return None
    published = [
        [
            row.model,
            row.dataset,
            number(row.variance),
            number(row.psnr),
            MISSING,
            f"published: {row.source}",
        ]
        for row in published_variances()
    ]
    return Table(
        "Observation noise: the variance σ² on [0, 1], its PSNR, and the mean PSNR of the "
        "reconstructed training images",
        ["model", "images", "σ²", "PSNR of σ², dB", "mean PSNR, dB", "source"],
        rows + published,
        key="variances",
    )


def bound_table(context: ReduceContext, generator: GeneratorInfo, summary: Summary) -> Table | None:
    """Mean bits/dim of every group beside the bound that its reconstruction errors set."""
    rows = []
    for group in context.groups:
        for condition in (MARGINAL, OWN):
            for estimator, found in by_estimator(summary):
                keys = {"generator": generator.name, "group": group.name}
                conditions = (condition,)
                bound = found.find("bits_per_dim_bound", **keys, conditions=conditions)
                violated = found.find("bound_violated", **keys, conditions=conditions)
                above = found.find("images_above_bound", **keys, conditions=conditions)
                if bound is None or violated is None or above is None:
                    continue
                rows.append(
                    [
                        group.name,
                        condition,
                        estimator,
                        text(found.find("bits_per_dim", **keys, conditions=conditions)),
                        bound.text(),
                        "no: above its bound" if violated.value else "yes",
                        number(above.value, decimals=0),
                        str(bound.n),
                    ]
                )
    if not rows:
        return None
    return Table(
        "Bits per dimension against the most that the reconstruction errors allow",
        ["group", "density", "estimator", "bits/dim", "bound", "possible", "images above", "N"],
        rows,
        key="bound",
    )


def bound_warnings(context: ReduceContext, generator: GeneratorInfo, summary: Summary) -> list[str]:
    """The groups whose mean density lies above its bound."""
    flagged = []
    for group in context.groups:
        for estimator, found in by_estimator(summary):
            for condition in (MARGINAL, OWN):
                keys = {"generator": generator.name, "group": group.name}
                violated = found.find("bound_violated", **keys, conditions=(condition,))
                if violated is not None and violated.value:
                    flagged.append(f"{group.name} ({condition} density, {estimator})")
    if not flagged:
        return []
    return [
        f"The mean bits per dimension lie above their bound for {', '.join(flagged)}. Either the "
        "estimate is impossible, or the inversion missed the nearest image: give it more restarts."
    ]


def _datasets(spec_yaml: str) -> dict[str, str]:
    """The data set of every group that has one, by the group's name."""
    groups = yaml.safe_load(spec_yaml).get("groups", [])
    return {group["name"]: group["dataset"] for group in groups if group.get("dataset")}


def _images(group: str, datasets: dict[str, str]) -> str:
    return f"{datasets[group]}, {group}" if group in datasets else group
