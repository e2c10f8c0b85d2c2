"""Where a generator stands: its likelihood and variance beside published ones, and their bound."""

import yaml

from .....core.image_metrics import psnr
from ....reduce.schema import MARGINAL, OWN
from ....report.section import PageView, Section, present
from ....report.table import (
    Cell,
    Column,
    N,
    Table,
    counts,
    estimates,
    filled_table,
    numbers,
)
from ....report.view import View
from .published import published_likelihoods, published_variances

THIS_RUN = "this run"
_BOUND_RULE = (
    "No density can be higher than the bound that follows from the image's distance to the "
    "manifold: ln p(x) is an average of p(x|z) over the prior, and so at most its largest value. A "
    "mean above its bound is either an impossible estimate or an inversion that missed the nearest "
    "image."
)


def standing_section(view: PageView) -> Section:
    """Bits/dim and variance of the audited generators beside published ones, and the bound."""
    datasets = _datasets(view.spec_yaml)
    ours = likelihood_standing(view, datasets)
    return Section(
        "standing",
        "Where does it stand?",
        [
            "Rows marked published are figures for other models, as their sources print them. "
            "Bits per dimension depend on the images: compare only rows of the same data set, "
            "and be careful when comparing densities with added noise of variance σ² with those "
            "of models without noise.",
            _BOUND_RULE,
        ],
        [],
        present(ours, variance_standing(view, datasets), bound_table(view))
        if ours is not None
        else [],
        bound_warnings(view),
        alarm="Above the bound.",
    )


def likelihood_standing(view: View, datasets: dict[str, str]) -> Table | None:
    """Mean bits/dim of unseen images under every audited generator, then the published rows."""
    rows: list[list[Cell]] = []
    for mine in view.by_generator():
        for group in view.context.with_role("test") or view.context.with_role("train"):
            for condition in (MARGINAL, OWN):
                for each in mine.by_estimator():
                    bits = each.find("bits_per_dim", group.name, condition)
                    if bits is not None:
                        images = _images(group.name, datasets)
                        name = f"{condition} density, {each.estimator_name}"
                        how = f"{THIS_RUN}: {name}, N = {bits.n}"
                        rows.append([mine.generator.name, images, bits, None, how])
    if not rows:
        return None
    rows += [
        [row.model, row.dataset, row.bits_per_dim, row.fid, f"published: {row.source}"]
        for row in published_likelihoods()
    ]
    return filled_table(
        "Mean log likelihood of unseen images, bits per dimension: higher is better, the negative "
        "of the usual number",
        [
            Column("model"),
            Column("images"),
            estimates("bits/dim"),
            numbers("FID"),
            Column("source"),
        ],
        rows,
        key="likelihoods",
    )


def variance_standing(view: View, datasets: dict[str, str]) -> Table | None:
    """The observation variance of every audited generator, then the published ones."""
    rows: list[list[Cell]] = []
    for mine in view.by_generator():
        variance = mine.find("variance")
        if variance is None:
            continue
        for group in view.context.with_role("train")[:1]:
            how = "given in the spec" if variance.n == 0 else f"fitted, N = {variance.n}"
            rows.append(
                [
                    mine.generator.name,
                    _images(group.name, datasets),
                    variance,
                    float(psnr(variance.value)),
                    mine.find("psnr_mean", group.name, OWN, None),
                    f"{THIS_RUN}: {how}",
                ]
            )
    if not rows:
        return None
    rows += [
        [row.model, row.dataset, row.variance, row.psnr, None, f"published: {row.source}"]
        for row in published_variances()
    ]
    return filled_table(
        "Observation noise: the variance σ² on [0, 1], its PSNR, and the mean PSNR of the "
        "reconstructed training images",
        [
            Column("model"),
            Column("images"),
            numbers("σ²"),
            numbers("PSNR of σ², dB"),
            estimates("mean PSNR, dB"),
            Column("source"),
        ],
        rows,
        key="variances",
    )


def bound_table(view: View) -> Table | None:
    """Mean bits/dim of every group beside the bound that its reconstruction errors set."""
    rows: list[list[Cell]] = []
    for group in view.context.groups:
        for condition in (MARGINAL, OWN):
            for each in view.by_estimator():
                bits, bound, violated, above = (
                    each.find(metric, group.name, condition)
                    for metric in (
                        "bits_per_dim",
                        "bits_per_dim_bound",
                        "bound_violated",
                        "images_above_bound",
                    )
                )
                if bound is None or violated is None or above is None:
                    continue
                possible = "no: above its bound" if violated.value else "yes"
                head = [group.name, condition, each.estimator]
                rows.append([*head, bits, bound, possible, int(above.value), bound.n])
    return filled_table(
        "Bits per dimension, and the most that the reconstruction errors allow",
        [
            Column("group"),
            Column("density"),
            Column("estimator"),
            estimates("bits/dim"),
            estimates("bound"),
            Column("possible"),
            counts("images above"),
            N,
        ],
        rows,
        key="bound",
    )


def bound_warnings(view: View) -> list[str]:
    """The groups whose mean density lies above its bound."""
    flagged = []
    for group in view.context.groups:
        for each in view.by_estimator():
            for condition in (MARGINAL, OWN):
                violated = each.find("bound_violated", group.name, condition)
                if violated is not None and violated.value:
                    flagged.append(f"{group.name} ({condition} density, {each.estimator_name})")
    if not flagged:
        return []
    return [
        f"The mean bits per dimension are above their bound for {', '.join(flagged)}. Either the "
        "estimate is impossible, or the inversion missed the nearest image: give it more "
        "restarts."
    ]


def _datasets(spec_yaml: str) -> dict[str, str]:
    """The data set of every group that has one, by the group's name."""
    groups = yaml.safe_load(spec_yaml).get("groups", [])
    return {group["name"]: group["dataset"] for group in groups if group.get("dataset")}


def _images(group: str, datasets: dict[str, str]) -> str:
    return f"{datasets[group]}, {group}" if group in datasets else group
