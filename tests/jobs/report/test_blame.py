"""Held-out recovery on errors that are known, and the table of blame of audits that are known."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from offmanifold.core.statistics.outliers import area_under_curve
from offmanifold.core.statistics.views import pixel_views
from offmanifold.jobs.audits import METRICS
from offmanifold.jobs.audits.across.blame.section import blame_section
from offmanifold.jobs.audits.across.recovery.errors import Recovered, RecoveredPair
from offmanifold.jobs.audits.across.recovery.reduce import reduce_recovery
from offmanifold.jobs.audits.across.recovery.section import recovery_section
from offmanifold.jobs.audits.copies.plan import GENERATED, HELD_OUT
from offmanifold.jobs.audits.copies.reduce import reduce_copies
from offmanifold.jobs.reduce.context import ReduceContext
from offmanifold.jobs.reduce.schema import OWN, SummaryRow, exact, summary_row, summary_table
from offmanifold.jobs.report.section import PageView
from offmanifold.jobs.report.summary import Summary

from .conftest import headers, page_view, texts


@pytest.fixture(scope="module")
def context(synthetic_run: Callable[..., Any]) -> ReduceContext:
    run = synthetic_run(conditions="own")
    run.rows = {stage: rows for stage, rows in run.rows.items() if rows}
    found: ReduceContext = run.write()
    return found


def view_of(context: ReduceContext, rows: list[SummaryRow]) -> PageView:
    summary = Summary(summary_table(rows, METRICS), "guided")
    return page_view(context, summary, context.generators[0])


def keyed(rows: list[SummaryRow]) -> dict[tuple[str | None, ...], SummaryRow]:
    return {(row.group, row.against, row.condition): row for row in rows}


def errors_of(run: Any, group: str, label: int) -> np.ndarray:
    rows = run.rows["inversion"]
    return np.array([r["mse"] for r in rows if r["group"] == group and r["label"] == label])


def test_aucs_are_within_classes(synthetic_run: Callable[..., Any]) -> None:
    run = synthetic_run(conditions="own")
    found = keyed(reduce_recovery(run.write()))
    # No stage searched better than the inversion in a run whose estimates name no error of modes.
    for pair in (("test", "train"), ("test", "generated"), ("train", "generated")):
        by_class = [
            area_under_curve(errors_of(run, pair[1], label), errors_of(run, pair[0], label))
            for label in range(4)
        ]
        assert [found[(*pair, f"class {label}")].value for label in range(4)] == pytest.approx(
            by_class
        )
        assert found[(*pair, OWN)].value == pytest.approx(np.mean(by_class))


def test_a_harder_class_is_no_difference() -> None:
    """Classes in other proportions, one of them harder: within classes nothing differs."""
    rng = np.random.default_rng(2)
    misses = 0
    for _ in range(200):
        groups = []
        for counts in ((40, 10), (10, 40)):
            label = np.repeat([0, 1], counts)
            groups.append(Recovered(np.exp(rng.normal(0, 1, 50) + 3 * label), label))
        found = RecoveredPair(OWN, *groups).auc()
        assert found is not None
        misses += not found.low <= 0.5 <= found.high
    # 5% of 200 are 10, with a standard deviation of 3.1: four of these above and below.
    assert misses <= 22


def test_failed_images_widen_the_interval_and_no_error_is_no_row() -> None:
    rng = np.random.default_rng(3)
    label = np.arange(40) % 4
    second = Recovered(rng.random(40), label)
    error = rng.random(40)
    whole = RecoveredPair(OWN, Recovered(error, label), second).auc()
    failed = np.where(np.arange(40) < 8, np.nan, error)
    part = RecoveredPair(OWN, Recovered(failed, label), second).auc()
    assert whole is not None
    assert part is not None
    assert part.high - part.low > whole.high - whole.low
    nothing = RecoveredPair(OWN, Recovered(np.full(40, np.nan), label), second)
    assert nothing.auc() is None
    assert not list(nothing.class_aucs())
    # Errors of other classes than the second group's are compared with nothing.
    apart = np.where(label == 0, error, np.nan)
    others = Recovered(np.where(label == 1, error, np.nan), label)
    assert RecoveredPair(OWN, Recovered(apart, label), others).auc() is None


def test_the_section_says_what_a_difference_means(context: ReduceContext) -> None:
    rows = reduce_recovery(context)
    section = recovery_section(view_of(context, rows))
    told = " ".join(section.text)
    assert "no images of the generator's own" in told
    (table,) = section.tables
    assert headers(table) == ["class", "test > train", "test > generated", "train > generated"]
    assert [row[0] for row in texts(table)] == ["all", "0", "1", "2", "3"]
    assert [figure.key for figure in section.figures] == ["worst-test", "worst-generated"]
    worst = section.figures[0].data
    assert worst is not None
    (at,) = (at for at, name in enumerate(headers(worst)) if name.endswith("MSE"))
    errors = [float(str(cells[at])) for cells in worst.rows]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [
        (0.7, 0.6, 0.8, "only if the two are alike otherwise"),
        (0.3, 0.2, 0.4, "no sign of memorisation, but"),
        (0.5, 0.4, 0.6, "of up to 60.0% is not excluded"),
    ],
)
def test_each_outcome_has_its_words(
    context: ReduceContext, value: float, low: float, high: float, said: str
) -> None:
    found = replace(exact(value, 50), low=low, high=high)
    keys = {"generator": "small", "condition": OWN, "group": "test", "against": "train"}
    rows = [summary_row("recovery_auc", found, **keys)]
    for psnr, control in (
        (35.0, "errors speak of the generator"),
        (20.0, "the search is the limit"),
    ):
        own = {"generator": "small", "condition": OWN, "group": "generated"}
        shown = [*rows, summary_row("psnr_of_mean_mse", exact(psnr, 40), **own)]
        told = " ".join(recovery_section(view_of(context, shown)).text)
        assert said in told
        assert control in told


def test_without_held_out_images_there_is_no_section(context: ReduceContext) -> None:
    kept = [group for group in context.groups if group.role != "test"]
    less = replace(context, groups=kept)
    rows = [row for row in reduce_recovery(context) if row.group != "test"]
    assert not recovery_section(view_of(less, rows)).tables


def row(metric: str, value: float, condition: str, **keys: Any) -> SummaryRow:
    return summary_row(metric, exact(value, 9), generator="small", condition=condition, **keys)


def test_blame_is_what_the_audits_said_and_says_what_is_empty(context: ReduceContext) -> None:
    section = blame_section(view_of(context, reduce_recovery(context)))
    (table,) = section.tables
    assert len(table.rows) == 4
    assert headers(table) == ["class", "not reconstructed, %", "memorised, %"]
    told = " ".join(section.text)
    for missing in ("class_shares", "diversity", "copies"):
        assert f"`stages.{missing}` did not run" in told
    assert "`stages.inversion`" not in told

    rows = [
        row("class_share_ratio", 0.5, "class 1"),
        row("classifier_class_accuracy", 0.25, "linear, class 1"),
        row("classifier_class_accuracy_real", 0.75, "linear, class 1"),
        row("copies_class_share", 0.125, "class 1", group="generated", against="training"),
        row("recovery_auc", 0.9, "class 1", group="test", against="generated"),
        row("recovery_auc", 0.6, "class 1", group="test", against="train"),
    ]
    section = blame_section(view_of(context, rows))
    (table,) = section.tables
    assert headers(table)[4:6] == [
        "not taught, accuracy in %, by generated",
        "not taught, accuracy in %, by real",
    ]
    assert texts(table) == [["1", "0.50", "90.0", "60.0", "25.0", "75.0", "12.5"]]
    assert "Left out" not in " ".join(section.text)
    assert not blame_section(view_of(context, [])).tables


def test_copies_are_counted_in_the_class_that_they_are_of(
    synthetic_run: Callable[..., Any],
) -> None:
    """Half of class 2 is copied, and nothing of the others: 60 images and 60 held-out ones each."""
    run = synthetic_run(conditions="own")
    rng, views = np.random.default_rng(8), len(pixel_views())
    for group, generator in ((GENERATED, "small"), (HELD_OUT, None)):
        for position in range(240):
            label = position % 4
            copied = group == GENERATED and label == 2 and position < 120
            near = 0.01 if copied else rng.uniform(0.4, 0.9)
            run.rows["copies"].append(
                {
                    "generator": generator,
                    "group": group,
                    "image_id": f"{group}-{position:06d}",
                    "half": None if generator else position // 4 % 2,
                    "nearness": [near] * views,
                    "distance": [near] * views,
                    "placebo_nearness": [rng.uniform(0.4, 0.9)] * views,
                    "training_label": label,
                    "own_distance": rng.uniform(0.4, 0.9),
                    "pool_training": 50,
                    "pool_held_out": 50,
                    "pool_place": int(rng.integers(100)),
                    "pool_nearness": near,
                }
            )
    rows = [r for r in reduce_copies(run.write()) if r.metric == "copies_class_share"]
    found = {r.condition: r for r in rows}
    assert sorted(map(str, found)) == [f"class {label}" for label in range(4)]
    assert found["class 2"].low < 0.5 < found["class 2"].high
    assert found["class 2"].low > 0.2
    assert all(found[f"class {label}"].low == 0 for label in (0, 1, 3))
