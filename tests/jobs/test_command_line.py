"""What the command says of itself, and of where it writes."""

import json
from pathlib import Path
from unittest.mock import patch

import pytest
from offmanifold import __version__
from offmanifold.cluster.job_client import Job
from offmanifold.jobs.commands.cli import app
from offmanifold.workers.command_lines import command, resuming
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
    empty = CliRunner().invoke(app, ["run", "mine.yaml", "--out", ""])
    assert "--out is empty" in empty.stderr
    named = CliRunner().invoke(app, ["run", "mine.yaml", "--out", "elsewhere"])
    assert "run directory" not in named.stderr


def test_a_run_into_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for out in (file, file / "inside" / "run"):
        done = CliRunner().invoke(app, ["run", "digits", "--out", str(out)])
        assert done.exit_code == 2
        assert f"--out {out}: {file} is a file, expected a folder; choose another" in done.stderr
        for option in ("--figures", "--tables"):
            told = CliRunner().invoke(app, ["report", str(tmp_path), option, str(out)])
            assert told.exit_code == 2
            assert f"{option} {out}: {file} is a file" in told.stderr


PRINTING = """
import sys
import torch
from offmanifold.core.generators.adapter import ModuleGenerator

print("imported")

class Network(torch.nn.Flatten):
    def forward(self, latent):
        print("called")
        return latent.sigmoid()

def make():
    print("made")
    shapes = dict(latent_dim=64, num_classes=0, image_shape=(1, 8, 8))
    return ModuleGenerator(Network(), **shapes, native_range=(0, 1))

def exits(): sys.exit(0)
"""


def test_json_is_alone_on_standard_output_and_a_program_that_ends_is_told(tmp_path: Path) -> None:
    (tmp_path / "printing_model_under_test.py").write_text(PRINTING)
    spec = tmp_path / "a.yaml"
    spec.write_text(
        "{name: a, generators: [{name: g, source: 'printing_model_under_test:make'}], stages: "
        "{images: {}}, groups: [{name: b, role: generated, count: 2}], cluster: {executor: serial}}"
    )
    done = CliRunner().invoke(app, ["plan", str(spec), "--json"])
    assert json.loads(done.stdout)["name"] == "a", done.output
    assert all(word in done.stderr for word in ("imported", "made", "called"))
    ended = CliRunner().invoke(
        app, ["plan", str(spec), "--set", "generators.g.source=printing_model_under_test:exits"]
    )
    assert ended.exit_code == 2
    assert 'if __name__ == "__main__"' in ended.stderr
    with patch("offmanifold.jobs.audits.specs.load_spec", side_effect=SystemExit(0)):
        late = CliRunner().invoke(app, ["plan", str(spec)])
    assert late.exit_code == 1
    assert "raised SystemExit: 0, which ends the program" in late.stderr


def test_commands_in_messages_can_be_pasted() -> None:
    assert resuming("/a b/run") == "offmanifold run '/a b/run/audit.yaml' --out '/a b/run'"
    assert command("errors", "s3://bucket/run") == "offmanifold errors s3://bucket/run"


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
