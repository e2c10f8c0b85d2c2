"""The sweep from its table to the recommendation, on densities and gaps that are known."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from offmanifold.jobs.audits.sweep.section import (
    gap_table,
    recommendations,
    shortfall_table,
    sweep_figure,
)
from offmanifold.jobs.reduce.context import GeneratorInfo, GroupInfo, ReduceContext
from offmanifold.jobs.reduce.parts import RunTableError
from offmanifold.jobs.report.summary import Summary
from offmanifold.jobs.report.view import View
from offmanifold.jobs.results.reduction import reduce_run
from offmanifold.workers.likelihood import SWEEP_TABLE

from tests.run_contexts import context_of

from .conftest import headers, texts

IMAGES = 32
GENERATOR = GeneratorInfo("small", 0, (1, 8, 8))
# Mean gap in nats by T, and how far ln p at T is below that at T = 200.
GAPS = {"guided": {50: 0.9, 100: 0.4, 200: 0.1}, "classical": {50: 9.0, 100: 6.0, 200: 3.0}}
SHORTFALL = {50: 20.0, 100: 5.0, 200: 0.0}


def sweep_rows() -> list[dict[str, Any]]:
    rows = []
    for estimator, gaps in GAPS.items():
        for transitions, gap in gaps.items():
            for group in ("test", "simulated"):
                for image in range(IMAGES):
                    value = 100.0 + 10 * image
                    # By turns 1 nat more and less, so that its mean has an interval.
                    lacking = SHORTFALL[transitions] + (-1) ** image * (transitions < 200)
                    value -= lacking if group == "test" else 0
                    # Symmetric about the mean gap: half-width 0.05 nats.
                    bound = value + gap + 0.05 * (-1) ** image
                    rows.append(
                        {
                            "generator": "small",
                            "group": group,
                            "image_id": f"{group}-{image}",
                            "status": "ok",
                            "estimator": estimator,
                            "transitions": transitions,
                            "log_likelihood": value,
                            "upper_bound": bound if group == "simulated" else None,
                        }
                    )
    return rows


def swept_context(folder: Path, rows: list[dict[str, Any]], tolerance: float) -> ReduceContext:
    (folder / "sweep").mkdir(exist_ok=True)
    table = pa.Table.from_pylist(rows, schema=SWEEP_TABLE.arrow)
    pq.write_table(table, folder / "sweep" / "part-0.parquet")
    groups = [GroupInfo("test", "test", "own"), GroupInfo("simulated", "simulated", "own")]
    return context_of(groups, [GENERATOR], folder, 3, sweep_tolerance=tolerance)


def test_means_gaps_and_shortfalls_by_transitions(tmp_path: Path) -> None:
    context = swept_context(tmp_path, sweep_rows(), 1.0)
    summary = Summary(reduce_run(context), "guided")
    keys = {"generator": "small", "group": "test"}
    for transitions, shortfall in SHORTFALL.items():
        at = {**keys, "against": str(transitions)}
        density = summary.find("sweep_log_likelihood", **at)
        assert density is not None
        assert density.value == pytest.approx(255 - shortfall)
        assert density.low < density.value < density.high
        lacking = summary.find("sweep_shortfall", **at)
        if transitions == 200:
            assert lacking is None
        else:
            # The pairing leaves none of the spread of the densities.
            assert lacking is not None
            assert lacking.value == pytest.approx(shortfall)
            assert shortfall - 0.5 < lacking.low < lacking.high < shortfall + 0.5
    for estimator, gaps in GAPS.items():
        for transitions, gap in gaps.items():
            found = summary.under(estimator).find(
                "sweep_sandwich_gap",
                generator="small",
                group="simulated",
                against=str(transitions),
            )
            assert found is not None
            assert found.value == pytest.approx(gap)
            assert gap - 0.0501 <= found.low < found.high <= gap + 0.0501
            high = summary.under(estimator).find(
                "sweep_sandwich_gap_high",
                generator="small",
                group="simulated",
                against=str(transitions),
            )
            assert high is not None
            assert high.value == pytest.approx(gap + 0.05)


@pytest.mark.parametrize(("tolerance", "guided"), [(1.0, 50), (0.6, 100), (0.2, 200)])
def test_the_recommendation_names_the_smallest_number(
    tmp_path: Path, tolerance: float, guided: int
) -> None:
    context = swept_context(tmp_path, sweep_rows(), tolerance)
    table = reduce_run(context)
    summary = Summary(table, "guided")
    first, second = recommendations(View(context, summary, GENERATOR))
    by_name = {"guided": first, "classical": second}
    assert f"T = {guided}, the smallest of 50, 100, 200" in by_name["guided"]
    assert f"under {tolerance:g} nat" in by_name["guided"]
    assert "No T of 50, 100, 200" in by_name["classical"]
    assert "at T = 200 it is 3.0" in by_name["classical"]
    assert "all but a tenth of them at most 3.05" in by_name["classical"]
    if guided < 200:
        assert (
            f"test images, which change most, rises by {SHORTFALL[guided]:.3g}"[:50]
            in (by_name["guided"])
        )
    rows = [r for r in table.to_pylist() if r["metric"] == "recommended_transitions"]
    assert {(r["estimator"], r["value"], r["against"]) for r in rows} == {
        ("guided", float(guided), f"{tolerance:g}"),
        ("classical", None, f"{tolerance:g}"),
    }


def test_tables_and_figure_hold_every_number_of_transitions(tmp_path: Path) -> None:
    context = swept_context(tmp_path, sweep_rows(), 0.6)
    summary = Summary(reduce_run(context), "guided")
    gaps = gap_table(View(context, summary, GENERATOR))
    assert gaps is not None
    assert [[*row[:2], *row[4:6]] for row in texts(gaps) if row[0] == "guided"] == [
        ["guided", "50", "0.950", "no"],
        ["guided", "100", "0.450", "yes"],
        ["guided", "200", "0.150", "yes"],
    ]
    shortfall = shortfall_table(View(context, summary, GENERATOR))
    assert shortfall is not None
    assert headers(shortfall) == ["estimator", "T", "test", "simulated"]
    figure = sweep_figure(View(context, summary, GENERATOR))
    assert figure is not None
    assert "test, classical: 235 at T = 50, 250 at T = 100, 255 at T = 200" in figure.alt


def test_failed_rows_leave_the_statistics_and_repeated_ones_are_refused(tmp_path: Path) -> None:
    rows = sweep_rows()
    lost = {"generator": "small", "group": "simulated", "image_id": "simulated-0"}
    spoilt = [
        {**lost, "status": "failed", "error": "lost"}
        if row["image_id"] == "simulated-0" and row["estimator"] == "guided"
        else row
        for row in rows
    ]
    summary = Summary(reduce_run(swept_context(tmp_path, spoilt, 1.0)), "guided")
    keys = {"generator": "small", "group": "simulated", "against": "100"}
    for estimator, n in (("guided", IMAGES - 1), ("classical", IMAGES)):
        found = summary.under(estimator).find("sweep_sandwich_gap", **keys)
        assert found is not None
        assert found.n == n
    with pytest.raises(RunTableError, match="twice"):
        reduce_run(swept_context(tmp_path, [*rows, rows[0]], 1.0))


def test_a_tenth_of_the_images_far_off_forbid_a_recommendation(tmp_path: Path) -> None:
    rows = sweep_rows()
    for row in rows:
        far = row["image_id"] == "simulated-3" and row["transitions"] == 100
        row["upper_bound"] = row["log_likelihood"] + 15.0 if far else row["upper_bound"]
    context = swept_context(tmp_path, rows, 1.0)
    found = recommendations(View(context, Summary(reduce_run(context), "guided"), GENERATOR))[0]
    # The mean gap at T = 100 is 0.87 nats; that of 50, which passes by itself, is luck.
    assert "T = 200, the smallest of 50, 100, 200" in found


def test_few_images_recommend_nothing(tmp_path: Path) -> None:
    rows = [row for row in sweep_rows() if not row["image_id"].endswith("-0")]
    context = swept_context(tmp_path, rows, 100.0)
    table = reduce_run(context)
    for sentence in recommendations(View(context, Summary(table, "guided"), GENERATOR)):
        assert "No T of" in sentence
        assert "31 simulated images are too few to tell; it takes 32" in sentence
    recommended = [r for r in table.to_pylist() if r["metric"] == "recommended_transitions"]
    assert [row["value"] for row in recommended] == [None, None]
