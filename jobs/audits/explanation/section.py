"""The report's section on what densities are made of."""

import numpy as np

from ...reduce.groups import common_density
from ...report.figure import Figure
from ...report.scatter import points_by_group, scatter_figures
from ...report.section import PageView, Section, present
from ...report.summary import MISSING
from ...report.table import (
    Cell,
    Column,
    N,
    Table,
    counts,
    estimates,
    filled_table,
    p_values,
)
from ...report.view import View
from ...report.words import BOUND
from ..likelihood.densities import TRUSTED, read_densities
from .reduce import FEWEST_HELD_OUT, LEVEL, TERMS
from .scores import explained, read_code_lengths


def explanation_section(view: PageView) -> Section:
    """Fit, prior and volume of each group; density and code length of each image."""
    return Section(
        "explanation",
        "Why is this density what it is?",
        [_TERMS_WORDS, _COMPLEXITY_WORDS, _unlike_words(view)],
        _plane(view),
        present(_terms_table(view), _complexity_table(view)),
    )


_TERMS_WORDS = (
    "The density of an image is what its best latent gives: the fit of the image there, the prior "
    "of the latent, and the volume of latents that explain the image as well. The rest of ln p is "
    "further modes, and what Laplace's approximation misses; where it is large the other three do "
    "not explain the density."
)
_COMPLEXITY_WORDS = (
    "A density tends to be high where an image is simple. The code length says how simple: the "
    "bits that PNG's coder takes. An AUC of −ln p minus the code length (Serrà et al. 2020) finds "
    "images that are dense for their simplicity alone, and loses those that are complex, such as "
    "faint noise. So it stands beside the plain one and does not replace it."
)


def _unlike_words(view: View) -> str:
    inliers = view.context.inliers
    if inliers is None or inliers.role != "test":
        return (
            "There are no held-out images (a group with role `test`) to say how far an image may "
            "lie from others, so no image is called unlike them."
        )
    groups = view.context.groups_and_null
    known = any(view.find("unlike_share", group.name) for group in groups)
    if view.context.tables.has("code_lengths") and not known:
        return (
            f"No image is called unlike held-out ones: that takes {FEWEST_HELD_OUT} of these with "
            "a density and a code length, and other images that have both."
        )
    return (
        f"An image is unlike {inliers.name} images where its density, or its density corrected "
        "for the code length, is too low or too high: a rank among these images, with a "
        f"two-sided p of at most {LEVEL:.0%} for both together. Of images that are like them it "
        f"finds {LEVEL:.0%} on average, and the last p-value says whether a group has more than "
        f"chance gives. {_own_words(view)}"
    )


def _own_words(view: View) -> str:
    """What the same test says of the model's own images."""
    own = [*view.context.with_role("simulated", "generated")]
    names = [each.name for each in own] + ([] if view.context.null is None else [view.context.null])
    shares = {name: view.find("unlike_share", name) for name in names}
    told = [
        f"of {name} {share.scaled(100).text()}% (N = {share.n})"
        for name, share in shares.items()
        if share is not None
    ]
    if not told:
        return "It was not asked of the model's own images: add a group with role `null`."
    return (
        f"Of the model's own images it finds, {', '.join(told)}: what is found as often among "
        "these is no sign of an outlier."
    )


def _plane(view: View) -> list[Figure]:
    lengths = read_code_lengths(view.context)
    found = read_densities(view.context.tables, ["log_likelihood"])
    if lengths is None or not found or found[0].stage != TRUSTED:
        return []
    groups = found[0].groups(view.context, view.generator)
    condition = common_density(*groups.values())
    known = [explained(values, condition, lengths) for values in groups.values()]
    known = [each for each in known if len(each.log_density)]
    if not known:
        return []
    names = np.concatenate([np.full(len(each.log_density), each.group) for each in known])
    bits = np.concatenate([each.code_length for each in known]) / view.generator.dimensions
    density = np.concatenate([each.log_density for each in known])
    return scatter_figures(
        view,
        points_by_group(view, names, bits, density),
        ("code length, bits per value", "ln p(x) of the generator at least, nats"),
        "Log density of single images over their code length; the table below has the AUCs.",
        "Each dot is an image: to the left simple ones, at the top dense ones.",
        key="complexity-plane",
    )


def _terms_table(view: View) -> Table | None:
    rows: list[list[Cell]] = []
    for group, total in view.by_group("density_fit_mean").items():
        terms = [view.find(f"density_{name}_mean", group) for name in (*TERMS, "rest")]
        rows.append([group, *terms, total.n])
    under = ", each image under its own class" if view.generator.num_classes else ""
    return filled_table(
        f"What ln p is made of, mean nats{under}; {BOUND}",
        [Column("group"), *(estimates(name) for name in (*TERMS, "rest")), N],
        rows,
        key="density-terms",
    )


def _complexity_table(view: View) -> Table | None:
    rows: list[list[Cell]] = []
    for group in view.context.groups_and_null:
        length = view.summary.find("code_length_mean", group=group.name, conditions=(None,))
        length = view.find("code_length_mean", group.name) or length
        for each in view.by_estimator():
            aucs = [
                each.find(metric, group.name)
                for metric in ("plain_auc", "code_length_auc", "corrected_auc")
            ]
            if aucs[0] is None:
                continue
            share, found, p_value = (
                each.find(metric, group.name)
                for metric in ("unlike_share", "unlike_found", "unlike_p")
            )
            discoveries = None if found is None else int(found.value)
            rows.append(
                [group.name, each.estimator, length, *aucs, share, discoveries, p_value, aucs[0].n]
            )
    inliers = view.context.inliers
    return filled_table(
        f"Each group against {MISSING if inliers is None else inliers.name} images; {BOUND}",
        [
            Column("group"),
            Column("estimator"),
            estimates("bits per value"),
            estimates("AUC of −ln p", decimals=2),
            estimates("AUC of the code length", decimals=2),
            estimates("AUC of −ln p less the code length", decimals=2),
            estimates("unlike, %", scale=100),
            counts("found"),
            p_values("p of the group"),
            N,
        ],
        rows,
        key="complexity",
    )
