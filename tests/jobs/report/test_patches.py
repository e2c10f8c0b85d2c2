"""Correlations with the patch model, local variation and other classes: rows, words, pictures."""

import io
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from offmanifold.core.statistics.interval import Interval
from offmanifold.jobs.audits import METRICS
from offmanifold.jobs.audits.across.class_densities.reduce import reduce_class_densities
from offmanifold.jobs.audits.across.class_densities.section import class_section
from offmanifold.jobs.audits.comparison.findings import compared_findings
from offmanifold.jobs.audits.patches.figures import top_pictures
from offmanifold.jobs.audits.patches.reduce import reduce_patches
from offmanifold.jobs.audits.patches.section import patch_section
from offmanifold.jobs.audits.variation.reduce import reduce_variation
from offmanifold.jobs.audits.variation.section import extreme_pictures, variation_section
from offmanifold.jobs.reduce.context import GeneratorInfo, GroupInfo, ReduceContext
from offmanifold.jobs.reduce.parts import RunTableError
from offmanifold.jobs.reduce.schema import SummaryRow, summary_row, summary_table
from offmanifold.jobs.report.section import PageView, Section
from offmanifold.jobs.report.summary import Summary
from offmanifold.jobs.results.verdicts import judge
from PIL import Image
from scipy import stats

from tests.run_contexts import context_of

from .conftest import headers, page_view

CLASSES = 4


@pytest.fixture
def run(synthetic_run: Callable[..., Any]) -> Any:
    return synthetic_run()


@pytest.fixture(scope="module")
def standard(synthetic_run: Callable[..., Any]) -> Any:
    """A run that no test changes, written."""
    run = synthetic_run()
    run.write()
    return run


@pytest.fixture(scope="module")
def rows(standard: Any) -> list[SummaryRow]:
    """The rows of all three reducers, for that run."""
    context = standard.context
    return [*reduce_patches(context), *reduce_variation(context), *reduce_class_densities(context)]


@pytest.fixture(scope="module")
def summary(rows: list[SummaryRow]) -> pd.DataFrame:
    return frame(rows)


def frame(rows: list[SummaryRow]) -> pd.DataFrame:
    return summary_table(rows, METRICS).to_pandas()


def pick(summary: pd.DataFrame, metric: str, **keys: str | None) -> pd.Series:
    rows = summary[summary["metric"] == metric]
    for key, value in keys.items():
        rows = rows[rows[key].isna()] if value is None else rows[rows[key] == value]
    assert len(rows) == 1, f"{metric} {keys}: {len(rows)} rows"
    return rows.iloc[0]


def both_densities(run: Any, *groups: str) -> pd.DataFrame:
    keys = ["group", "image_id", "condition", "label"]
    likelihood = pd.DataFrame(run.rows["likelihood"])[[*keys, "log_likelihood"]]
    patches = pd.DataFrame(run.rows["patch_gmm"])[[*keys, "log_density"]]
    both = likelihood.merge(patches, on=keys)
    return both[both["group"].isin(groups)]


def test_correlations_under_the_own_class(standard: Any, summary: pd.DataFrame) -> None:
    table = both_densities(standard, "test")
    own = table[table["condition"] == table["label"]]
    for kind, theirs in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr)):
        found = pick(
            summary,
            f"patch_correlation_{kind}",
            group="test",
            against=None,
            condition="own",
            estimator="guided",
        )
        expected = theirs(own["log_likelihood"], own["log_density"]).statistic
        assert found["value"] == pytest.approx(expected)
        assert found["low"] < found["value"] < found["high"]
        assert found["n"] == 60


def test_correlations_by_class_are_over_all_images_under_it(
    standard: Any, summary: pd.DataFrame
) -> None:
    table = both_densities(standard, "test", "single_colour", "natural_patches")
    keys = {"group": "test", "against": "with outliers", "estimator": "guided"}
    expected = []
    for c in range(CLASSES):
        under = table[table["condition"] == c]
        value = stats.pearsonr(under["log_likelihood"], under["log_density"]).statistic
        found = pick(summary, "patch_correlation_pearson", condition=f"class {c}", **keys)
        assert found["value"] == pytest.approx(value)
        assert found["n"] == 60 + 40 + 40
        expected.append(value)
    mean = pick(summary, "patch_correlation_pearson", condition="per class mean", **keys)
    assert mean["value"] == pytest.approx(np.mean(expected))
    assert mean["n"] == 140


def test_a_class_with_few_images_leaves_the_mean(synthetic_run: Callable[..., Any]) -> None:
    run = synthetic_run(conditions="own")
    for stage in ("likelihood", "patch_gmm"):
        test = [row for row in run.rows[stage] if row["group"] == "test"]
        # Class 3 keeps 9 of its 15 images.
        dropped = {row["image_id"] for row in test if row["condition"] == 3}
        dropped = set(sorted(dropped)[9:])
        run.rows[stage] = [row for row in run.rows[stage] if row["image_id"] not in dropped]
    run.rows["comparison"] = []
    summary = frame(reduce_patches(run.write()))
    keys = {"group": "test", "against": None}
    metric = "patch_correlation_spearman"
    assert pick(summary, metric, condition="class 2", **keys)["n"] == 15
    assert pick(summary, metric, condition="per class mean", **keys)["n"] == 45
    assert set(summary[summary["condition"] == "class 3"]["against"]) == {"with outliers"}


def test_overlap_of_the_densest(standard: Any, summary: pd.DataFrame) -> None:
    table = both_densities(standard, "test")
    own = table[table["condition"] == table["label"]]
    tops = [
        set(own.sort_values(column, ascending=False)["image_id"][:20])
        for column in ("log_likelihood", "log_density")
    ]
    keys = {"group": "test", "against": None, "estimator": "guided"}
    found = pick(summary, "patch_top_overlap", **keys)
    assert found["value"] == pytest.approx(len(tops[0] & tops[1]) / 20)
    assert pick(summary, "patch_top_size", **keys)["value"] == 20


def test_failed_rows_leave_the_correlations(run: Any) -> None:
    bad = next(row for row in run.rows["patch_gmm"] if row["image_id"] == "test-000000")
    for row in run.rows["patch_gmm"]:
        if row["image_id"] == bad["image_id"]:
            row.update(status="failed", error="no", log_density=None)
    found = pick(
        frame(reduce_patches(run.write())),
        "patch_correlation_pearson",
        group="test",
        against=None,
        condition="own",
        estimator="guided",
    )
    assert found["n"] == 59


def test_tables_of_other_images_are_refused(run: Any) -> None:
    run.rows["patch_gmm"] = [
        row for row in run.rows["patch_gmm"] if row["image_id"] != "test-000000"
    ]
    with pytest.raises(RunTableError, match="patch_gmm do not hold the same images of group test"):
        reduce_patches(run.write())


def test_local_variation_against_the_density(standard: Any, summary: pd.DataFrame) -> None:
    variation = {row["image_id"]: row["variation"] for row in standard.rows["local_variation"]}
    table = both_densities(standard, "train")
    own = table[table["condition"] == table["label"]]
    spread = own["image_id"].map(variation)
    keys = {"group": "train", "against": None, "estimator": "guided"}
    found = pick(summary, "variation_correlation_spearman", **keys)
    expected = stats.spearmanr(spread, own["log_likelihood"]).statistic
    assert found["value"] == pytest.approx(expected)
    assert found["low"] < expected < found["high"]
    mean = pick(summary, "local_variation_mean", group="train")
    assert mean["value"] == pytest.approx(spread.mean())
    assert pick(summary, "local_variation_mean", group="generated")["generator"] == "small"
    # Single colours do not vary, so nothing correlates with their variation.
    flat = set(summary[summary["group"] == "single_colour"]["metric"])
    assert not {metric for metric in flat if metric.startswith("variation_correlation")}


def test_class_densities_against_each_other(standard: Any, summary: pd.DataFrame) -> None:
    table = both_densities(standard, "test").pivot(
        index="image_id", columns="condition", values="log_likelihood"
    )
    pairs = np.triu_indices(CLASSES, 1)
    for kind, matrix in (
        ("pearson", np.corrcoef(table.to_numpy().T)),
        ("spearman", stats.spearmanr(table).statistic),
    ):
        found = pick(summary, f"class_correlation_{kind}", group="test", estimator="guided")
        assert found["value"] == pytest.approx(matrix[pairs].mean())
        assert found["low"] < found["value"] < found["high"]
        assert found["n"] == 60


def test_groups_under_their_own_class_have_no_pairs(synthetic_run: Callable[..., Any]) -> None:
    assert not reduce_class_densities(synthetic_run(conditions="own").write())


WIDE = GeneratorInfo("g", 10, (1, 16, 16))
CONTEXT = context_of(
    [
        GroupInfo("test", "test", "all"),
        GroupInfo("simulated", "simulated", "all"),
        GroupInfo("MNIST", "outlier", "all"),
    ],
    [WIDE],
)


def correlation(
    value: float, low: float, high: float, estimator: str = "guided", group: str = "test"
) -> SummaryRow:
    return summary_row(
        "patch_correlation_pearson",
        Interval(value, low, high, 64),
        generator="g",
        condition="per class mean",
        group=group,
        estimator=estimator,
    )


@pytest.mark.parametrize(
    ("bounds", "answer", "tone"),
    [
        ((0.94, 0.91, 0.96), "Yes", "bad"),
        ((0.3, 0.1, 0.5), "No", "good"),
        ((0.7, 0.6, 0.8), "Not decided", "open"),
        ((0.99, math.nan, math.nan), "Not decided", "open"),
        ((0.99, 0.99, 0.99), "Not decided", "open"),
    ],
)
def test_whether_patches_explain_the_density(
    bounds: tuple[float, float, float], answer: str, tone: str
) -> None:
    rows = [correlation(*bounds), correlation(0.3, 0.1, 0.5, group="simulated")]
    (verdict,) = judge(CONTEXT, Summary(summary_table(rows, METRICS), "guided"))["g"]
    assert verdict.key == "patches"
    assert (verdict.headline, verdict.tone) == (answer, tone)
    assert "N = 64" in verdict.findings[0].sentence


@pytest.mark.parametrize(
    ("null", "words"),
    [
        ([], "Add a group for it"),
        ([correlation(0.9, 0.8, 0.95, group="simulated")], "says the same about a model"),
    ],
)
def test_patches_that_explain_the_models_own_samples_decide_nothing(
    null: list[SummaryRow], words: str
) -> None:
    rows = [correlation(0.94, 0.91, 0.96), *null]
    (verdict,) = judge(CONTEXT, Summary(summary_table(rows, METRICS), "guided"))["g"]
    assert verdict.tone == "open"
    assert words in verdict.findings[0].sentence


def test_one_patch_that_is_the_whole_image_answers_nothing() -> None:
    summary = Summary(summary_table([correlation(0.94, 0.91, 0.96)], METRICS), "guided")
    for shape in ((1, 8, 8), (1, 4, 4)):
        generators = [replace(WIDE, image_shape=shape)]
        assert judge(replace(CONTEXT, generators=generators), summary) == {"g": []}


def test_the_estimator_can_change_the_conclusion() -> None:
    rows = [correlation(0.94, 0.91, 0.96), correlation(0.5, 0.3, 0.6, "classical")]
    (finding,) = compared_findings(
        page_view(CONTEXT, Summary(summary_table(rows, METRICS), "guided"), WIDE)
    )
    assert (finding.trusted.words, finding.other.words) == ("above half", "below half")
    assert finding.changes


def view_of(context: ReduceContext, rows: list[SummaryRow]) -> PageView:
    return page_view(
        context, Summary(summary_table(rows, METRICS), "guided"), context.generators[0]
    )


def section(
    context: ReduceContext, maker: Callable[[PageView], Section], rows: list[SummaryRow]
) -> Section:
    return maker(view_of(context, rows))


def test_patch_section_says_what_was_fitted(standard: Any, rows: list[SummaryRow]) -> None:
    found = section(standard.context, patch_section, rows)
    text = " ".join(found.text)
    assert "One mixture for each of 4 classes, of 2 Gaussians" in text
    assert "fitted to 130 patches of digits each; the patch mean is kept" in text
    assert "0.001" in text
    assert "4 of 4 fits converged" in text
    assert "one patch is the whole image" in text
    assert [table.key for table in found.tables] == [
        "patch-correlation",
        "patch-classes",
        "patch-top",
    ]
    groups = {row[0] for row in found.tables[0].rows}
    assert groups == {*[g.name for g in standard.context.groups], "test with outliers"}
    assert dict(zip(headers(found.tables[2]), found.tables[2].rows[0], strict=True))["list"] == 20


def test_sections_without_their_stages_are_empty(run: Any) -> None:
    for stage in ("patch_fit", "patch_gmm", "local_variation", "likelihood", "comparison"):
        run.rows.pop(stage)
    context = run.write()
    assert not reduce_patches(context) + reduce_variation(context) + reduce_class_densities(context)
    for maker in (patch_section, variation_section, class_section):
        found = section(context, maker, [])
        assert not found.figures
        assert not found.tables


def opened(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("L"))


def test_extremes_are_the_densest_above_and_the_least_dense_below(standard: Any) -> None:
    own = {
        row["image_id"]: row["log_likelihood"]
        for row in standard.rows["likelihood"]
        if row["group"] == "test" and row["condition"] == row["label"]
    }
    ordered = sorted(own, key=lambda image_id: -own[image_id])
    pixels = {row["image_id"]: row["pixels"] for row in standard.rows["images"]}
    alone, pooled = extreme_pictures(view_of(standard.context, []))
    shown = opened(alone.content)
    for row, ids in enumerate((ordered[:8], ordered[-8:])):
        for column, image_id in enumerate(ids):
            tile = shown[9 * row : 9 * row + 8, 9 * column : 9 * column + 8]
            expected = np.round(np.reshape(pixels[image_id], (8, 8)) * 255)
            np.testing.assert_allclose(tile, expected, atol=1)
    assert pooled.key == "extremes-test-with-outliers"
    assert "8 of 140 images" in pooled.caption


def test_top_pictures_count_what_both_rows_share(standard: Any) -> None:
    table = both_densities(standard, "test")
    own = table[table["condition"] == table["label"]]
    tops = [
        set(own.sort_values(column, ascending=False)["image_id"][:20])
        for column in ("log_likelihood", "log_density")
    ]
    found = top_pictures(view_of(standard.context, []))
    assert found is not None
    assert f"{len(tops[0] & tops[1])} are in both rows" in found.caption
    assert opened(found.content).shape == (17, 20 * 9 - 1)


def test_the_pair_of_classes_shown_is_the_median_one(standard: Any, rows: list[SummaryRow]) -> None:
    table = both_densities(standard, "test").pivot(
        index="image_id", columns="condition", values="log_likelihood"
    )
    pairs = np.corrcoef(table.to_numpy().T)[np.triu_indices(CLASSES, 1)]
    found = section(standard.context, class_section, rows)
    assert [figure.key for figure in found.figures] == ["class-matrix", "class-scatter"]
    median = sorted(pairs)[(len(pairs) - 1) // 2]
    assert f"{median:.3f}" in found.figures[1].caption
