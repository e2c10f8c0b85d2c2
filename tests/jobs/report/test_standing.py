"""Published figures, the bound on densities, and what the report says of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from offmanifold.core.image_metrics import bits_per_dim, bits_per_dim_bound, psnr
from offmanifold.jobs.audits import METRICS
from offmanifold.jobs.audits.across.standing.published import (
    published_likelihoods,
    published_variances,
)
from offmanifold.jobs.audits.across.standing.reduce import reduce_density_bound
from offmanifold.jobs.audits.across.standing.section import (
    bound_table,
    bound_warnings,
    likelihood_standing,
)
from offmanifold.jobs.reduce.schema import MARGINAL, OWN, SummaryRow, summary_table
from offmanifold.jobs.report.summary import Summary
from offmanifold.jobs.report.view import View
from offmanifold.jobs.results.reduction import reduce_run

from .conftest import headers

VARIANCE = 0.01


def test_published_variances_fit_their_psnr() -> None:
    for row in published_variances():
        # Both are rounded as printed: the variance to a thousandth, the PSNR to a tenth.
        low, high = psnr([row.variance + 0.0005, row.variance - 0.0005])
        assert low - 0.05 <= row.psnr <= high + 0.05, row


def test_published_likelihoods_are_possible_under_the_published_variances() -> None:
    bound = {
        (row.model, row.dataset.removesuffix("10")): bits_per_dim_bound(row.variance, row.variance)
        for row in published_variances()
    }
    checked = 0
    for row in published_likelihoods():
        key = (row.model, row.dataset.removesuffix("10"))
        assert row.bits_per_dim < 0
        assert row.source
        if key in bound:
            checked += 1
            assert row.bits_per_dim < bound[key]
    assert checked == 4


def test_published_likelihoods_are_in_order_of_density() -> None:
    cifar = [row.model for row in published_likelihoods() if row.dataset == "CIFAR10"]
    assert cifar == ["VDM", "DDPM++", "Glow", "BigGAN-DiffAug", "StyleGAN-XL"]


def found(rows: list[SummaryRow], **keys: str) -> SummaryRow:
    (row,) = [row for row in rows if all(getattr(row, k) == v for k, v in keys.items())]
    return row


def test_the_bound_is_that_of_the_images_errors(synthetic_run: Callable[..., Any]) -> None:
    run = synthetic_run()
    rows = reduce_density_bound(run.write())
    frame = {
        (row["image_id"], row["condition"]): row["mse"]
        for row in run.rows["inversion"]
        if row["group"] == "test"
    }
    images = sorted({image for image, _ in frame})
    own = [frame[image, position % 4] for position, image in enumerate(images)]
    nearest = [min(frame[image, c] for c in range(4)) for image in images]
    for condition, errors in ((OWN, own), (MARGINAL, nearest)):
        row = found(
            rows,
            metric="bits_per_dim_bound",
            group="test",
            condition=condition,
            estimator="guided",
        )
        bound = bits_per_dim_bound(errors, VARIANCE)
        assert row.value == pytest.approx(bound.mean())
        assert row.low < row.value < row.high
        assert row.n == 60
        keys = {"group": "test", "condition": condition, "estimator": "guided"}
        nats = found(rows, metric="log_likelihood_bound", **keys)
        assert bits_per_dim(nats.value, 64) == pytest.approx(row.value)
        assert bits_per_dim(nats.high, 64) == pytest.approx(row.high)
    own_density = [
        row["log_likelihood"]
        for row in sorted(run.rows["likelihood"], key=lambda row: row["image_id"])
        if row["group"] == "test" and row["condition"] == row["label"]
    ]
    above = np.sum(bits_per_dim(own_density, 64) > bits_per_dim_bound(own, VARIANCE))
    keys = {"group": "test", "condition": OWN, "estimator": "guided"}
    assert found(rows, metric="images_above_bound", **keys).value == above


def test_an_impossible_group_is_flagged_and_only_that(synthetic_run: Callable[..., Any]) -> None:
    run = synthetic_run()
    for row in run.rows["likelihood"] + run.rows["comparison"]:
        row["log_likelihood"] -= 60 if row["group"] != "train" else -60
    rows = reduce_density_bound(run.write())
    violated = {row.group for row in rows if row.metric == "bound_violated" and row.value}
    assert violated == {"train"}
    summary, generator = Summary(summary_table(rows, METRICS), "guided"), run.context.generators[0]
    (warning,) = bound_warnings(View(run.context, summary, generator))
    assert "train (marginal density, guided)" in warning
    assert "inversion missed" in warning
    table = bound_table(View(run.context, summary, generator))
    assert table is not None
    possible = headers(table).index("possible")
    assert {row[0] for row in table.rows if row[possible] != "yes"} == {"train"}


def test_images_that_failed_in_either_table_are_left_out(synthetic_run: Callable[..., Any]) -> None:
    run = synthetic_run()
    failed = {"status": "failed", "error": "lost"}
    lost = next(row for row in run.rows["inversion"] if row["group"] == "train")
    lost |= {**failed, "mse": None}
    gone = [row for row in run.rows["likelihood"] if row["image_id"] == "train-000007"]
    for row in gone:
        row |= {**failed, "log_likelihood": None}
    rows = reduce_density_bound(run.write())
    keys = {"group": "train", "condition": MARGINAL, "metric": "bits_per_dim_bound"}
    assert found(rows, **keys, estimator="guided").n == 46
    assert found(rows, **keys, estimator="classical").n == 47


def test_published_rows_stand_below_our_own_and_name_their_source(
    synthetic_run: Callable[..., Any],
) -> None:
    run = synthetic_run()
    summary = Summary(reduce_run(run.write()), "guided")
    view = View(run.context, summary, run.context.generators[0])
    alone = likelihood_standing(view, {"test": "digits"})
    assert alone is not None
    assert {str(row[-1]).partition(":")[0] for row in alone.rows} == {"this run"}
    resized = likelihood_standing(view, {"test": "cifar10 resize"})
    assert resized is not None
    assert len(resized.rows) == len(alone.rows)
    table = likelihood_standing(view, {"test": "cifar10"})
    assert table is not None
    ours = [row for row in table.rows if str(row[-1]).startswith("this run")]
    published = [row for row in table.rows if str(row[-1]).startswith("published: ")]
    assert len(ours) == 4
    assert alone.rows[0][1] == "digits, test"
    assert [row[1] for row in published] == ["CIFAR10"] * len(
        [row for row in published_likelihoods() if row.dataset == "CIFAR10"]
    )
    assert list(table.rows) == ours + published
