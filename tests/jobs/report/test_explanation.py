"""What densities are made of: rows, the plane and two-sided ranks of runs with known numbers."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from offmanifold.core.statistics.outliers import area_under_curve
from offmanifold.core.statistics.two_sided import two_sided_p_values
from offmanifold.jobs.audits import METRICS
from offmanifold.jobs.audits.explanation.reduce import (
    reduce_code_lengths,
    reduce_complexity,
    reduce_terms,
)
from offmanifold.jobs.audits.explanation.section import explanation_section
from offmanifold.jobs.audits.specs import parse_spec
from offmanifold.jobs.reduce.context import ReduceContext
from offmanifold.jobs.reduce.schema import SummaryRow, summary_table
from offmanifold.jobs.report.summary import Summary
from offmanifold.jobs.spec.loading import SpecError

from .conftest import page_view

BITS = {"single_colour": 60.0, "natural_patches": 330.0, "simulated": 420.0, "null": 410.0}


def with_explanation(run: Any) -> Any:
    """The run with terms of every density, and code lengths: single colours are simple."""
    rng = np.random.default_rng(6)
    seen = set()
    for row in [*run.rows["likelihood"], *run.rows["null_likelihood"]]:
        own = row["label"] is None or row["condition"] == row["label"]
        if row["image_id"] in seen or not own:
            continue
        seen.add(row["image_id"])
        key = {name: row[name] for name in ("generator", "condition", "group", "image_id", "label")}
        bits = BITS.get(row["group"], 300.0) + rng.normal(0, 12)
        run.rows["code_lengths"].append({**key, "levels": 256, "code_length": bits})
        if row["group"] != "null":
            terms = {"fit": row["log_likelihood"] + 29.5, "prior": -20.0, "volume": -10.0}
            run.rows["density_terms"].append({**key, "variance": 0.01, **terms})
    return run


@pytest.fixture(scope="module")
def standard(synthetic_run: Callable[..., Any]) -> Any:
    run = with_explanation(synthetic_run(conditions="own"))
    run.write()
    return run


def reduced(context: ReduceContext) -> list[SummaryRow]:
    return [
        *reduce_terms(context),
        *reduce_code_lengths(context),
        *reduce_complexity(context),
    ]


@pytest.fixture(scope="module")
def rows(standard: Any) -> list[SummaryRow]:
    return reduced(standard.context)


@pytest.fixture(scope="module")
def summary(rows: list[SummaryRow]) -> pd.DataFrame:
    frame: pd.DataFrame = summary_table(rows, METRICS).to_pandas()
    return frame[frame["estimator"] != "classical"]


def value(summary: pd.DataFrame, metric: str, group: str) -> float:
    (found,) = summary[(summary["metric"] == metric) & (summary["group"] == group)]["value"]
    return float(found)


def scores_of(run: Any, group: str) -> tuple[np.ndarray, np.ndarray]:
    bits = {row["image_id"]: row["code_length"] for row in run.rows["code_lengths"]}
    table = pd.DataFrame([row for row in run.rows["likelihood"] if row["group"] == group])
    table = table.sort_values("image_id")
    lengths = table["image_id"].map(bits).to_numpy(np.float64)
    return table["log_likelihood"].to_numpy(np.float64), lengths


def test_terms_and_what_is_left_add_up_to_the_density(standard: Any, summary: Any) -> None:
    for group in ("train", "test", "generated", "simulated", "single_colour"):
        names = ("fit", "prior", "volume", "rest")
        found = [value(summary, f"density_{name}_mean", group) for name in names]
        assert sum(found) == pytest.approx(scores_of(standard, group)[0].mean())
        assert found[1:] == pytest.approx([-20.0, -10.0, 0.5])


def test_aucs_are_those_of_the_scores(standard: Any, summary: pd.DataFrame) -> None:
    density, bits = scores_of(standard, "test")
    for group in ("generated", "single_colour", "natural_patches"):
        own, own_bits = scores_of(standard, group)
        pairs = {
            "plain_auc": (-density, -own),
            "code_length_auc": (bits, own_bits),
            "corrected_auc": (-density / math.log(2) - bits, -own / math.log(2) - own_bits),
        }
        for metric, (inliers, outliers) in pairs.items():
            assert value(summary, metric, group) == pytest.approx(
                area_under_curve(inliers, outliers)
            )
    # Single colours are denser than the data for their simplicity.
    assert value(summary, "plain_auc", "single_colour") < 0.2
    assert value(summary, "corrected_auc", "single_colour") == 1.0


def test_unlike_images_are_those_of_small_p_values(standard: Any, summary: pd.DataFrame) -> None:
    def pair(group: str) -> np.ndarray:
        density, bits = scores_of(standard, group)
        return np.column_stack([density, -density / math.log(2) - bits])

    for group in ("simulated", "single_colour", "natural_patches"):
        p_values = two_sided_p_values(pair(group), pair("test"))
        assert value(summary, "unlike_share", group) == pytest.approx(np.mean(p_values <= 0.05))
    assert value(summary, "unlike_found", "single_colour") == 40
    assert value(summary, "unlike_p", "single_colour") < 1e-6
    # Training images are a little denser than the test images, and as long.
    assert value(summary, "unlike_share", "train") < 0.4


def test_the_models_own_samples_are_asked_the_same(summary: pd.DataFrame) -> None:
    assert {"simulated", "generated", "null"} <= set(
        summary[summary["metric"] == "unlike_share"]["group"]
    )


def test_code_lengths_are_per_value(standard: Any, summary: pd.DataFrame) -> None:
    _, bits = scores_of(standard, "train")
    assert value(summary, "code_length_mean", "train") == pytest.approx(bits.mean() / 64)


def test_images_without_a_code_length_or_a_density_widen_the_aucs(
    synthetic_run: Callable[..., Any],
) -> None:
    run = with_explanation(synthetic_run(conditions="own"))
    before = summary_table(reduced(run.write()), METRICS).to_pandas()
    failed = [row for row in run.rows["code_lengths"] if row["group"] == "natural_patches"][:5]
    for each in failed:
        each |= {"status": "failed", "error": "no", "code_length": None, "levels": None}
    (run.run_dir / "code_lengths" / "part-a.parquet").unlink()
    after = summary_table(reduced(run.write()), METRICS).to_pandas()

    def row(frame: pd.DataFrame) -> pd.Series:
        chosen = (frame["metric"] == "plain_auc") & (frame["group"] == "natural_patches")
        return frame[chosen & (frame["estimator"] == "guided")].iloc[0]

    assert (row(before)["n"], row(after)["n"]) == (40, 35)
    assert row(after)["low"] < row(before)["low"] - 0.05


def section_of(context: ReduceContext, rows: list[SummaryRow]) -> Any:
    summary = Summary(summary_table(rows, METRICS), "guided")
    return explanation_section(page_view(context, summary, context.generators[0]))


def test_the_section_tells_both_aucs_and_the_models_own_images(
    standard: Any, rows: list[SummaryRow]
) -> None:
    found = section_of(standard.context, rows)
    assert [table.key for table in found.tables] == ["density-terms", "complexity"]
    assert found.figures[0].key == "complexity-plane"
    text = " ".join(found.text)
    assert "does not replace it" in text
    assert "Of the model's own images it finds, of generated" in text
    assert ", of null 100 [91,\xa0100]% (N = 32)" in text
    headers = [column.header for column in found.tables[1].columns]
    plain, corrected = "AUC of −ln p", "AUC of −ln p less the code length"
    assert headers.index(plain) < headers.index(corrected)
    assert {row[0] for row in found.tables[1].rows} >= {"train", "null", "single_colour"}


def test_without_held_out_images_none_is_called_unlike(synthetic_run: Callable[..., Any]) -> None:
    run = with_explanation(synthetic_run(conditions="own"))
    for stage, own in run.rows.items():
        run.rows[stage] = [row for row in own if row.get("group") != "test"]
    run.with_context(groups=[group for group in run.context.groups if group.name != "test"])
    context = run.write()
    rows = reduced(context)
    assert not [row for row in rows if row.metric.startswith("unlike")]
    assert [row for row in rows if row.metric == "corrected_auc"]
    assert "There are no held-out images" in " ".join(section_of(context, rows).text)


def test_too_few_held_out_images_are_named(synthetic_run: Callable[..., Any]) -> None:
    run = with_explanation(synthetic_run(conditions="own"))
    for stage, own in run.rows.items():
        run.rows[stage] = [
            row for row in own if row.get("group") != "test" or int(str(row["image_id"])[-6:]) < 18
        ]
    context = run.write()
    rows = reduced(context)
    assert not [row for row in rows if row.metric.startswith("unlike")]
    assert "that takes 19 of these" in " ".join(section_of(context, rows).text)


def test_a_run_without_it_has_no_section(synthetic_run: Callable[..., Any]) -> None:
    run = synthetic_run()
    for stage in ("code_lengths", "density_terms"):
        run.rows.pop(stage)
    context = run.write()
    assert not reduced(context)
    found = section_of(context, [])
    assert not found.figures
    assert not found.tables


def test_marginal_densities_are_compared_where_every_group_has_them(
    synthetic_run: Callable[..., Any],
) -> None:
    run = with_explanation(synthetic_run())
    context = run.write()
    found = {row.condition for row in reduce_complexity(context) if row.group == "train"}
    assert found == {"marginal"}


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("likelihood", "stages.explanation explains densities: add `likelihood: {}`"),
        ("inversion", "stages.explanation starts from inversions: add `inversion: {}`"),
    ],
)
def test_what_it_rests_on_is_asked_for(missing: str, message: str) -> None:
    stages = {"inversion": {}, "variance": {"value": 0.01}, "likelihood": {}, "explanation": {}}
    stages.pop(missing)
    spec = {
        "name": "explained",
        "generators": [{"name": "gan", "source": "shipped:digits"}],
        "groups": [{"name": "test", "role": "test", "dataset": "digits", "split": "test"}],
        "stages": stages,
    }
    with pytest.raises(SpecError, match=message):
        parse_spec(yaml.safe_dump(spec), Path("/elsewhere"), (), "audit.yaml")
