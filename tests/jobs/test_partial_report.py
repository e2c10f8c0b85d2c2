"""The report of a run that is not finished: what is there, and no verdict."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from offmanifold.jobs.commands.cli import app
from typer.testing import CliRunner

from .conftest import fill_audit_folder, forget_decoder, lean_spec, write_spec


def cli(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A finished run of a program's images, whose report its generator has drawn."""
    folder = tmp_path_factory.mktemp("partial") / "audit"
    fill_audit_folder(folder)
    write_spec(folder, lean_spec())
    done = cli("run", folder / "audit.yaml", "--out", folder / "run")
    assert done.exit_code == 0, done.output
    yield folder
    forget_decoder(folder)


def test_a_run_stopped_in_a_stage_is_reported_without_it_and_without_verdicts(
    folder: Path, tmp_path: Path
) -> None:
    run = folder / "run"
    part = next((run / "likelihood").glob("part-*"))
    part.unlink()
    (run / "_drawn").rename(run / "_drawn_before")
    report = run / "report-partial.html"
    try:
        told = cli("report", run, "--tables", tmp_path / "tables")
        assert told.exit_code == 9, told.output
        page = report.read_text()
        # Nothing that reads a finished run takes it for one.
        assert cli("compare", run, run).exit_code == 2
        summary = pd.read_parquet(run / "summary.parquet")
        assert "log_likelihood_mean" in set(summary.metric)
    finally:
        (run / "_drawn_before").rename(run / "_drawn")
    told_in_words = " ".join(told.stdout.split())
    for text in (page, told_in_words):
        assert "This run is not finished: 3 of its 4 stages are complete." in text
    assert "Has the generator learned" not in told_in_words
    assert 'class="verdict' not in page
    assert "speaks for it" not in page
    assert "share one error rate" not in page
    assert "Partial report." in page
    counted = pd.read_csv(tmp_path / "tables" / "audit.unfinished.csv").set_index("stage")
    assert list(counted["in this report"]) == ["yes", "yes", "yes", "no"]
    likelihood = counted.loc["likelihood"]
    assert 0 < likelihood["items done"] < likelihood["of"]
    # Errors of the inversion are there; pictures that only the user's program draws are not.
    tables = {path.name for path in (tmp_path / "tables").glob("*.csv")}
    assert "decoder.manifold.reconstruction.csv" in tables
    assert "originals above" not in page
    # The run goes on, and removes what it makes wrong.
    assert cli("run", folder / "audit.yaml", "--out", run).exit_code == 0
    assert part.exists()
    assert not report.exists()
    assert cli("report", run).exit_code == 0


@pytest.mark.parametrize(("lost", "planned"), [("images", 1), ("inversion", 2)])
def test_what_waits_for_an_unfinished_stage_is_not_planned_yet(
    folder: Path, tmp_path: Path, lost: str, planned: int
) -> None:
    run = folder / "run"
    part = next((run / lost).glob("part-*"))
    part.rename(tmp_path / part.name)
    try:
        told = cli("report", run, "--tables", tmp_path / "tables")
        status = json.loads(cli("status", run, "--json").stdout)
    finally:
        (tmp_path / part.name).rename(part)
        (run / "report-partial.html").unlink(missing_ok=True)
    assert told.exit_code == 9, told.output
    counted = pd.read_csv(tmp_path / "tables" / "audit.unfinished.csv")
    waiting = counted["in this report"] == "not planned yet"
    assert list(waiting) == [stage["pending"] is None for stage in status["stages"]]
    assert (~waiting).sum() == planned


def test_a_damaged_part_is_no_unfinished_stage(folder: Path) -> None:
    run = folder / "run"
    part = next((run / "inversion").glob("part-*"))
    content = part.read_bytes()
    lost = next((run / "likelihood").glob("part-*"))
    kept = lost.read_bytes()
    lost.unlink()
    part.write_bytes(content[: len(content) // 2])
    try:
        told = cli("report", run)
    finally:
        part.write_bytes(content)
        lost.write_bytes(kept)
    assert told.exit_code == 1, told.output
    assert part.name in told.stderr
    assert not (run / "report-partial.html").exists()
