"""Where a generator stands: its likelihood and variance beside published ones, and their bound."""

from collections.abc import Sequence

import yaml

from .....core.image_metrics import psnr
from ....reduce.context import GroupInfo
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
    twins_side_by_side,
)
from ....report.view import View
from ....report.words import BOUND
from .published import published_likelihoods, published_variances

THIS_RUN = "this run"
_PUBLISHED = "published: "
_BESIDE = (
    "Rows marked published are figures for other models of this data set, as their sources print "
    "them. Be careful when comparing densities with added noise of variance σ² with those of "
    "models without noise."
)
_NOTHING_BESIDE = (
    "For this one offmanifold knows of no published figures, so the rows are this run's alone."
)
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
    beside = any(
        str(row[-1]).startswith(_PUBLISHED)
        for table in present(ours, variance_standing(view, datasets))
        for row in table.rows
    )
    return Section(
        "standing",
        "Where does it stand?",
        [
            "Bits per dimension depend on the images, and are compared on the same data set alone. "
            + (_BESIDE if beside else _NOTHING_BESIDE),
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
    """Mean bits/dim of unseen images under every audited generator, then published ones of them.

    Published are those of the data sets that the groups are of, unchanged.
    """
    rows: list[list[Cell]] = []
    groups = view.context.with_role("test") or view.context.with_role("train")
    for mine in view.by_generator():
        for group in groups:
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
        [row.model, row.dataset, row.bits_per_dim, row.fid, f"{_PUBLISHED}{row.source}"]
        for row in published_likelihoods()
        if _is_any_of(row.dataset, groups, datasets)
    ]
    return filled_table(
        "Mean log likelihood of unseen images, bits per dimension: higher is better, the negative "
        f"of the usual number; {BOUND}",
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
    """The observation variance of every audited generator, then published ones of its data."""
    rows: list[list[Cell]] = []
    groups = view.context.with_role("train")[:1]
    for mine in view.by_generator():
        variance = mine.find("variance")
        if variance is None:
            continue
        for group in groups:
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
        [row.model, row.dataset, row.variance, row.psnr, None, f"{_PUBLISHED}{row.source}"]
        for row in published_variances()
        if _is_any_of(row.dataset, groups, datasets)
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
    table = filled_table(
        "Bits per dimension (higher is denser), and the most that the reconstruction errors "
        f"allow; {BOUND}",
        [
            Column("group"),
            Column("density"),
            Column("estimator"),
            estimates("bits/dim at least"),
            estimates("bound"),
            Column("possible"),
            counts("images above"),
            N,
        ],
        rows,
        key="bound",
    )
    return twins_side_by_side(table, "estimator")


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
    """The data set of every group that has one, by the group's name; and what was done to it."""
    groups = yaml.safe_load(spec_yaml).get("groups", [])
    return {
        group["name"]: " ".join(
            [group["dataset"], *(key for key in ("resize", "crop") if group.get(key))]
        )
        for group in groups
        if group.get("dataset")
    }


def _is_any_of(published: str, groups: Sequence[GroupInfo], datasets: dict[str, str]) -> bool:
    """Whether some group's images are those of a published data set: CIFAR10 is cifar10."""
    return any(
        datasets.get(group.name, "").replace("_", "") == published.casefold() for group in groups
    )


def _images(group: str, datasets: dict[str, str]) -> str:
    return f"{datasets[group]}, {group}" if group in datasets else group
