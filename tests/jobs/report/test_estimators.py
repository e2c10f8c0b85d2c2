"""Two estimators in one run: their metrics, their gap, and the findings that change with them."""

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from offmanifold.core.statistics.interval import Interval
from offmanifold.jobs.audits import METRICS
from offmanifold.jobs.audits.comparison.figures import gap_figure
from offmanifold.jobs.audits.comparison.findings import compared_findings
from offmanifold.jobs.audits.comparison.section import (
    estimator_sentences,
    findings_table,
    gap_line,
    gap_table,
)
from offmanifold.jobs.audits.convergence.figures import doubling_figures
from offmanifold.jobs.audits.convergence.tables import doubling_table
from offmanifold.jobs.audits.likelihood.densities import trusted_estimator
from offmanifold.jobs.audits.likelihood.health_words import chain_sentences
from offmanifold.jobs.audits.likelihood.section import estimator_rules
from offmanifold.jobs.audits.likelihood.tables import density_table, health_table
from offmanifold.jobs.reduce.context import GeneratorInfo, GroupInfo
from offmanifold.jobs.reduce.parts import RunTableError
from offmanifold.jobs.reduce.schema import SummaryRow, summary_row, summary_table
from offmanifold.jobs.report.summary import Summary
from offmanifold.jobs.results.reduction import reduce_run
from offmanifold.jobs.results.terminal import terminal_summary
from offmanifold.jobs.results.verdicts import judge
from rich.console import Console
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

from tests.run_contexts import context_of

from .conftest import WholeRun, headers, page_view, texts

GENERATOR = GeneratorInfo("g", 10, (1, 8, 8))
CONTEXT = context_of(
    [
        GroupInfo("train", "train", "all"),
        GroupInfo("test", "test", "all"),
        GroupInfo("simulated", "simulated", "all"),
        GroupInfo("MNIST", "outlier", "all"),
    ],
    [GENERATOR],
)


@pytest.fixture
def run(synthetic_run: Callable[..., Any]) -> Any:
    return synthetic_run()


def pick(summary: pd.DataFrame, metric: str, estimator: str, **keys: str) -> pd.Series:
    rows = summary[(summary["metric"] == metric) & (summary["estimator"] == estimator)]
    for key, value in keys.items():
        rows = rows[rows[key] == value]
    assert len(rows) == 1, f"{metric} {estimator} {keys}: {len(rows)} rows"
    return rows.iloc[0]


def test_gap_is_paired_under_the_own_class(whole: WholeRun) -> None:
    summary = whole.summary
    keys = {"group": "single_colour", "against": "classical", "condition": "own"}
    # Every fourth image lies 1.75 times 60 nats below, the others 0.75 times.
    gap = pick(summary, "estimator_gap", "guided", **keys)
    assert gap["value"] == pytest.approx(60.0)
    assert gap["n"] == 40
    # The bootstrap of a mean: a deviation of 60 sqrt(3)/4 nats an image.
    width = gap["high"] - gap["low"]
    assert width == pytest.approx(2 * 1.96 * 60 * math.sqrt(3 / 16 / 40), rel=0.15)
    middle = pick(summary, "estimator_gap_median", "guided", **keys)
    assert middle["value"] == pytest.approx(45.0)
    assert middle["low"] <= 45.0 <= middle["high"]
    train = pick(summary, "estimator_gap", "guided", group="train")
    assert train["value"] == pytest.approx(0.2)


def test_the_gap_leaves_out_images_that_one_estimator_failed_on(run: Any) -> None:
    failed = next(
        row
        for row in run.rows["comparison"]
        if row["image_id"] == "train-000003" and row["condition"] == 3
    )
    failed |= dict.fromkeys(failed.keys() - {"generator", "condition", "group", "image_id"})
    failed |= {"status": "failed", "error": "out of cheese", "label": 3}
    summary = reduce_run(run.write()).to_pandas()
    gap = pick(summary, "estimator_gap", "guided", group="train")
    assert gap["n"] == 47
    # Without one of the twelve images whose part is 1.75.
    assert gap["value"] == pytest.approx(0.2 * (36 * 0.75 + 11 * 1.75) / 47)
    incomplete = [
        pick(summary, "incomplete_images_likelihood", name, group="train")["value"]
        for name in ("guided", "classical")
    ]
    assert incomplete == [0, 1]


def test_each_estimator_has_its_own_auc_and_bits(whole: WholeRun) -> None:
    summary = whole.summary

    def marginal(stage: str, group: str) -> np.ndarray:
        frame = pd.DataFrame([row for row in whole.rows[stage] if row["group"] == group])
        table = frame.pivot(index="image_id", columns="condition", values="log_likelihood")
        return logsumexp(table.to_numpy(), axis=1)

    for stage, estimator in (("likelihood", "guided"), ("comparison", "classical")):
        inside, outside = marginal(stage, "test"), marginal(stage, "single_colour")
        truth = np.repeat([0, 1], [len(inside), len(outside)])
        auc = pick(
            summary,
            "outlier_auc_likelihood",
            estimator,
            group="single_colour",
            against="test",
            condition="marginal",
        )
        assert auc["value"] == pytest.approx(
            roc_auc_score(truth, -np.concatenate([inside, outside]))
        )
        assert (auc["value"] > 0.5) == (estimator == "classical")
        mean = pick(summary, "log_likelihood_mean", estimator, group="test", condition="marginal")
        assert mean["value"] == pytest.approx(np.mean(inside - math.log(4)))


def test_what_the_chains_of_each_estimator_say(whole: WholeRun) -> None:
    summary = whole.summary
    # 4000 and 100 more for each class in turn; four classes an image.
    assert pick(summary, "evaluations", "guided", group="train")["value"] == 4150
    assert pick(summary, "evaluations", "classical", group="train")["value"] == 20000
    assert pick(summary, "modes", "guided", group="test")["value"] == pytest.approx(2.5)
    won = pick(summary, "prior_won_share", "guided", group="single_colour")
    assert won["value"] == pytest.approx(0.1)
    assert won["low"] < 0.1 < won["high"]
    # Never, although a chain of every row started from the prior: half the chance of none is 2.5%.
    never = pick(summary, "prior_won_share", "guided", group="train")
    assert never["value"] == 0
    assert never["high"] == pytest.approx(1 - 0.05 ** (1 / 48))
    settled = pick(summary, "settled_share", "guided", group="natural_patches")
    assert settled["value"] == pytest.approx(0.8)
    assert pick(summary, "settled_share", "guided", group="train")["value"] == 1
    shares = [row["best_chain_share"] for row in whole.rows["comparison"] if row["group"] == "test"]
    share = pick(summary, "best_chain_share", "classical", group="test")
    assert share["value"] == pytest.approx(np.mean(shares))
    classical = set(summary[summary["estimator"] == "classical"]["metric"])
    assert not classical & {"modes", "prior_won_share", "settled_share", "estimator_gap"}


def test_changes_by_estimator_and_by_what_was_doubled(whole: WholeRun) -> None:
    summary = whole.summary
    for estimator, varied, group, change in (
        ("guided", "transitions", "train", 0.2),
        ("guided", "transitions", "natural_patches", 25.0),
        ("guided", "chains", "natural_patches", 0.1),
        ("guided", "restarts", "train", 0.3),
        ("classical", "transitions", "natural_patches", 5.0),
        ("classical", "chains", "train", 1.5),
    ):
        for metric in ("doubling_change", "doubling_change_max"):
            found = pick(summary, metric, estimator, group=group, against=varied)
            assert found["value"] == pytest.approx(change)
            assert found["n"] == 10
    classical = summary[(summary["estimator"] == "classical")]
    assert set(classical[classical["metric"] == "doubling_change"]["against"]) == {
        "transitions",
        "chains",
    }


def test_replicates_by_estimator(whole: WholeRun) -> None:
    summary = whole.summary
    for estimator, difference in (("guided", -0.4), ("classical", 2.5)):
        for end in ("", "_median", "_max"):
            metric = f"replicate_difference{end}"
            found = pick(summary, metric, estimator, group="test")
            assert found["value"] == pytest.approx(abs(difference) if end else difference)
            assert found["n"] == 10
        # The 90% quantile of ten images has no bound.
        high = pick(summary, "replicate_difference_high", estimator, group="test")
        assert np.isnan(high["value"])
    share = pick(summary, "probe_found_share", "guided", group="train")
    assert share["value"] == pytest.approx(0.3)
    assert "classical" not in set(summary[summary["metric"] == "probe_found_share"]["estimator"])


def test_failed_convergence_rows_do_not_say_what_they_varied(run: Any) -> None:
    keys = ("generator", "condition", "group", "image_id", "label")
    for index in (0, 1, 2):
        row = run.rows["convergence"][index]
        run.rows["convergence"][index] = {
            **{key: row[key] for key in keys},
            "status": "failed",
            "error": "out of cheese",
        }
    summary = reduce_run(run.write()).to_pandas()
    change = pick(summary, "doubling_change", "guided", group="train", against="chains")
    assert change["n"] == 9


def test_a_doubled_convergence_row_is_loud(run: Any) -> None:
    run.rows["convergence"].append(run.rows["convergence"][0])
    with pytest.raises(RunTableError, match="1 rows occur twice"):
        reduce_run(run.write())


def test_the_same_estimator_twice_is_loud(run: Any) -> None:
    for row in run.rows["comparison"]:
        row["estimator"] = "guided"
    with pytest.raises(RunTableError, match="both hold the estimator guided"):
        reduce_run(run.write())


def test_a_table_of_two_estimators_is_loud(run: Any) -> None:
    run.rows["likelihood"][7]["estimator"] = "classical"
    with pytest.raises(RunTableError, match=r"several estimators \(classical, guided\)"):
        reduce_run(run.write())


def test_a_comparison_of_other_images_is_loud(run: Any) -> None:
    for row in run.rows["comparison"]:
        if row["image_id"] == "single_colour-000039":
            row["image_id"] = "single_colour-stranger"
    with pytest.raises(RunTableError, match="the same images of group single_colour"):
        reduce_run(run.write())


def test_a_comparison_that_failed_whole_is_no_comparison(run: Any) -> None:
    keys = ("generator", "condition", "group", "image_id", "label")
    run.rows["comparison"] = [
        {**{key: row[key] for key in keys}, "status": "failed", "error": "out of cheese"}
        for row in run.rows["comparison"]
    ]
    context = run.write()
    table = reduce_run(context)
    assert set(table["estimator"].to_pylist()) == {None, "guided"}
    summary = Summary(table, trusted_estimator(context.tables))
    assert gap_table(page_view(context, summary, context.generators[0])) is None


@pytest.mark.parametrize("only", ["guided", "classical"])
def test_one_estimator_alone(run: Any, only: str) -> None:
    stage = "likelihood" if only == "guided" else "comparison"
    run.rows["likelihood"] = run.rows[stage]
    del run.rows["comparison"], run.rows["convergence"]
    context = run.write()
    table = reduce_run(context)
    assert trusted_estimator(context.tables) == only
    assert set(table["estimator"].to_pylist()) == {None, only}
    summary, generator = Summary(table, only), context.generators[0]
    assert summary.estimators == [only]
    assert gap_table(page_view(context, summary, generator)) is None
    assert gap_figure(page_view(context, summary, generator)) is None
    assert findings_table(page_view(context, summary, generator)) is None
    assert estimator_sentences(page_view(context, summary, generator)) == []
    assert gap_line(page_view(context, summary, generator)) is None
    assert doubling_table(page_view(context, summary, generator)) is None
    assert doubling_figures(page_view(context, summary, generator)) == []
    verdicts = judge(context, summary)[generator.name]
    denser = next(verdict for verdict in verdicts if verdict.key == "denser")
    assert (
        denser.headline
        == ("Yes for single_colour, no for natural_patches", "No")[only == "classical"]
    )
    health = health_table(page_view(context, summary, generator))
    assert health is not None
    assert ("modes" in headers(health)) == (only == "guided")
    (rule,) = estimator_rules(page_view(context, summary, generator))
    assert f"The {only} estimator" in rule
    assert "rest on" not in rule


def test_verdicts_rest_on_the_trusted_estimator(whole: WholeRun) -> None:
    context = whole.context
    table = whole.table

    def denser(summary: Summary) -> str:
        verdicts = judge(context, summary)["small"]
        return next(verdict for verdict in verdicts if verdict.key == "denser").headline

    summary = Summary(table, trusted_estimator(context.tables))
    assert "yes for single_colour" in denser(summary).lower()
    assert "yes" not in denser(summary.under("classical")).lower()


def test_tables_show_both_estimators(whole: WholeRun) -> None:
    context = whole.context
    generator = context.generators[0]
    table = whole.table
    summary = Summary(table, "guided")
    density = density_table(page_view(context, summary, generator))
    assert density is not None
    assert [row[:2] for row in density.rows[:2]] == [["train", "marginal"], ["train", "own"]]
    assert headers(density)[2:4] == [
        "mean ln p at least, nats, guided",
        "mean ln p at least, nats, classical",
    ]
    at_most = headers(density).index("at most, nats, guided")
    bounds = {(row[0], row[1]): row[at_most] for row in density.rows}
    for name, group, condition in (
        ("log_likelihood_upper", "simulated", "own"),
        ("log_likelihood_bound", "test", "marginal"),
        ("log_likelihood_bound", "test", "own"),
    ):
        known = summary.find(name, generator=generator.name, group=group, conditions=(condition,))
        assert known is not None
        assert bounds[group, condition] == known
    assert "what chains in reverse give" in density.caption
    gaps = gap_table(page_view(context, summary, generator))
    assert gaps is not None
    colours = next(row for row in texts(gaps) if row[0] == "single_colour")
    assert colours[3].startswith("60.0 [")
    assert colours[4].startswith("45")
    assert colours[5:] == ["4,150", "20,000", "40"]
    doubling = doubling_table(page_view(context, summary, generator))
    assert doubling is not None
    assert [title for title in headers(doubling) if title.endswith("mean")] == [
        "twice the transitions, guided, mean",
        "twice the transitions, classical, mean",
        "twice the chains, guided, mean",
        "twice the chains, classical, mean",
        "twice the restarts, guided, mean",
    ]
    assert [row[0] for row in doubling.rows] == [group.name for group in context.groups]


def test_the_section_names_what_moves_and_what_changes(whole: WholeRun) -> None:
    context = whole.context
    generator = context.generators[0]
    summary = Summary(whole.table, "guided")
    moved, changed = estimator_sentences(page_view(context, summary, generator))
    assert "matters most for single_colour images" in moved
    assert "60.0 [" in moved
    assert "matters least for generated images: 0.100 [" in moved
    assert "took 0.207 times the generator calls" in moved
    findings = {
        found.name: found for found in compared_findings(page_view(context, summary, generator))
    }
    number = sum(found.changes for found in findings.values())
    assert f": {number} of {len(findings)}, those with “yes” in the last column." in changed
    assert findings["AUC of single_colour against test, marginal"].changes
    assert not findings["AUC of natural_patches against test, marginal"].changes
    assert "accuracy on test, %" in findings
    assert "deviation of train from simulated, nats" in findings
    line = gap_line(page_view(context, summary, generator))
    assert line is not None
    assert line.startswith("mean ln p, guided minus classical, nats: train 0.20 [")
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(terminal_summary(context, whole.table))
    assert "mean ln p, guided minus classical" in console.export_text()


def test_figures_by_estimator(whole: WholeRun) -> None:
    context = whole.context
    view = page_view(context, Summary(whole.table, "guided"), context.generators[0])
    guided, classical = doubling_figures(view)
    assert "guided" in guided.alt
    assert "twice the restarts: train 0.3" in guided.alt
    assert "twice the transitions: train 5" in classical.alt
    assert "restarts" not in classical.alt
    gap = gap_figure(view)
    assert gap is not None
    assert "guided minus classical" in gap.alt
    assert "single_colour 60" in gap.alt


def test_words_on_the_chains(whole: WholeRun) -> None:
    context = whole.context
    generator = context.generators[0]
    summary = Summary(whole.table, "guided")
    share, prior, settled = chain_sentences(page_view(context, summary, generator))
    assert "of a guided estimate 0." in share
    assert "of a classical estimate 0." in share
    assert "in 10 [" in prior
    assert "natural_patches images 80 [" in settled


def by(
    estimator: str, metric: str, value: float, low: float, high: float, **keys: str
) -> SummaryRow:
    interval = Interval(float(value), float(low), float(high), 64)
    return summary_row(metric, interval, generator="g", estimator=estimator, **keys)


@pytest.mark.parametrize(
    ("classical", "words", "changes"),
    [
        ((0.3, 0.2, 0.4), "denser", False),
        ((0.7, 0.6, 0.8), "less dense", True),
        ((0.5, 0.4, 0.6), "not decided", True),
    ],
)
def test_an_auc_changes_with_its_side_of_one_half(
    classical: tuple[float, ...], words: str, changes: bool
) -> None:
    keys: dict[str, Any] = {"group": "MNIST", "against": "test", "condition": "marginal"}
    table = summary_table(
        [
            by("guided", "outlier_auc_likelihood", 0.2, 0.1, 0.3, **keys),
            by("classical", "outlier_auc_likelihood", *classical, **keys),
        ],
        METRICS,
    )
    (found,) = compared_findings(page_view(CONTEXT, Summary(table, "guided"), GENERATOR))
    assert found.trusted.words == "denser"
    assert found.other.words == words
    assert found.changes == changes


@pytest.mark.parametrize(
    ("classical", "words"),
    [
        ((-0.2, -0.3, -0.1), "below 1-NN's"),
        ((0.1, 0.0, 0.2), "at least 1-NN's"),
        ((-0.01, -0.1, 0.1), "not decided"),
    ],
)
def test_an_accuracy_is_held_against_the_neighbours(
    classical: tuple[float, ...], words: str
) -> None:
    keys: dict[str, Any] = {"group": "test", "against": "1-NN in pixels"}
    table = summary_table(
        [
            by("guided", "accuracy_likelihood", 0.8, 0.7, 0.9, group="test"),
            by("classical", "accuracy_likelihood", 0.6, 0.5, 0.7, group="test"),
            by("guided", "accuracy_difference_likelihood", 0.1, 0.05, 0.2, **keys),
            by("classical", "accuracy_difference_likelihood", *classical, **keys),
            summary_row("accuracy_neighbours", Interval(0.7, 0.6, 0.8, 64), group="test"),
        ],
        METRICS,
    )
    (found,) = compared_findings(page_view(CONTEXT, Summary(table, "guided"), GENERATOR))
    assert found.trusted.format.written(found.trusted.value).text.startswith("80.0 [")
    assert found.trusted.words == "at least 1-NN's"
    assert found.other.words == words


@pytest.mark.parametrize(
    ("margin", "p_value", "words"),
    [(5.0, 0.001, "atypical"), (1.0, 0.3, "not decided"), (5.0, 0.3, "typical")],
)
def test_typicality_is_by_each_estimators_own_test(
    margin: float, p_value: float, words: str
) -> None:
    keys: dict[str, Any] = {"group": "train", "against": "simulated", "condition": "own"}
    rows = []
    for estimator, allowed, p_mean in (("guided", 5.0, 0.3), ("classical", margin, p_value)):
        rows.append(by(estimator, "typicality_deviation", 3.0, 2.0, 4.0, **keys))
        for name, value in {"margin": allowed, "p_mean": p_mean, "p_shape": 0.6}.items():
            rows.append(by(estimator, f"typicality_{name}", value, math.nan, math.nan, **keys))
    (found,) = compared_findings(
        page_view(CONTEXT, Summary(summary_table(rows, METRICS), "guided"), GENERATOR)
    )
    assert (found.trusted.words, found.other.words) == ("typical", words)


def test_unchanged_findings_are_said_to_stand() -> None:
    keys: dict[str, Any] = {"group": "MNIST", "against": "test", "condition": "marginal"}
    gap: dict[str, Any] = {"group": "MNIST", "against": "classical", "condition": "own"}
    table = summary_table(
        [
            by("guided", "outlier_auc_likelihood", 0.2, 0.1, 0.3, **keys),
            by("classical", "outlier_auc_likelihood", 0.3, 0.2, 0.4, **keys),
            by("guided", "estimator_gap", 12.5, 11, 14, **gap),
        ],
        METRICS,
    )
    summary = Summary(table, "guided")
    moved, stands = estimator_sentences(page_view(CONTEXT, summary, GENERATOR))
    assert "12.5 [11.0" in moved
    assert "least" not in moved
    assert stands == "Findings that change with the estimator: none of 1."
