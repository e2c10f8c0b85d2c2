"""What the command says of itself, and of where it writes."""

from pathlib import Path
from unittest.mock import patch

import pytest
from offmanifold import __version__
from offmanifold.cluster.job_client import Job
from offmanifold.jobs.commands.cli import app
from typer.testing import CliRunner


def test_the_version_is_printed_without_a_command() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"offmanifold {__version__}\n")
    assert "Has an image generator learned its data?" in CliRunner().invoke(app, ["--help"]).stdout


def test_a_run_without_out_is_told_where_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # It is told before any work: nothing of this spec can be opened.
    (tmp_path / "mine.yaml").write_text(
        "{name: a, generators: [{name: g, source: absent}], stages: {images: {}}, "
        "groups: [{name: b, role: generated, count: 2}]}"
    )
    done = CliRunner().invoke(app, ["run", "mine.yaml"])
    assert done.exit_code == 2
    assert f"run directory: {tmp_path / 'runs' / 'mine'}" in done.stderr
    named = CliRunner().invoke(app, ["run", "mine.yaml", "--out", "elsewhere"])
    assert "run directory" not in named.stderr


class Jobs:
    """Two jobs, of which one is no audit."""

    def __init__(self, address: str) -> None:
        self.address = address

    def jobs(self) -> list[Job]:
        audit = {"offmanifold_run": "s3://bucket/run", "name": "mine"}
        return [
            Job("raysubmit_1", "RUNNING", None, "", None, None, audit),
            Job("raysubmit_2", "FAILED", 1, "", None, None, {}),
        ]


def test_audits_among_the_jobs_are_listed() -> None:
    with patch("offmanifold.cluster.job_client.JobClient", Jobs):
        table = CliRunner().invoke(app, ["job", "list", "--address", "http://head:8265"])
        assert "raysubmit_1  RUNNING" in table.stdout
        assert "s3://bucket/run" in table.stdout
        assert "raysubmit_2" not in table.stdout
        told = CliRunner().invoke(app, ["job", "list", "--address", "http://head:8265", "--json"])
        assert '"id": "raysubmit_1"' in told.stdout
