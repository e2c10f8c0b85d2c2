"""A run through restarts of its S3 service has the rows of one that nothing happened to."""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.drive import driver
from offmanifold.workers.runner import ShardWorker
from typer.testing import CliRunner

from ..object_store import BUCKET, Service
from ..stored_runs import assert_the_same_rows, summary_of
from .conftest import SHORT_END, fill_audit_folder, forget_decoder, lean_spec, write_spec

STAGES = ["images", "inversion", "variance"]
AWAY_SECONDS = 2.5


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One of this module's own, since it is restarted."""
    running = Service(tmp_path_factory.mktemp("service"))
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of an audit of seconds, with its run on this disk."""
    folder = tmp_path_factory.mktemp("restarts") / "audit"
    fill_audit_folder(folder)
    spec = lean_spec()
    spec["groups"] = spec["groups"][:1]
    spec["groups"][0]["conditions"] = "own"
    spec["stages"] = {
        "images": {"shard_items": 4},
        "inversion": {
            "iterations": 2,
            "restarts": 1,
            "bank": 8,
            "shard_items": 4,
            **SHORT_END,
        },
        "variance": {"estimator": "profile"},
    }
    # The store says within a second that it does not answer.
    spec["cluster"]["storage"] = {"timeout": 1}
    write_spec(folder, spec)
    done = audit(folder, str(folder / "run"))
    assert done.exit_code == 0, done.output
    yield folder
    forget_decoder(folder)


def audit(folder: Path, out: str, *options: str) -> Any:
    return CliRunner().invoke(app, ["run", str(folder / "audit.yaml"), "--out", out, *options])


def restarted(service: Service) -> None:
    """Killed, and there again after a while."""
    service.stop()
    threading.Timer(AWAY_SECONDS, service.start).start()


def held_up(service: Service) -> None:
    """It answers nothing for a while."""
    threading.Thread(target=service.hold_up, args=(AWAY_SECONDS,)).start()


def assert_undisturbed(address: str, folder: Path) -> None:
    assert_the_same_rows(address, folder / "run", STAGES, ("", ""))
    assert summary_of(address).equals(summary_of(folder / "run"))


def assert_undisturbed_by(
    outage: Callable[[Service], None],
    at: Sequence[str],
    folder: Path,
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run with an outage as the first shard of each such stage, or the report, begins."""
    service.store.use(monkeypatch)
    compute, reduce = ShardWorker.compute, driver._reduce
    left = list(at)

    def meet(stage: str) -> None:
        if stage in left:
            left.remove(stage)
            outage(service)

    def without_store(worker: ShardWorker, payload: Any, start: int, stop: int) -> Any:
        meet(payload.stage)
        return compute(worker, payload, start, stop)

    def reduced_without_store(*args: Any, **kwargs: Any) -> Any:
        meet("report")
        return reduce(*args, **kwargs)

    monkeypatch.setattr(ShardWorker, "compute", without_store)
    monkeypatch.setattr(driver, "_reduce", reduced_without_store)
    address = f"s3://{BUCKET}/{outage.__name__}-{len(at)}"
    done = audit(folder, address)
    assert done.exit_code == 0, done.output
    assert not left
    assert_undisturbed(address, folder)


def test_a_restart_while_a_run_computes_changes_nothing(
    folder: Path,
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert_undisturbed_by(restarted, ["inversion"], folder, service, monkeypatch)
    assert "Trying again; waited" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("outage", [restarted, held_up])
def test_outages_in_every_stage_and_before_the_report_change_nothing(
    folder: Path,
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    outage: Callable[[Service], None],
) -> None:
    assert_undisturbed_by(outage, [*STAGES, "report"], folder, service, monkeypatch)
    said = "Trying again; waited" if outage is restarted else "has not answered for 1 s"
    assert said in caplog.text


@pytest.mark.slow
def test_an_outage_beyond_the_patience_ends_a_run_that_the_same_command_resumes(
    folder: Path, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.store.use(monkeypatch)
    compute = ShardWorker.compute

    def without_store(worker: ShardWorker, payload: Any, start: int, stop: int) -> Any:
        if payload.stage == "inversion":
            service.stop()
        return compute(worker, payload, start, stop)

    address = f"s3://{BUCKET}/beyond"
    with monkeypatch.context() as patched:
        patched.setattr(ShardWorker, "compute", without_store)
        done = audit(folder, address, "--set", "cluster.storage.patience=2")
    service.start()
    assert done.exit_code == 1, done.output
    last = done.output.strip().splitlines()[-1]
    assert address in last
    assert "run the same command again" in last
    done = audit(folder, address)
    assert done.exit_code == 0, done.output
    assert_undisturbed(address, folder)
