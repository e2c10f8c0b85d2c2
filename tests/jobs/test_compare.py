"""``offmanifold compare``: runs side by side, paired where the images are the same."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from offmanifold.jobs.commands.cli import app
from typer.testing import CliRunner

from .conftest import fill_audit_folder, forget_decoder, small_spec, write_spec

pytestmark = [pytest.mark.slow, pytest.mark.ci]


def command(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def words(result: Any) -> str:
    return " ".join(result.stdout.split())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two small runs, ``a`` and ``b``: of other seeds and variances, and one image altered."""
    folder = tmp_path_factory.mktemp("compare") / "audit"
    fill_audit_folder(folder)
    spec = small_spec()
    spec["groups"] = [
        {**group, "count": group.get("count", 12)}
        for group in spec["groups"]
        if group["name"] in ("test", "generated", "simulated")
    ]
    likelihood = spec["stages"]["likelihood"]
    inversion = {**spec["stages"]["inversion"], "iterations": 3}
    value = {"value": 0.2}
    spec["stages"] = {"inversion": inversion, "variance": value, "likelihood": likelihood}
    write_spec(folder, spec)
    assert command("run", folder / "audit.yaml", "--out", folder / "a").exit_code == 0
    image = next((folder / "images" / "one").iterdir())
    shutil.copy(next((folder / "images" / "zero").iterdir()), image)
    changed = ("--set", "seed=1", "--set", "stages.variance.value=0.3")
    done = command("run", folder / "audit.yaml", "--out", folder / "b", *changed)
    assert done.exit_code == 0, done.output
    yield folder
    forget_decoder(folder)


def test_a_run_does_not_differ_from_itself(runs: Path, tmp_path: Path) -> None:
    result = command("compare", runs / "a", runs / "a", "--out", tmp_path / "self.html")
    assert result.exit_code == 0, result.output
    assert "!" not in result.stdout
    differences = pd.read_parquet(tmp_path / "self-differences.parquet")
    assert set(differences.metric) == {
        "reconstruction_mse",
        "log_likelihood",
        "accuracy_likelihood",
        "accuracy_reconstruction",
    }
    assert set(differences.group) == {"test", "generated"}
    assert (differences.value == 0).all()
    # Equal images differ in no way, and an accuracy's interval says how many more there may be.
    accuracies = differences.metric.str.startswith("accuracy_")
    assert (differences[accuracies].low == -differences[accuracies].high).all()
    assert (differences[~accuracies].low == 0).all()
    assert differences.same_variance.all()
    metrics = pd.read_csv(tmp_path / "self-metrics.csv")
    summary = pd.read_parquet(runs / "a" / "summary.parquet")
    assert len(metrics) == 2 * len(summary)
    page = (tmp_path / "self.html").read_text()
    assert page.count("<script") == 1
    assert "://" not in page
    sentence = re.search(r"Paired differences between B \(decoder\) and A \(decoder\): [^<]*", page)
    assert sentence is not None
    assert re.search(r": 0 of (\d) decided, \d of equal numbers, \d not decided", sentence[0])
    for word in ("Paired differences", "equal", "bits per dim", "What the metrics mean"):
        assert word in page


def test_differences_are_paired_by_image(runs: Path, tmp_path: Path) -> None:
    result = command("compare", runs / "a", runs / "b", "--out", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    differences = pd.read_parquet(tmp_path / "page-differences.parquet")
    # The generated images of another seed are others; one of the test images was altered.
    assert set(differences.group) == {"test"}
    assert set(differences.n) == {11}
    images = [pd.read_parquet(runs / run / "images") for run in "ab"]
    both = images[0].merge(images[1], on="image_id", suffixes=("_a", "_b"))
    same = [np.array_equal(a, b) for a, b in zip(both.pixels_a, both.pixels_b, strict=True)]
    shared = both[same].image_id

    def own(run: str, stage: str, column: str) -> "pd.Series[float]":
        table = pd.read_parquet(runs / run / stage)
        table = table[(table.condition == table.label) & table.image_id.isin(shared)]
        return table.set_index("image_id")[column].sort_index()

    # An error is the least that any search found: here that of the densities, after 3 iterations.
    errors = [
        own(run, "inversion", "mse").combine(own(run, "likelihood", "mode_mse"), min)
        for run in "ab"
    ]
    densities = [own(run, "likelihood", "log_likelihood") for run in "ab"]
    for metric, (first, second) in {
        "reconstruction_mse": errors,
        "log_likelihood": densities,
    }.items():
        row = differences[(differences.metric == metric) & (differences.condition == "own")]
        assert row.value.item() == pytest.approx((second - first).mean())
        # No interval of a mean is claimed of so few images.
        assert row[["low", "high"]].isna().all(axis=None)
    assert not differences.same_variance.any()
    assert "; but σ² differs" in (tmp_path / "page.html").read_text()


def test_what_makes_numbers_incomparable_is_said(runs: Path) -> None:
    result = command("compare", runs / "a", runs / "b")
    text = words(result)
    assert "The observation variance of A and B differs (σ² = 0.20000 and 0.30000)" in text
    assert "Group test of A and B does not have the same images" in text
    assert "every metric: --out PAGE.html" in text
    # 12 images of the group in both, of which one was altered.
    assert "A, B test 12 11 1" in text
    assert "A, B generated 6 0 0" in text


@pytest.fixture
def copy(runs: Path, tmp_path: Path) -> Path:
    """A copy of run ``a``, to be spoilt."""
    return Path(shutil.copytree(runs / "a", tmp_path / "copy"))


def refused(*folders: Path) -> str:
    result = command("compare", *folders)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.stderr
    return str(result.stderr)


def test_folders_that_cannot_be_compared_are_refused(runs: Path, copy: Path) -> None:
    a = runs / "a"
    assert "not a run directory" in refused(a, runs / "images")
    assert "name a second run" in refused(a)
    facts = json.loads((copy / "facts.json").read_text())
    facts["generators"]["decoder"]["image_shape"] = [3, 8, 8]
    (copy / "facts.json").write_text(json.dumps(facts))
    assert "image shapes differ" in refused(a, copy)
    (copy / "summary.parquet").unlink()
    found = refused(a, copy)
    assert "summary.parquet" in found
    assert f"offmanifold report {copy}" in found


def test_a_summary_of_another_version_is_refused(runs: Path, copy: Path) -> None:
    summary = pd.read_parquet(copy / "summary.parquet")
    summary.drop(columns="estimator").to_parquet(copy / "summary.parquet")
    assert "not those of this version" in refused(runs / "a", copy)


def test_files_that_are_not_planned_are_refused(runs: Path, copy: Path) -> None:
    part = next((copy / "inversion").iterdir())
    shutil.copy(part, part.with_name("part-again.parquet"))
    assert "inversion/part-again.parquet is not planned" in refused(runs / "a", copy)


@pytest.mark.parametrize(
    ("page", "said"), [("page.txt", "ends in .html"), ("no/page.html", "there is no folder")]
)
def test_a_page_that_cannot_be_written_is_refused_first(
    runs: Path, tmp_path: Path, page: str, said: str
) -> None:
    result = command("compare", runs / "a", runs / "b", "--out", tmp_path / page)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not result.stdout


def test_a_page_that_turns_out_unwritable_is_said_without_a_traceback(
    runs: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    (tmp_path / "page-metrics.csv").mkdir()
    result = command("compare", runs / "a", runs / "b", "--out", page)
    assert result.exit_code == 2
    assert f"--out {page}: cannot be written: Is a directory" in result.stderr
