"""Whether estimates have settled, and what the report says where they have not."""

import math

import pytest
from offmanifold.core.statistics.convergence import FEWEST_BOUNDED
from offmanifold.core.statistics.interval import Interval
from offmanifold.jobs.audits import METRICS
from offmanifold.jobs.audits.convergence.gates import doublings, settled_gate
from offmanifold.jobs.audits.convergence.words import (
    comparison_warnings,
    convergence_line,
    convergence_warnings,
    replicate_warnings,
)
from offmanifold.jobs.reduce.context import GeneratorInfo, GroupInfo
from offmanifold.jobs.reduce.schema import SummaryRow, exact, summary_row, summary_table
from offmanifold.jobs.report.summary import NO_BREAK, Estimate, Summary
from offmanifold.jobs.report.view import View

from tests.run_contexts import context_of

GENERATOR = GeneratorInfo("g", 10, (1, 8, 8))
CONTEXT = context_of(
    [
        GroupInfo("train", "train", "all"),
        GroupInfo("test", "test", "all"),
        GroupInfo("MNIST", "outlier", "all"),
    ],
    [GENERATOR],
)


def doubled(
    group: str,
    mean: tuple[float, float, float],
    high: float,
    largest: float,
    varied: str = "transitions",
    n: int = 32,
    estimator: str | None = None,
) -> list[SummaryRow]:
    found = {
        "doubling_change": Interval(float(mean[0]), float(mean[1]), float(mean[2]), n),
        "doubling_change_high": exact(high, n),
        "doubling_change_max": exact(largest, n),
    }
    return [
        summary_row(
            metric,
            interval,
            generator="g",
            condition="own",
            group=group,
            against=varied,
            estimator=estimator,
        )
        for metric, interval in found.items()
    ]


@pytest.mark.parametrize(
    ("mean", "high", "gate"),
    [
        ((0.2, 0.1, 0.4), 0.9, "settled"),
        ((-0.2, -0.4, 0.1), 0.9, "settled"),
        ((0.2, 0.1, 0.4), 1.1, "moving"),
        ((0.2, 0.1, 1.4), 0.9, "moving"),
        ((-0.2, -1.4, 0.1), 0.9, "moving"),
        ((2.0, 1.5, 2.5), math.nan, "moving"),
        ((2.0, math.nan, math.nan), 0.9, "moving"),
        ((0.2, 0.1, 0.4), math.nan, "unknown"),
        ((0.2, math.nan, math.nan), math.nan, "unknown"),
    ],
)
def test_the_gate(mean: tuple[float, float, float], high: float, gate: str) -> None:
    bound = Estimate(high, math.nan, math.nan, 32, "own")
    assert settled_gate(Estimate(*mean, 32, "own"), bound) == gate


def test_warnings_name_the_groups_and_what_it_means_for_outliers() -> None:
    rows = [
        *doubled("MNIST", (20, 15, 25), 40, 55),
        *doubled("train", (3, 2, 4), 4.5, 5),
        *doubled("test", (0.2, 0.1, 0.3), 0.35, 0.4),
    ]
    summary = Summary(summary_table(rows, METRICS))
    changes, modes = convergence_warnings(View(CONTEXT, summary, GENERATOR))
    assert "Twice the transitions: train, MNIST." in changes
    assert f"20.0 [15.0,{NO_BREAK}25.0] nats (MNIST, transitions, N = 32)" in changes
    assert "(MNIST)" in modes
    assert "conservative" in modes
    line = convergence_line(View(CONTEXT, summary, GENERATOR))
    assert line is not None
    assert "MNIST 20" in line
    assert doublings(View(CONTEXT, summary, GENERATOR), "test")["transitions"].gate == "settled"


def test_each_doubled_setting_is_named() -> None:
    rows = [
        each
        for varied, value in {"transitions": 2.0, "chains": 0.5, "restarts": 4.0}.items()
        for each in doubled("train", (value, value, value), value, value, varied)
    ]
    summary = Summary(summary_table(rows, METRICS))
    (warning,) = convergence_warnings(View(CONTEXT, summary, GENERATOR))
    assert "Twice the transitions: train; the restarts: train." in warning
    assert f"4.00 [4.00,{NO_BREAK}4.00] nats (train, restarts, N = 32)" in warning
    line = convergence_line(View(CONTEXT, summary, GENERATOR))
    assert line is not None
    assert "restarts train 4.0" in line
    assert "chains" not in line


def test_a_tenth_of_the_images_that_moves_is_seen_behind_a_small_mean() -> None:
    rows = doubled("MNIST", (0.6, 0.3, 0.9), 20, 20)
    warnings = convergence_warnings(View(CONTEXT, Summary(summary_table(rows, METRICS)), GENERATOR))
    assert "Twice the transitions: MNIST." in warnings[0]
    assert "(MNIST)" in warnings[1]


def test_too_few_images_are_not_called_settled() -> None:
    rows = doubled("MNIST", (0.2, math.nan, math.nan), math.nan, 0.4, n=8)
    summary = Summary(summary_table(rows, METRICS))
    (warning,) = convergence_warnings(View(CONTEXT, summary, GENERATOR))
    assert "with twice the transitions MNIST" in warning
    assert f"N = 8; it takes {FEWEST_BOUNDED}" in warning
    assert convergence_line(View(CONTEXT, summary, GENERATOR)) is None


def test_nothing_is_said_where_all_has_settled() -> None:
    summary = Summary(summary_table(doubled("test", (0.2, 0.1, 0.3), 0.35, 0.4), METRICS))
    assert convergence_warnings(View(CONTEXT, summary, GENERATOR)) == []
    assert convergence_line(View(CONTEXT, summary, GENERATOR)) is None


def replicated(group: str, median: float, largest: float, found: float) -> list[SummaryRow]:
    keys = {"generator": "g", "condition": "own", "group": group}
    sizes = {"": 0.1, "_median": median, "_high": largest, "_max": largest}
    return [
        *(
            summary_row(f"replicate_difference{end}", exact(size, 32), **keys)
            for end, size in sizes.items()
        ),
        summary_row("probe_found_share", Interval(found, 0.0, 1.0, 32), **keys),
    ]


def test_replicates_that_differ_are_named_and_the_worst_has_numbers() -> None:
    rows = [
        *replicated("train", 0.1, 0.4, 0.0),
        *replicated("test", 0.3, 2.5, 0.25),
        *replicated("MNIST", 1.5, 60.0, 0.75),
    ]
    view = View(CONTEXT, Summary(summary_table(rows, METRICS)), GENERATOR)
    apart, missed = replicate_warnings(view)
    assert "nat or more: test, MNIST. The most those of MNIST: by 1.50 nats" in apart
    assert "the largest 60.0 (N = 32)" in apart
    assert "on images of test, MNIST; most often of MNIST, 75" in missed


def test_an_estimator_that_no_verdict_rests_on_has_one_warning() -> None:
    rows = [
        *doubled("test", (0.2, 0.1, 0.3), 0.35, 0.4, estimator="guided"),
        *doubled("test", (9.0, 8.0, 10.0), 12, 15, estimator="classical"),
        *doubled("train", (0.2, 0.1, 0.3), 0.35, 0.4, estimator="classical"),
    ]
    view = View(CONTEXT, Summary(summary_table(rows, METRICS), "guided"), GENERATOR)
    assert convergence_warnings(view) == []
    (warning,) = comparison_warnings(view)
    assert warning.startswith("The classical estimates, which no verdict rests on")
    assert warning.endswith(": test.")
