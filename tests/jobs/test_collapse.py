"""Collapse over the checkpoints of a training and across generators: tables, words, comparison."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from offmanifold.core.statistics.interval import Interval
from offmanifold.jobs.audits import METRICS
from offmanifold.jobs.audits.across.collapse.quality import quality_table, reversals
from offmanifold.jobs.audits.across.collapse.reduce import favoured_together
from offmanifold.jobs.audits.across.collapse.section import recedes
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.compare.classes import class_sentences
from offmanifold.jobs.compare.sides import open_sides
from offmanifold.jobs.reduce.context import GeneratorInfo
from offmanifold.jobs.reduce.schema import exact, summary_row, summary_table
from offmanifold.jobs.report.summary import Estimate, Summary
from offmanifold.jobs.report.view import View
from sklearn.datasets import load_digits
from typer.testing import CliRunner

from .conftest import write_spec

ITERATIONS = (100, 200, 300, 400, 500, 600)


def make_sets(folder: Path) -> None:
    """Six checkpoints that collapse onto 7 less and less, after one onto 2; two other samples."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    images = np.round(digits.images[order] / 16 * 255).astype(np.uint8)[..., None]
    labels = digits.target[order].astype(np.int64)

    def save(name: str, chosen: np.ndarray) -> None:
        np.savez(folder / f"{name}.npz", images[chosen], labels[chosen])

    save("learned", np.arange(600))
    save("held", np.arange(600, 1100))
    left = np.arange(1100, 1797)
    rng = np.random.default_rng(1)
    extra = zip(ITERATIONS, (2, 7, 7, 7, 7, 7), (250, 200, 160, 110, 60, 30), strict=True)
    for iteration, digit, count in extra:
        favoured = rng.choice(left[labels[left] == digit], count)
        save(f"at-{iteration}", np.concatenate([favoured, left[: 300 - count]]))
    other = np.concatenate([rng.choice(left[labels[left] == 7], 150), left[:150]])
    np.savez(folder / "other.npz", images[other])
    # Digits below 5, and the others.
    for name, chosen in (("learned-2", np.arange(600)), ("held-2", np.arange(600, 1100))):
        np.savez(folder / f"{name}.npz", images[chosen], labels[chosen] // 5)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collapse")
    make_sets(folder)
    checkpoints = [
        {"iteration": each, "samples": {"dataset": "npz", "path": f"at-{each}.npz"}}
        for each in ITERATIONS
    ]
    spec: dict[str, Any] = {
        "name": "collapse",
        "generators": [
            {"name": "gan", "checkpoints": checkpoints},
            {"name": "other", "samples": {"dataset": "npz", "path": "other.npz"}},
        ],
        "groups": [{"name": "generated", "role": "generated", "count": 2}],
        "stages": {
            "annotator": {
                "dataset": "npz",
                "split": None,
                "path": "learned.npz",
                "architecture": "linear",
                "most_rounds": 4,
            },
            "class_shares": {"dataset": "npz", "split": None, "path": "held.npz", "images": 300},
        },
        "cluster": {"executor": "serial"},
    }
    run(folder, spec, "run")
    spec["generators"] = spec["generators"][1:]
    spec["stages"]["annotator"]["path"] = "learned-2.npz"
    spec["stages"]["class_shares"]["path"] = "held-2.npz"
    run(folder, spec, "coarse")
    return folder


def run(folder: Path, spec: dict[str, Any], name: str) -> None:
    path = str(write_spec(folder, spec))
    result = CliRunner().invoke(app, ["run", path, "--out", str(folder / name)])
    assert result.exit_code == 0, result.output


def value(finished: Path, generator: str | None, metric: str) -> pd.Series:
    summary = pd.read_parquet(finished / "run" / "summary.parquet")
    of = summary.generator.isna() if generator is None else summary.generator == generator
    found = summary[of & (summary.metric == metric)]
    assert len(found) == 1
    return found.iloc[0]


def test_a_training_whose_collapse_recedes(finished: Path) -> None:
    dominant = [int(value(finished, f"gan@{each}", "dominant_class").value) for each in ITERATIONS]
    assert dominant == [2, 7, 7, 7, 7, 7]
    assert value(finished, "gan@600", "dominant_class_switches").value == 1
    assert value(finished, "gan@300", "dominant_class_switches").n == 3
    trend = value(finished, "gan@600", "class_total_variation_trend")
    distances = [
        value(finished, f"gan@{each}", "class_total_variation").value for each in ITERATIONS
    ]
    slope = np.polyfit(ITERATIONS, distances, 1)[0] * (ITERATIONS[-1] - ITERATIONS[0])
    assert trend.value == pytest.approx(slope)
    assert trend.high < 0
    assert np.isnan(value(finished, "gan@400", "class_total_variation_trend").low)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-0.3, -0.1, "it recedes"),
        (0.1, 0.3, "it grows"),
        (-0.1, 0.3, "not decided"),
        (-0.2, -0.2, "not decided"),
        (math.nan, math.nan, "an interval needs five checkpoints, so nothing is decided"),
    ],
)
def test_a_trend_in_words(low: float, high: float, said: str) -> None:
    assert recedes(Estimate(-0.2, low, high, 6, None)) == said


def test_the_report_says_so_once(finished: Path) -> None:
    page = (finished / "run" / "report.html").read_text()
    assert page.count("Over 6 checkpoints it changed 1 times.") == 1
    assert "it recedes" in page
    assert page.count("What gan made in the course of its training") >= 1
    # Once with the training's last checkpoint, once with the other generator.
    assert page.count("Do generators favour the same classes?") == 2
    assert value(finished, None, "shared_collapse").n == 2


def test_a_comparison_says_what_generators_have_in_common(finished: Path) -> None:
    page = finished / "compared.html"
    folders = [str(finished / name) for name in ("run", "coarse")]
    result = CliRunner().invoke(app, ["compare", *folders, "--out", str(page)])
    assert result.exit_code == 0, result.output
    for text in (" ".join(result.output.split()), page.read_text()):
        assert "class share ratios of 2 generators" in text
        (said,) = re.findall(r"other under annotators [^:]*: [a-z ]*", text)
        assert "of 2 classes (H) has a total variation of " in said
        assert "and of 10 classes (G) has a total variation of " in said
        assert said.endswith("collapse shows more under the finer classes")
        assert "never have a smaller total variation" in text


def test_only_generators_under_the_same_classes_are_held_together(finished: Path) -> None:
    """The other sample is in both runs, of which one has classes of another meaning."""
    sides = open_sides([str(finished / name) for name in ("coarse", "run")])
    (said,) = (each for each in class_sentences(sides) if each.startswith("Kendall"))
    assert "of 2 generators (G, H), each under" in said


def test_honest_generators_have_nothing_in_common() -> None:
    """Their samples are large, and the real one small: its luck is not taken for theirs."""
    rng = np.random.default_rng(0)
    shares = np.array([0.05, 0.05, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.15, 0.15])
    said = []
    for seed in range(200):
        real = rng.choice(10, 500, p=shares)
        made = [rng.choice(10, 5000, p=shares) for _ in range(3)]
        found = favoured_together(made, [real] * 3, seed)
        assert found is not None
        said.append(found.p_value < 0.05)
    assert np.mean(said) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 200)
    together = [rng.choice(10, 5000, p=shares[::-1]) for _ in range(3)]
    found = favoured_together(together, [real] * 3, 0)
    assert found is not None
    assert found.p_value < 0.01


def test_rare_classes_are_not_taken_for_favourites() -> None:
    """32 classes of five attributes, from 30% to 0.05% of the images."""
    rng = np.random.default_rng(0)
    chances = np.array([0.42, 0.48, 0.24, 0.2, 0.06])
    bits = (np.arange(32)[:, None] >> np.arange(5)) & 1
    shares = np.where(bits, chances, 1 - chances).prod(axis=1)
    said = []
    for seed in range(200):
        real, *made = (rng.choice(32, 500, p=shares) for _ in range(3))
        found = favoured_together(made, [real] * 2, seed)
        assert found is not None
        said.append(found.p_value < 0.05)
    assert np.mean(said) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    # Generators that both favour the larger classes.
    tilted = shares**1.6 / (shares**1.6).sum()
    made = [rng.choice(32, 500, p=tilted) for _ in range(2)]
    found = favoured_together(made, [rng.choice(32, 500, p=shares)] * 2, 0)
    assert found is not None
    assert found.p_value < 0.01


def view_of(
    correct: tuple[float, float],
    worth: tuple[float, float],
    name: str,
    precision: tuple[float, float] | None = None,
) -> View:
    """A generator of which both intervals are known, or all three."""
    rows = [
        *(
            summary_row(
                "manifold_precision",
                Interval(sum(each) / 2, *each, 500),
                generator=name,
                group="generated",
                condition="annotator",
            )
            for each in (precision,)
            if each is not None
        ),
        summary_row("label_correctness", Interval(sum(correct) / 2, *correct, 500), generator=name),
        summary_row(
            "equivalent_share",
            Interval(sum(worth) / 2, *worth, 500),
            generator=name,
            condition="linear",
        ),
        *(
            summary_row(
                "classifier_accuracy_real",
                exact(0.9, 500),
                generator=name,
                condition=f"linear, 1/{factor}",
            )
            for factor in (1, 1024)
        ),
    ]
    nothing: Any = None
    return View(nothing, Summary(summary_table(rows, METRICS)), GeneratorInfo(name, 0, (1, 8, 8)))


def test_better_images_that_are_less_diverse_are_told_of() -> None:
    """As BEGAN's and WGAN's in the paper: 99.3 and 98.3% right, below 1/1024 and 1/490."""
    began = view_of((0.992, 0.994), (math.inf, math.inf), "began")
    wgan = view_of((0.982, 0.984), (400.0, 600.0), "wgan")
    (said,) = reversals({"began": began, "wgan": wgan})
    assert said.startswith(
        "began makes better images than wgan (labels that are right, in percent: 99.3"
    )
    assert "less than 1/1024" in said
    assert said.endswith("This describes them and is no verdict.")
    blurred = view_of((0.992, 0.994), (math.inf, math.inf), "began", (0.5, 0.6))
    sharp = view_of((0.982, 0.984), (400.0, 600.0), "wgan", (0.7, 0.8))
    assert reversals({"began": blurred, "wgan": sharp}) == []
    sharper = view_of((0.992, 0.994), (math.inf, math.inf), "began", (0.9, 0.95))
    assert len(reversals({"began": sharper, "wgan": sharp})) == 1
    unsure = view_of((0.982, 0.993), (400.0, 600.0), "wgan")
    assert reversals({"began": began, "wgan": unsure}) == []
    both_lowest = view_of((0.982, 0.984), (math.inf, math.inf), "wgan")
    assert reversals({"began": began, "wgan": both_lowest}) == []
    table = quality_table({"began": began, "wgan": wgan})
    assert table is not None
    assert [row[0] for row in table.rows] == ["began", "wgan"]
    assert quality_table({"began": began}) is None


def test_too_few_to_have_anything_in_common() -> None:
    labels = np.array([0, 1, 0, 1])
    assert favoured_together([labels], [labels], 0) is None
    assert favoured_together([labels] * 2, [np.zeros(4, dtype=np.int64)] * 2, 0) is None
