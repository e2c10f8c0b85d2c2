"""The least error that any stage found: where it counts, and where it only bounds."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from offmanifold.jobs.audits import METRICS
from offmanifold.jobs.audits.inversion.beaten import beaten_sentence
from offmanifold.jobs.audits.inversion.best_errors import (
    MATERIAL_ERROR,
    is_beaten,
    read_best_errors,
    read_bounding_errors,
    search_beaten_rows,
)
from offmanifold.jobs.audits.inversion.reduce import reduce_reconstruction
from offmanifold.jobs.audits.likelihood.densities import read_densities, read_scores
from offmanifold.jobs.reduce.context import GeneratorInfo, GroupInfo, ReduceContext
from offmanifold.jobs.reduce.schema import NEAREST_CLASS, OWN, SummaryRow, summary_table
from offmanifold.jobs.report.summary import Summary
from offmanifold.jobs.report.view import View

from tests.run_contexts import context_of

GENERATOR = GeneratorInfo("g", 0, (1, 2, 2))
INVERTED = [0.10, 0.10, 0.10, 0.10]
# The last is not materially lower, the third failed.
SEARCHED = [0.05, 0.08, None, 0.0995]
# A sample, which only bounds.
SWEPT = [0.01, 0.01]


def keys(images: int) -> list[dict[str, Any]]:
    return [
        {"generator": "g", "condition": None, "group": "mnist", "image_id": f"mnist-{index}"}
        for index in range(images)
    ]


@pytest.fixture
def context(tmp_path: Path, part_writer: Callable[..., Path]) -> ReduceContext:
    inverted = zip(keys(4), INVERTED, strict=True)
    part_writer(
        tmp_path, "inversion", [{**key, "mse": mse, "distance": mse} for key, mse in inverted]
    )
    searched = [
        {**key, "mode_mse": mse, "estimator": "guided", "log_likelihood": 1.0}
        for key, mse in zip(keys(4), SEARCHED, strict=True)
    ]
    part_writer(tmp_path, "likelihood", searched)
    swept = zip(keys(2), SWEPT, strict=True)
    part_writer(
        tmp_path,
        "sweep",
        [{**key, "mode_mse": mse, "estimator": "guided", "transitions": 5} for key, mse in swept],
    )
    groups = [GroupInfo("mnist", "outlier", "own")]
    return context_of(groups, [GENERATOR], tmp_path)


def beaten_rows(context: ReduceContext) -> list[SummaryRow]:
    errors = read_best_errors(context.tables)
    assert errors is not None
    return search_beaten_rows(context, errors)


def test_groups_are_compared_by_searches_that_all_images_had(context: ReduceContext) -> None:
    best = read_best_errors(context.tables)
    assert best is not None
    assert best["mse"].tolist() == [0.05, 0.08, 0.10, 0.0995]
    assert best["inverted_mse"].tolist() == INVERTED
    scores = {score.method: score for score in read_scores(context.tables)}
    assert scores["reconstruction"].frame["mse"].tolist() == best["mse"].tolist()
    (mean,) = (
        row for row in reduce_reconstruction(context) if row.metric == "reconstruction_mse_mean"
    )
    assert mean.value == pytest.approx(np.mean([0.05, 0.08, 0.10, 0.0995]))


@pytest.mark.parametrize(
    ("distance", "expected"),
    [("mse", [0.01, 0.01, 0.10, 0.0995]), ("lpips", [0.01, 0.01, np.nan, 0.0995])],
)
def test_a_bound_takes_any_error_but_those_of_lpips(
    context: ReduceContext, distance: Any, expected: list[float]
) -> None:
    context = replace(context, distance=distance)
    (densities,) = read_densities(context.tables, ["log_likelihood"])
    bounding = read_bounding_errors(context, densities.frame)
    np.testing.assert_array_equal(bounding["mse"], expected)
    assert (bounding["status"] == "ok").tolist() == np.isfinite(expected).tolist()


def test_images_whose_inversion_was_beaten_are_counted_and_told(context: ReduceContext) -> None:
    (row,) = beaten_rows(context)
    assert (row.metric, row.condition, row.value, row.n) == ("search_beaten", None, 2, 4)
    rows = [row, replace(row, group="noise", value=1.0, n=9)]
    view = View(context, Summary(summary_table(rows, METRICS), "guided"), GENERATOR)
    assert beaten_sentence(view, ["mnist", "noise"]) == (
        "On 2 of 4 mnist and 1 of 9 noise images another stage's search found a nearer image than "
        "the inversion did; the nearest known one is used."
    )
    assert beaten_sentence(view, ["test"]) == ""


def test_what_no_picture_could_show_beats_nothing() -> None:
    inverted = np.array([0.1, 0.1, 1e-7, 1e-4, 0.0])
    best = np.array([0.0989, 0.0991, 1e-9, 1e-4 - 1.1 * MATERIAL_ERROR, 0.0])
    assert is_beaten(inverted, best).tolist() == [True, False, False, True, False]


def test_classes_have_their_own_counts(synthetic_run: Callable[..., Any]) -> None:
    run = synthetic_run()
    inverted = {(row["image_id"], row["condition"]): row["mse"] for row in run.rows["inversion"]}
    for row in run.rows["likelihood"]:
        error = inverted.get((row["image_id"], row["condition"]))
        # Every class but an image's own is found nearer, some nearer than its own.
        nearer = row["condition"] != row["label"] and row["group"] == "test"
        row["mode_mse"] = None if error is None else error * (0.5 if nearer else 1.0)
    rows = {row.condition: row for row in beaten_rows(run.write()) if row.group == "test"}
    assert rows[OWN].value == 0
    assert 0 < rows[NEAREST_CLASS].value <= rows[NEAREST_CLASS].n == 60
