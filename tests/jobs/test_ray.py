"""The same audit under Ray and in-process, and what a user's hand or a dying process does to it."""

import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from offmanifold.jobs.commands.cli import app
from typer.testing import CliRunner

from ..cluster.processes import wait_for
from ..registered import TABLES
from .conftest import SHORT_END, STAGES, lean_spec, small_spec, write_spec

# Each starts a Ray, and two cores are too few for two at once.
pytestmark = pytest.mark.xdist_group("ray")

# Each starts a process that imports everything.
ONE_WORKER = ("--set", "cluster.workers=1")


def command(run: str, *arguments: str) -> list[str]:
    cli = str(Path(sys.executable).with_name("offmanifold"))
    return [cli, "run", "audit.yaml", "--out", run, *arguments]


def audit(folder: Path, run: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(run, *arguments), cwd=folder, capture_output=True, text=True, check=False
    )


def under_ray(folder: Path, spec: dict[str, Any]) -> None:
    write_spec(folder, {**spec, "cluster": {"executor": "ray", "workers": 2}})


def in_process(folder: Path, run: str) -> None:
    """The same in this process, which has all modules already."""
    options = ("--out", str(folder / run), "--set", "cluster.executor=serial")
    done = CliRunner().invoke(app, ["run", str(folder / "audit.yaml"), *options])
    assert done.exit_code == 0, done.output


def lasting(transitions: int) -> dict[str, Any]:
    """An audit whose densities take as long as is needed."""
    spec = lean_spec()
    spec["stages"]["likelihood"]["transitions"] = transitions
    return spec


def tables(run: Path) -> dict[str, pd.DataFrame]:
    return {
        stage: pd.read_parquet(run / stage)
        .sort_values(["image_id", "condition", *TABLES[stage].repeated_by])
        .reset_index(drop=True)
        for stage in STAGES
        if (run / stage).exists()
    }


def assert_same_tables(run: Path, reference: Path) -> None:
    """Every value equal, bit for bit: shards are computed in the same batches everywhere."""
    expected, found = tables(reference), tables(run)
    assert found.keys() == expected.keys() >= {"images", "inversion", "likelihood"}
    for stage, table in found.items():
        keys = ["generator", "condition", "image_id", *TABLES[stage].repeated_by]
        assert not table.duplicated(keys).any()
        pd.testing.assert_frame_equal(table, expected[stage], check_exact=True)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_gives_the_rows_of_a_run_in_process(
    audit_folder: Path, workers: int
) -> None:
    under_ray(audit_folder, small_spec())
    in_process(audit_folder, "serial")
    done = audit(audit_folder, "ray", "--set", f"cluster.workers={workers}")
    assert done.returncode == 0, done.stderr
    assert tables(audit_folder / "ray").keys() == set(STAGES)
    assert_same_tables(audit_folder / "ray", audit_folder / "serial")


@pytest.mark.slow
def test_a_driver_killed_three_times_leaves_the_undisturbed_tables(audit_folder: Path) -> None:
    under_ray(audit_folder, lasting(60))
    began = time.monotonic()
    undisturbed = audit(audit_folder, "undisturbed")
    assert undisturbed.returncode == 0, undisturbed.stderr
    duration = time.monotonic() - began
    moments = random.Random(11)
    for _ in range(3):
        with subprocess.Popen(command("killed"), cwd=audit_folder) as driver:
            time.sleep(moments.uniform(0.3, 0.9) * duration)
            driver.kill()
    assert audit(audit_folder, "killed").returncode == 0
    assert_same_tables(audit_folder / "killed", audit_folder / "undisturbed")


@pytest.mark.slow
@pytest.mark.ci
def test_a_worker_killed_in_the_middle_of_a_shard_costs_nothing(audit_folder: Path) -> None:
    """CI's comparison of all stages under Ray with those in one process."""
    spec = small_spec()
    # So long that a shard is not done before the kill; the convergence would double longer chains.
    spec["stages"]["inversion"]["iterations"] = 200
    for group in spec["groups"]:
        group["count"] = 4
    under_ray(audit_folder, spec)
    in_process(audit_folder, "undisturbed")
    arguments = command("killed")
    with subprocess.Popen(arguments, cwd=audit_folder, stderr=subprocess.PIPE) as driver:
        wait_for(lambda: list((audit_folder / "killed" / "inversion").glob("part-*")), 240)
        workers = [
            process
            for process in psutil.Process(driver.pid).children(recursive=True)
            if "WorkerProcess" in process.name() or "WorkerProcess" in " ".join(process.cmdline())
        ]
        assert workers
        os.kill(workers[0].pid, signal.SIGKILL)
        _, errors = driver.communicate(timeout=240)
    assert driver.returncode == 0, errors
    assert b"a worker process died (shard " in errors
    assert tables(audit_folder / "killed").keys() == set(STAGES)
    assert_same_tables(audit_folder / "killed", audit_folder / "undisturbed")


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_a_run_within_seconds_and_it_resumes(
    audit_folder: Path, how: signal.Signals
) -> None:
    under_ray(audit_folder, lasting(2000))
    arguments = command("run")
    with subprocess.Popen(
        arguments,
        cwd=audit_folder,
        stderr=subprocess.PIPE,
        # A shell's background jobs, and so perhaps this test, ignore interrupts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as driver:
        wait_for(lambda: list((audit_folder / "run" / "inversion").glob("part-*")), 90)
        driver.send_signal(how)
        began = time.monotonic()
        _, errors = driver.communicate(timeout=60)
    assert driver.returncode == 130, errors
    assert time.monotonic() - began < 20
    assert b"resume" in errors
    under_ray(audit_folder, lean_spec())
    assert audit(audit_folder, "run", "--changed").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "part", [pytest.param("raylet", marks=pytest.mark.ci), "gcs_server", "ray::RuntimeEnvAgent"]
)
def test_a_local_ray_is_closed_to_others_and_its_death_is_told(
    audit_folder: Path, part: str
) -> None:
    under_ray(audit_folder, lasting(2000))
    arguments = command("run", *ONE_WORKER)
    with subprocess.Popen(arguments, cwd=audit_folder, stderr=subprocess.PIPE) as driver:
        wait_for(lambda: list((audit_folder / "run" / "inversion").glob("part-*")), 90)
        processes = psutil.Process(driver.pid).children(recursive=True)
        listening = [
            connection.laddr
            for process in [psutil.Process(driver.pid), *processes]
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening
        assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
        raylet = next(process for process in processes if process.name() == "raylet")
        folder = next(
            parent
            for parent in Path(_option(raylet.cmdline(), "--session_dir")).parents
            if parent.name.startswith("om-ray-")
        )
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        victim = next(each for each in processes if each.name().startswith(part[:15]))
        victim.kill()
        _, errors = driver.communicate(timeout=120)
    assert driver.returncode == 7, errors
    assert b"run the same command again to resume" in errors
    assert not folder.exists()


def _option(arguments: list[str], name: str) -> str:
    return next(each for each in arguments if each.startswith(f"{name}=")).removeprefix(f"{name}=")


@pytest.mark.slow
@pytest.mark.ci
def test_an_item_that_kills_its_process_is_one_failed_row(audit_folder: Path) -> None:
    module = audit_folder / "decoder.py"
    murder = (
        "import os, signal\n"
        "        if len(latent) > 8 and bool((condition == 1).any()): "
        "os.kill(os.getpid(), signal.SIGKILL)\n        values ="
    )
    module.write_text(module.read_text().replace("values =", murder, 1))
    spec = small_spec()
    spec["stages"] = {"inversion": {"iterations": 3, "restarts": 3, "bank": 24, **SHORT_END}}
    spec["groups"] = [
        {"name": "train", "role": "train", "dataset": "folder", "path": "images", "count": 2},
    ]
    under_ray(audit_folder, spec)
    done = audit(audit_folder, "run", *ONE_WORKER)
    assert done.returncode == 3, done.stderr
    table = pd.read_parquet(audit_folder / "run" / "inversion")
    assert len(table) == 2
    assert dict(zip(table.condition, table.status, strict=True)) == {0: "ok", 1: "killed worker"}


@pytest.mark.slow
def test_parts_that_are_damaged_before_and_during_a_run_under_ray_heal(audit_folder: Path) -> None:
    """Images of a finished stage, and an inversion that the likelihood's workers read."""
    spec = lean_spec()
    for group in spec["groups"]:
        group["count"] = 4
    under_ray(audit_folder, spec)
    done = audit(audit_folder, "undisturbed")
    assert done.returncode == 0, done.stderr
    shutil.copytree(audit_folder / "undisturbed", audit_folder / "run")
    shutil.rmtree(audit_folder / "run" / "likelihood")
    for stage in ("images", "inversion"):
        part = min((audit_folder / "run" / stage).glob("part-*"))
        content = bytearray(part.read_bytes())
        content[len(content) // 2] ^= 1
        part.write_bytes(content)
    later = max((audit_folder / "run" / "inversion").glob("part-*"))
    driver = subprocess.Popen(
        command("run"),
        cwd=audit_folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    # Of another part, once the driver has read all of them.
    wait_for(
        lambda: (
            list((audit_folder / "run" / "likelihood").glob("part-*")) or driver.poll() is not None
        ),
        240,
    )
    content = bytearray(later.read_bytes())
    content[len(content) // 2] ^= 1
    later.write_bytes(content)
    _, errors = driver.communicate(timeout=400)
    assert driver.returncode == 0, errors
    assert "moved to _damaged" in errors
    assert_same_tables(audit_folder / "run", audit_folder / "undisturbed")
