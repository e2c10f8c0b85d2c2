"""``offmanifold converge``: of a spec, of a finished run, resumed, and what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from offmanifold.jobs.commands.cli import app
from typer.testing import CliRunner

from .conftest import small_spec, write_spec

REQUEST = ("--tolerance", "5000", "--transitions", "3,6", "--images", "2")
# Fewer images recommend nothing.
ENOUGH = ("--tolerance", "5000", "--transitions", "3,6", "--images", "32")


def converge(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["converge", *[str(argument) for argument in arguments]])


def parts(run: Path) -> dict[str, int]:
    return {str(path.relative_to(run)): path.stat().st_ino for path in run.glob("*/part-*.parquet")}


def quick_spec(folder: Path) -> dict[str, Any]:
    """The small spec without what a sweep does not need, written in the folder."""
    spec = small_spec()
    spec["groups"] = [
        {**group, "conditions": "own"}
        for group in spec["groups"]
        if group["role"] in ("train", "simulated")
    ]
    spec["stages"]["inversion"]["iterations"] = 3
    for stage in ("convergence", "neighbours"):
        del spec["stages"][stage]
    write_spec(folder, spec)
    return spec


@pytest.mark.slow
@pytest.mark.ci
def test_a_spec_is_cut_down_to_its_sweep_and_ends_in_a_recommendation(audit_folder: Path) -> None:
    spec = quick_spec(audit_folder)
    # An audit's null group is none of a sweep's, and of simulated images it takes what it needs.
    spec["groups"].append({"name": "null", "role": "null", "count": 4})
    write_spec(audit_folder, spec)
    out = audit_folder / "sweep"
    result = converge(audit_folder / "audit.yaml", *ENOUGH, "--out", out)
    assert result.exit_code == 0, result.output
    assert "Recommended for the guided estimator: T = 3" in " ".join(result.stdout.split())
    assert not (out / "likelihood").exists()
    table = pd.read_parquet(out / "sweep")
    assert (table.status == "ok").all(), table.error.dropna().tolist()
    # 12 training and 32 simulated images, 2 estimators, 2 numbers of transitions.
    assert len(table) == (12 + 32) * 2 * 2
    assert set(zip(table.estimator, table.transitions, strict=True)) == {
        (estimator, transitions) for estimator in ("guided", "classical") for transitions in (3, 6)
    }
    assert table.upper_bound.notna().sum() == 32 * 2 * 2
    # The search knows the inversion's restarts, so that none of them is nearer.
    assert table.mode_mse.notna().equals(table.estimator == "guided")
    inversion = pd.read_parquet(out / "inversion")
    both = table[table.estimator == "guided"].merge(inversion, on=["condition", "image_id"])
    assert len(both) == 12 * 2
    assert (both.mode_mse <= both.mse * (1 + 1e-5)).all()
    # The variance rests on half of all training images, as in a run of the whole spec.
    assert pd.read_parquet(out / "variance").n.item() == 6
    assert "How many transitions are enough?" in (out / "report.html").read_text()

    before = parts(out)
    lost = sorted((out / "sweep").glob("part-*"))[0]
    lost.unlink()
    stricter = ("--tolerance", "0.000001", "--transitions", "3,6,9", "--images", "32")
    again = converge(audit_folder / "audit.yaml", *stricter, "--out", out)
    assert again.exit_code == 0, again.output
    assert "No T of 3, 6, 9" in " ".join(again.stdout.split())
    after = parts(out)
    assert set(before) < set(after)
    kept = [name for name in before if name != str(lost.relative_to(out))]
    assert all(after[name] == before[name] for name in kept)


@pytest.mark.slow
@pytest.mark.ci
def test_a_finished_run_is_given_a_sweep_that_uses_its_results(audit_folder: Path) -> None:
    spec = quick_spec(audit_folder)
    del spec["stages"]["comparison"]
    write_spec(audit_folder, spec)
    run = audit_folder / "run"
    audit = ["run", str(audit_folder / "audit.yaml"), "--out", str(run)]
    assert CliRunner().invoke(app, audit).exit_code == 0
    before = parts(run)
    result = converge(run, *REQUEST)
    assert result.exit_code == 0, result.output
    after = parts(run)
    assert before.items() <= after.items()
    assert all(name.startswith("sweep/") for name in set(after) - set(before))
    # At the run's own number of transitions the sweep is the run's estimate, sums in another order.
    sweep, likelihood = pd.read_parquet(run / "sweep"), pd.read_parquet(run / "likelihood")
    same = sweep[(sweep.estimator == "guided") & (sweep.transitions == 3)]
    key = ["condition", "image_id"]
    both = same.merge(likelihood, on=key, suffixes=("", "_run"))
    assert len(both) == len(same) == 4
    np.testing.assert_allclose(both.log_likelihood, both.log_likelihood_run, rtol=1e-4)
    page = (run / "report.html").read_text()
    assert "How many transitions are enough?" in page
    assert "2 simulated images are too few to tell" in page

    elsewhere = converge(run, *REQUEST, "--out", audit_folder / "other")
    assert elsewhere.exit_code == 2
    assert "leave out --out" in elsewhere.stderr
    changed = converge(run, *REQUEST, "--set", "seed=4")
    assert changed.exit_code == 2
    assert "only keys of cluster" in changed.stderr
    next((run / "inversion").iterdir()).unlink()
    incomplete = converge(run, *REQUEST)
    assert incomplete.exit_code == 2
    assert "stage inversion is not complete" in incomplete.stderr
    # A run of its own is never taken for a sweep's.
    onto = converge(audit_folder / "audit.yaml", *REQUEST, "--out", run)
    assert onto.exit_code == 2
    assert "holds the run of another spec" in onto.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--tolerance", "-1"), ["stages.sweep.tolerance", "-1"]),
        (("--tolerance", "1", "--transitions", "a,b"), ["--transitions a,b", "whole numbers"]),
        (("--tolerance", "1", "--transitions", "9,3"), ["stages.sweep.transitions", "increasing"]),
        (("--tolerance", "1", "--transitions", "1"), ["stages.sweep.transitions"]),
        (("--tolerance", "1", "--images", "1"), ["stages.sweep.images_per_group"]),
        ((), ["--tolerance"]),
    ],
)
def test_a_bad_request_stops_before_any_work(
    audit_folder: Path, arguments: tuple[str, ...], words: list[str]
) -> None:
    out = audit_folder / "sweep"
    result = converge(audit_folder / "audit.yaml", *arguments, "--out", out)
    assert result.exit_code == 2
    assert all(word in result.stderr for word in words), result.stderr
    assert not out.exists()


def test_specs_that_cannot_be_swept_are_explained(audit_folder: Path) -> None:
    spec = small_spec()
    spec["stages"] = {"inversion": spec["stages"]["inversion"]}
    spec["groups"] = [group for group in spec["groups"] if group["role"] != "simulated"]
    write_spec(audit_folder, spec)
    result = converge(audit_folder / "audit.yaml", *REQUEST)
    assert result.exit_code == 2
    assert "stages.likelihood: missing" in result.stderr
    result = converge(audit_folder / "images", *REQUEST)
    assert result.exit_code == 2
    assert "not a run directory" in result.stderr


@pytest.mark.parametrize(
    ("stages", "groups", "words"),
    [
        ({"sweep": {}, "variance": {"value": 0.1}}, ("train",), "nothing to sweep"),
        ({"sweep": {}, "likelihood": {}, "variance": {"value": 0.1}}, ("train",), "simulated"),
        ({"sweep": {"estimators": [{}]}}, ("simulated",), "no variance source"),
        (
            {"sweep": {"estimators": [{}]}, "likelihood": {}, "variance": {"value": 0.1}},
            ("simulated",),
            "remove this key, or those stages",
        ),
        (
            {"sweep": {"estimators": [{}, {}]}, "variance": {"value": 0.1}},
            ("simulated",),
            "each one once",
        ),
    ],
)
def test_a_sweep_in_a_spec_needs_its_parts(
    audit_folder: Path, stages: dict[str, Any], groups: tuple[str, ...], words: str
) -> None:
    spec = small_spec()
    spec["stages"] = stages
    spec["groups"] = [group for group in spec["groups"] if group["role"] in groups]
    path = write_spec(audit_folder, spec)
    result = CliRunner().invoke(app, ["plan", str(path)])
    assert result.exit_code == 2
    assert words in result.stderr
