"""Audits as jobs of a cluster that was started as docs/clusters.md tells it."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import pytest
import yaml
from offmanifold.cluster.job_client import Job, JobClient
from offmanifold.cluster.ray_errors import SubmissionError
from offmanifold.jobs.audits.specs import load_spec
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.drive.submission import absent_paths, copy_package, submit, submitted_spec
from offmanifold.jobs.spec.loading import SpecError
from offmanifold.jobs.spec.stored import NAME_KEY, RUN_KEY
from ray._private.ray_constants import DEFAULT_DASHBOARD_AGENT_LISTEN_PORT
from typer.testing import CliRunner

from ..ray_head import clean_environment, free_port, head_with_dashboard, make_token
from .conftest import fill_audit_folder, small_spec, write_spec

# Each starts a Ray, and two cores are too few for two at once.
pytestmark = pytest.mark.xdist_group("ray")

# Refuses to be imported on the cluster from anywhere but what travelled with the job.
DECODER = """
    import os
    import offmanifold

    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ or "OFFMANIFOLD_MODULES" in os.environ:
        assert "working_dir_files" in __file__, __file__
        assert "py_modules_files" in offmanifold.__file__, offmanifold.__file__
        print("both copies travelled", flush=True)
"""


class Cluster(NamedTuple):
    address: str
    environment: dict[str, str]
    folder: Path
    agent_port: int = 0

    def offmanifold(self, *arguments: str, **extra: str) -> "subprocess.CompletedProcess[str]":
        """The command as a user on another machine types it."""
        return subprocess.run(
            [Path(sys.executable).with_name("offmanifold"), *arguments, "--address", self.address],
            env=self.environment | extra,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    scratch = tmp_path_factory.mktemp("cluster")
    environment = clean_environment(scratch / "home")
    make_token(environment)
    folder = scratch / "audit"
    fill_audit_folder(folder)
    module = (folder / "decoder.py").read_text()
    (folder / "decoder.py").write_text(dedent(DECODER) + module)
    (folder / "images" / "zero" / "broken.png").write_bytes(b"no image")
    write_spec(folder, inversion_only())
    port = free_port()
    with head_with_dashboard(environment, scratch, agent_port=port) as address:
        yield Cluster(address, environment, folder, port)


def inversion_only() -> dict[str, Any]:
    spec = small_spec()
    spec["groups"] = [{**spec["groups"][0], "conditions": "own"}]
    spec["stages"] = {"inversion": spec["stages"]["inversion"]}
    spec["cluster"] = {"workers": 1, "memory_per_worker": "100MiB"}
    return spec


@pytest.mark.slow
@pytest.mark.ci
def test_a_user_with_the_token_submits_leaves_and_comes_back(cluster: Cluster) -> None:
    submitted = cluster.offmanifold("submit", "audit.yaml", "--out", "run", "--detach")
    assert submitted.returncode == 0, submitted.stderr
    job = submitted.stdout.strip()
    followed = cluster.offmanifold("job", "logs", job, "--follow")
    assert followed.returncode == 3, followed.stdout + followed.stderr
    assert "both copies travelled" in followed.stdout
    assert "inversion: finished" in followed.stdout
    assert "quarantined items: 1 in images" in followed.stdout
    assert (cluster.folder / "run" / "report.html").exists()
    # The spec that the run keeps is the user's own: it resumes from here, with the same ids.
    kept = yaml.safe_load((cluster.folder / "run" / "audit.yaml").read_text())
    assert kept["generators"][0]["import_path"] == str(cluster.folder)
    state = cluster.offmanifold("job", "status", job)
    assert "exit status 3" in state.stdout
    assert str(cluster.folder / "run") in state.stdout
    (listed,) = json.loads(cluster.offmanifold("job", "list", "--json").stdout)
    assert (listed["id"], listed["exit_code"]) == (job, 3)
    assert listed["metadata"][RUN_KEY] == str(cluster.folder / "run")


def test_a_listed_run_directory_is_whole_whatever_its_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Over as many lines as it takes."""
    place = f"/shared/{'runs-of-a-long-name/' * 8}run"
    facts = (None, "", None, None, {RUN_KEY: place, NAME_KEY: "small"})
    monkeypatch.setattr(JobClient, "__init__", lambda *_: None)
    monkeypatch.setattr(JobClient, "jobs", lambda _: [Job("raysubmit_1", "RUNNING", *facts)])
    listed = CliRunner().invoke(app, ["job", "list", "--address", "http://head:8265"])
    assert listed.exit_code == 0, listed.output
    assert place in "".join(listed.stdout.split())


@pytest.mark.slow
@pytest.mark.ci
def test_a_node_answers_the_health_check_of_our_images(cluster: Cluster) -> None:
    dockerfile = Path(__file__).parents[2] / "docker" / "Dockerfile"
    (command,) = re.findall(r"^ +CMD (\[.*\])$", dockerfile.read_text(), re.MULTILINE)
    url = json.loads(command)[-1]
    assert f":{DEFAULT_DASHBOARD_AGENT_LISTEN_PORT}/" in url
    of_the_node = url.replace(str(DEFAULT_DASHBOARD_AGENT_LISTEN_PORT), str(cluster.agent_port))
    with urllib.request.urlopen(of_the_node, timeout=30) as answer:
        assert answer.read() == b"success"


@pytest.mark.slow
@pytest.mark.ci
def test_without_the_token_or_with_another_one_nothing_is_submitted(
    cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "other" / ".ray").mkdir(parents=True)
    (tmp_path / "other" / ".ray" / "auth_token").write_text("0123456789abcdef" * 4)
    (tmp_path / "stranger").mkdir()
    submission = ("submit", "audit.yaml", "--out", "run-of-another")
    for home, words, arguments in (
        ("other", "rejects the token: it belongs to another cluster", submission),
        # Every command says it in the same place; this one starts sooner.
        ("stranger", "requires a token, and none was sent", ("job", "stop", "nobody")),
    ):
        refused = cluster.offmanifold(*arguments, HOME=str(tmp_path / home))
        assert refused.returncode == 8, refused.stderr
        assert words in refused.stderr
        assert "Traceback" not in refused.stderr
        assert refused.stdout == ""
    assert not (cluster.folder / "run-of-another").exists()
    unknown = cluster.offmanifold("job", "stop", "nobody")
    assert unknown.returncode == 2
    assert "has no job nobody" in unknown.stderr


@pytest.mark.slow
def test_a_stopped_job_ends_within_seconds_and_resumes(cluster: Cluster) -> None:
    long = ("--set", "stages.inversion.iterations=10000000")
    submitted = cluster.offmanifold("submit", "audit.yaml", "--out", "stopped", "--detach", *long)
    job = submitted.stdout.strip()
    deadline = time.monotonic() + 60
    while not list((cluster.folder / "stopped" / "images").glob("part-*")):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert "is stopping" in cluster.offmanifold("job", "stop", job).stdout
    began = time.monotonic()
    ended = cluster.offmanifold("job", "logs", job, "--follow")
    assert ended.returncode == 130
    assert time.monotonic() - began < 20
    assert "STOPPED" in cluster.offmanifold("job", "status", job).stdout
    resumed = cluster.offmanifold("submit", "audit.yaml", "--out", "stopped", "--changed")
    assert resumed.returncode == 3, resumed.stdout + resumed.stderr
    assert "images: 13 items in 1 shards, 13 done before" in resumed.stdout


@pytest.mark.slow
def test_a_folder_too_large_to_travel_is_refused(cluster: Cluster) -> None:
    with (cluster.folder / "weights.bin").open("wb") as file:
        file.truncate(101 * 2**20)
    refused = cluster.offmanifold("submit", "audit.yaml", "--out", "run-too-large")
    (cluster.folder / "weights.bin").unlink()
    assert refused.returncode == 2
    assert "too large to send" in refused.stderr
    assert not (cluster.folder / "run-too-large").exists()


@pytest.mark.slow
@pytest.mark.ci
def test_a_head_that_is_not_there_is_an_error_of_its_own(tmp_path: Path) -> None:
    environment = clean_environment(tmp_path / "home")
    nowhere = Cluster(f"http://127.0.0.1:{free_port()}", environment, tmp_path)
    lost = nowhere.offmanifold("job", "stop", "anybody")
    assert lost.returncode == 7
    assert f"nothing listens at {nowhere.address}" in lost.stderr
    assert "Traceback" not in lost.stderr


@pytest.mark.parametrize(
    "address",
    ["head:8265", "http://head:82650", "http://head:dashboard", "http://[::1", "http://a..b:8265"],
)
def test_what_is_no_address_is_refused_before_it_is_asked(address: str) -> None:
    with pytest.raises(SubmissionError, match="expected the address of the head's dashboard"):
        JobClient(address)


@pytest.mark.parametrize("job_id", ["", "..", "a/b", "a b", "a?b"])
def test_what_is_no_id_is_not_asked_for(job_id: str) -> None:
    client = object.__new__(JobClient)
    client.address = "http://head:8265"
    for method in (client.job, client.logs, client.stop):
        with pytest.raises(SubmissionError, match="is no job's id"):
            method(job_id)


def test_a_bad_spec_is_refused_here(audit_folder: Path) -> None:
    spec = small_spec()
    del spec["stages"]["neighbours"]["path"]
    with pytest.raises(SpecError, match="neighbours"):
        submitted_spec(str(write_spec(audit_folder, spec)), ("cluster.executor=ray",))
    write_spec(audit_folder, small_spec())
    with pytest.raises(SpecError, match="serial runs in one process"):
        submitted_spec(str(audit_folder / "audit.yaml"), ())


def test_data_on_the_cluster_alone_is_left_to_it(audit_folder: Path) -> None:
    spec = small_spec()
    spec["groups"][0]["path"] = "/only/there"
    write_spec(audit_folder, spec)
    found = submitted_spec(str(audit_folder / "audit.yaml"), ("cluster.executor=ray",))
    assert absent_paths(found) == ["/only/there"]


class Recorder:
    """Stands where the cluster would; what is sent is looked at."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.command: list[str] = []

    def submit(self, command: Any, code: Any, environment: Any, metadata: Any) -> str:
        from ray._private.runtime_env.packaging import create_package

        package = code.folder.parent / "sent.zip"
        create_package(str(code.folder), package, True, excludes=list(code.excludes))
        import zipfile

        self.files = set(zipfile.ZipFile(package).namelist())
        self.command = list(command)
        assert environment == {"OFFMANIFOLD_MODULES": "."}
        assert metadata["offmanifold_run"] == "s3://bucket/run"
        return "id"


def test_modules_travel_and_data_runs_and_environments_stay(audit_folder: Path) -> None:
    write_spec(audit_folder, small_spec())
    for name in (
        "layers/__init__.py",
        "weights.pt",
        "runs/old/provenance.json",
        "runs/a[1]*/provenance.json",
        ".venv/x.py",
        ".env",
        ".aws/credentials",
    ):
        (audit_folder / name).parent.mkdir(parents=True, exist_ok=True)
        (audit_folder / name).write_text("")
    spec = load_spec(str(audit_folder / "audit.yaml"))
    recorder: Any = Recorder()
    assert submit(recorder, spec, "s3://bucket/run", ["--changed"]) == "id"
    sent = {"audit.yaml", "decoder.py", "layers/__init__.py", "weights.pt", "offmanifold-job.yaml"}
    assert {name for name in recorder.files if not name.endswith("/")} == sent
    assert recorder.command[-3:] == ["--out", "s3://bucket/run", "--changed"]


def test_the_package_that_travels_runs_by_itself(tmp_path: Path) -> None:
    copy_package(tmp_path / "offmanifold")
    names = {entry.name for entry in (tmp_path / "offmanifold").iterdir()}
    assert names == {"__init__.py", "py.typed", "cluster", "core", "jobs", "workers"}
    program = [sys.executable, "-m", "offmanifold.jobs", "list", "presets", "--show", "digits"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    shown = subprocess.run(
        program, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "generators" in shown.stdout
