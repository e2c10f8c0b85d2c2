"""What a run says when its disk, its device or its cluster refuses, and when it is not alone."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from offmanifold.cluster.broken_worker import BrokenWorkerError
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.core import fixed_rows
from offmanifold.jobs.audits.images.plan import generator_settings, plan
from offmanifold.jobs.audits.specs import gather_facts, load_spec
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.plan.stage import PlanContext
from offmanifold.jobs.record.other_drivers import announced
from offmanifold.jobs.record.run_directory import RunDirectory
from offmanifold.workers.generators import shard_generator
from offmanifold.workers.images import compute_dataset
from offmanifold.workers.resources import ChangedInputError, Resources
from typer.testing import CliRunner

from .conftest import SHORT_END, small_spec, write_spec


def inversion_alone(
    folder: Path, iterations: int = 3, shard_items: int = 10, restarts: int = 2
) -> None:
    spec = small_spec()
    spec["groups"] = [group for group in spec["groups"] if group["role"] in ("train", "outlier")]
    spec["stages"] = {
        "inversion": {
            "iterations": iterations,
            "restarts": restarts,
            "bank": 64,
            **SHORT_END,
            "shard_items": shard_items,
        }
    }
    write_spec(folder, spec)


def run(folder: Path, *arguments: str, out: str | Path = "run") -> Any:
    command = ["run", str(folder / "audit.yaml"), "--out", str(folder / out), *arguments]
    return CliRunner().invoke(app, command)


def break_device(
    folder: Path, condition: str, error: str = "torch.OutOfMemoryError('CUDA out of memory')"
) -> None:
    """The generator raises the device's error where ``condition`` holds, and counts that."""
    module = folder / "decoder.py"
    check = (
        f"if {condition}:\n"
        f"            open({str(folder / 'refusals')!r}, 'a').write('x')\n"
        f"            raise {error}\n        values ="
    )
    module.write_text(module.read_text().replace("values =", check, 1))


def wait_in_the_second_shard(folder: Path) -> None:
    """The generator waits, once a part of the inversion is there, until there is a file ``go``.

    Not where it is only opened, which tries 8 latents, 2 and 1.
    """
    module = folder / "decoder.py"
    wait = (
        f"folder = pathlib.Path({str(folder)!r})\n"
        "        go = folder / 'go'\n"
        "        at_work = len(latent) not in (1, 2, 8)\n"
        "        while at_work and list(folder.glob('run/inversion/part-*')) and not go.exists():\n"
        "            time.sleep(0.05)\n"
        "        values ="
    )
    text = module.read_text().replace("values =", wait, 1)
    module.write_text("import pathlib\nimport time\n" + text)


@contextmanager
def start(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A driver, which does not outlive the block: one that waits would wait for ever."""
    with subprocess.Popen(
        [Path(sys.executable).with_name("offmanifold"), "run", "audit.yaml", "--out", "run"],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=_hear_signals,
    ) as driver:
        try:
            yield driver
        finally:
            driver.kill()


def _hear_signals() -> None:
    """A shell's background jobs ignore interrupts, and what `nohup` starts hang-ups."""
    for heard in (signal.SIGINT, signal.SIGHUP):
        signal.signal(heard, signal.SIG_DFL)


def wait_for_a_part(folder: Path, driver: "subprocess.Popen[str]") -> None:
    wait_for(lambda: list((folder / "run" / "inversion").glob("part-*")), driver)


def wait_for(condition: Callable[[], object], driver: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline
        assert driver.poll() is None
        time.sleep(0.05)


def test_a_device_without_memory_halves_the_batch_and_remembers(
    audit_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A GPU, which alone raises this error, computes no blocks of one shape.
    monkeypatch.setattr(fixed_rows, "in_fixed_rows", lambda generator, _: generator)
    inversion_alone(audit_folder)
    break_device(audit_folder, "len(latent) > 10")
    result = run(audit_folder)
    assert result.exit_code == 0, result.output
    table = pd.read_parquet(audit_folder / "run" / "inversion")
    assert len(table) == 32
    assert (table.status == "ok").all()
    # The bank's 64 latents meet the limit, then 32 and 16 of them; the shards after them never do.
    assert (audit_folder / "refusals").read_text() == "xxx"


def test_an_item_that_no_device_can_hold_is_a_failed_row(audit_folder: Path) -> None:
    inversion_alone(audit_folder, restarts=3)
    # Opening the generator calls it with latents of its own.
    opening = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))[0].tolist()
    refused = f"latent[0].tolist() != {opening} and bool((condition == 1).any())"
    break_device(audit_folder, refused)
    result = run(audit_folder)
    assert result.exit_code == 3, result.output
    table = pd.read_parquet(audit_folder / "run" / "inversion")
    failed = table[table.condition == 1]
    assert len(failed) == 16
    assert failed.error.str.startswith("OutOfMemoryError: CUDA out of memory").all()
    assert (table[table.condition == 0].status == "ok").all()


def test_a_fault_of_the_device_is_no_failure_of_the_items(audit_folder: Path) -> None:
    inversion_alone(audit_folder)
    fault = "torch.AcceleratorError('CUDA error: an illegal memory access was encountered')"
    break_device(audit_folder, "len(latent) not in (1, 2, 8)", fault)
    result = run(audit_folder)
    assert result.exit_code == 1
    assert isinstance(result.exception, BrokenWorkerError)
    # Under Ray another process would have been given the shard.
    assert not list((audit_folder / "run" / "inversion").glob("part-*"))


def test_a_checkpoint_that_changed_under_a_run_ends_it(audit_folder: Path) -> None:
    inversion_alone(audit_folder)
    spec = load_spec(str(audit_folder / "audit.yaml"))
    settings = generator_settings(gather_facts(spec).generators["decoder"])
    resources = Resources(LocalStorage.create(audit_folder / "run"), torch.device("cpu"))
    assert shard_generator(settings, resources).latent_dim == 3
    with pytest.raises(
        ChangedInputError, match="put the same files in the same place on every node"
    ):
        shard_generator({**settings, "weights": "0" * 64}, resources)


def test_an_image_set_that_changed_under_a_run_ends_it(audit_folder: Path) -> None:
    inversion_alone(audit_folder)
    spec = load_spec(str(audit_folder / "audit.yaml"))
    facts = gather_facts(spec)
    run_directory = RunDirectory.at(audit_folder / "run")
    shard = plan(PlanContext(spec, facts, run_directory))[0]
    resources = Resources(LocalStorage.create(audit_folder / "run"), torch.device("cpu"))
    assert compute_dataset(shard.items, shard.settings, resources)
    (audit_folder / "images" / "zero" / "late.npy").write_bytes(b"one more")
    resources = Resources(LocalStorage.create(audit_folder / "run"), torch.device("cpu"))
    with pytest.raises(
        ChangedInputError, match="put the same files in the same place on every node"
    ):
        compute_dataset(shard.items, shard.settings, resources)


def test_a_read_only_place_has_its_own_status(audit_folder: Path) -> None:
    inversion_alone(audit_folder)
    # Nobody may make folders in /sys, root included.
    result = run(audit_folder, out="/sys/kernel/run")
    assert result.exit_code == 5
    assert re.search(r"cannot create /sys/kernel/run: .*choose another", result.stderr)


@pytest.mark.slow
def test_a_head_that_is_not_there_has_its_own_status(audit_folder: Path) -> None:
    inversion_alone(audit_folder)
    result = run(
        audit_folder, "--set", "cluster.executor=ray", "--set", "cluster.address=127.0.0.1:1"
    )
    assert result.exit_code == 7
    assert "cannot join the Ray cluster at 127.0.0.1:1" in result.stderr
    assert not list((audit_folder / "run").glob("*/part-*"))


def test_a_driver_that_is_not_alone_is_told(tmp_path: Path, caplog: Any) -> None:
    storage = LocalStorage.create(tmp_path)
    with announced(storage):
        assert not caplog.text
        with announced(storage):
            assert "another driver is working on this run" in caplog.text
    assert storage.list_names("_drivers") == []


def test_a_driver_that_was_killed_is_no_company(tmp_path: Path, caplog: Any) -> None:
    storage = LocalStorage.create(tmp_path)
    left = {"host": "a", "pid": 1, "since": time.time() - 500, "seen": time.time() - 200}
    storage.write("_drivers/a-1-00.json", json.dumps(left).encode())
    storage.write("_drivers/b-1-00.json", b"half a fi")
    with announced(storage):
        assert not caplog.text
        assert not storage.exists("_drivers/a-1-00.json")


@pytest.mark.slow
@pytest.mark.ci
def test_two_drivers_leave_the_rows_of_one(audit_folder: Path) -> None:
    inversion_alone(audit_folder)
    wait_in_the_second_shard(audit_folder)
    with start(audit_folder) as first:
        wait_for_a_part(audit_folder, first)
        with start(audit_folder) as second:
            assert second.stderr is not None
            told = next(line for line in second.stderr if "another driver" in line)
            (audit_folder / "go").touch()
            _, errors = second.communicate(timeout=240)
        assert second.returncode == 0, errors
        _, errors = first.communicate(timeout=240)
    assert first.returncode == 0, errors
    assert f"another driver is working on this run: process {first.pid}" in told
    assert "another driver" not in errors
    table = pd.read_parquet(audit_folder / "run" / "inversion")
    assert len(table) == 32
    assert not table.duplicated(["image_id", "condition"]).any()
    assert (table.status == "ok").all()
    assert not list((audit_folder / "run" / "_drivers").iterdir())


def test_a_signal_before_any_stage_ends_a_run_as_one_in_it(audit_folder: Path) -> None:
    inversion_alone(audit_folder)
    module = audit_folder / "decoder.py"
    wait = f"pathlib.Path({str(audit_folder / 'opened')!r}).touch()\ntime.sleep(60)\n"
    module.write_text(f"import pathlib\nimport time\n{wait}{module.read_text()}")
    with start(audit_folder) as driver:
        wait_for(lambda: (audit_folder / "opened").exists(), driver)
        driver.send_signal(signal.SIGTERM)
        _, errors = driver.communicate(timeout=60)
    assert driver.returncode == 130, errors
    assert "run the same command again to resume" in errors


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_a_run_in_process_and_it_resumes(
    audit_folder: Path, how: signal.Signals
) -> None:
    inversion_alone(audit_folder)
    wait_in_the_second_shard(audit_folder)
    with start(audit_folder) as driver:
        wait_for_a_part(audit_folder, driver)
        driver.send_signal(how)
        began = time.monotonic()
        _, errors = driver.communicate(timeout=240)
    assert driver.returncode == 130, errors
    assert time.monotonic() - began < 20
    assert "run the same command again to resume" in errors
    inversion = audit_folder / "run" / "inversion"
    kept = {part.name: part.stat().st_ino for part in inversion.glob("part-*")}
    assert len(kept) == 1
    assert not list((audit_folder / "run").rglob("*.tmp"))
    (audit_folder / "go").touch()
    assert run(audit_folder).exit_code == 0
    assert kept.items() < {p.name: p.stat().st_ino for p in inversion.glob("part-*")}.items()
