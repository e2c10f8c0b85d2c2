"""The tables about densities: how high they are, and how the chains behind them fared."""

import math
from dataclasses import replace

from ...reduce.schema import MARGINAL, OWN
from ...report.summary import Estimate, number
from ...report.table import (
    Cell,
    Column,
    N,
    Table,
    estimates,
    filled_table,
    twins_side_by_side,
)
from ...report.view import View
from ...report.words import BOUND

# What is said of the chains, and the metric that says it; columns that nothing fills are left out.
_HEALTH = {
    "acceptance": estimates("acceptance", decimals=2),
    "step_size": estimates("step size"),
    "effective_sample_size": estimates("effective chains"),
    "best_chain_share": estimates("best chain's share", decimals=2),
    "modes": estimates("modes"),
    "prior_won_share": estimates("best from prior, %", decimals=0, scale=100),
    "settled_share": estimates("settled, %", decimals=0, scale=100),
}


def density_table(view: View) -> Table | None:
    """Mean log density and bits per dimension of every group, by density and estimator."""
    rows: list[list[Cell]] = []
    for group in view.context.groups:
        for condition in (MARGINAL, OWN):
            for each in view.by_estimator():
                nats, bits = (
                    each.find(metric, group.name, condition)
                    for metric in ("log_likelihood_mean", "bits_per_dim")
                )
                if nats is not None:
                    most = upper_bound(each, group.name, condition)
                    rows.append([group.name, condition, each.estimator, nats, most, bits, nats.n])
    variance = view.find("variance")
    under = "" if variance is None else f", σ² = {number(variance.value)}"
    caption = (
        f"Mean log density on [0, 1]{under}; bits per dimension are higher for denser images; "
        f"{BOUND}"
    )
    if any(row[4] is not None for row in rows):
        caption += (
            "; at most it is, of images simulated from the model, what chains in reverse give, of "
            "others what the least reconstruction error that any stage found allows"
        )
    table = filled_table(
        caption,
        [
            Column("group"),
            Column("density"),
            Column("estimator"),
            estimates("mean ln p at least, nats", 4),
            estimates("at most, nats", 4),
            estimates("bits/dim at least"),
            N,
        ],
        rows,
        key="density",
    )
    return twins_side_by_side(table, "estimator")


def upper_bound(view: View, group: str, condition: str) -> Estimate | None:
    """The upper bound of a group's mean ln p: the sandwich's, or that of reconstruction errors.

    The sandwich is of the density under an image's own class, without classes the only one.
    """
    sandwich = view.find("log_likelihood_upper", group, OWN)
    if sandwich is not None and (condition == OWN or not view.generator.num_classes):
        return sandwich
    return view.find("log_likelihood_bound", group, condition)


def health_table(view: View) -> Table | None:
    """How the chains of each estimator fared, by group."""
    rows: list[list[Cell]] = []
    for group in view.context.groups:
        for each in view.by_estimator():
            acceptance, *others = (
                _without_width(each.find(metric, group.name)) for metric in _HEALTH
            )
            if acceptance is not None:
                rows.append([group.name, each.estimator, acceptance, *others, acceptance.n])
    table = filled_table(
        "Annealed importance sampling, mean over images (step size: median of the last ones)",
        [Column("group"), Column("estimator"), *_HEALTH.values(), N],
        rows,
        key="chains",
    )
    return twins_side_by_side(table, "estimator")


def _without_width(found: Estimate | None) -> Estimate | None:
    """The estimate, without its interval where that is the value alone: of a common step size."""
    if found is None or found.low < found.high:
        return found
    return replace(found, low=math.nan, high=math.nan)
