"""What can be seen of a run: its log, its state, and why something failed."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.cluster.observer import Attempt
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.record.activity import Workers, recent_rates, workers_alive
from offmanifold.jobs.record.journal import Journal, journal
from offmanifold.jobs.report.plain_text import printable
from offmanifold.workers.runner import ShardReport
from typer.testing import CliRunner

from .conftest import fill_audit_folder, forget_decoder, small_spec, write_spec


def offmanifold(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def inversion_only(folder: Path) -> None:
    spec = small_spec()
    spec["groups"] = [group for group in spec["groups"] if group["role"] == "train"]
    spec["stages"] = {"inversion": spec["stages"]["inversion"]}
    write_spec(folder, spec)


@pytest.fixture(scope="module")
def broken_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose generator fails on one class; its message would move a terminal's cursor."""
    audit_folder = tmp_path_factory.mktemp("broken") / "audit"
    fill_audit_folder(audit_folder)
    inversion_only(audit_folder)
    module = audit_folder / "decoder.py"
    check = (
        "if len(latent) > 8 and (condition == 1).any():\n"
        "            raise RuntimeError('class 1 is broken\\x1b[2J')\n        values ="
    )
    module.write_text(module.read_text().replace("values =", check, 1))
    done = offmanifold("run", audit_folder / "audit.yaml", "--out", audit_folder / "run")
    forget_decoder(audit_folder)
    assert done.exit_code == 3, done.output
    return audit_folder / "run"


@pytest.fixture
def broken_run(broken_once: Path, tmp_path: Path) -> Path:
    """A copy of that run."""
    return Path(shutil.copytree(broken_once, tmp_path / "run"))


def test_errors_names_each_error_once_with_its_items_and_its_traceback(broken_run: Path) -> None:
    text = offmanifold("errors", broken_run).stdout
    assert "inversion: 12 items: RuntimeError: class 1 is broken\\x1b[2J" in text
    assert "\x1b" not in text
    assert text.count("Traceback (most recent call last)") == 1
    assert "decoder.py" in text
    assert "raise RuntimeError" in text
    assert "condition 1" in text
    assert "and 9 more" in text


def test_errors_as_json_has_a_line_an_item(broken_run: Path) -> None:
    lines = offmanifold("errors", broken_run, "--stage", "inversion", "--json").stdout.splitlines()
    found = [json.loads(line) for line in lines]
    assert len(found) == 12
    assert all("decoder.py" in item["traceback"] for item in found)
    assert {item["condition"] for item in found} == {1}
    assert offmanifold("errors", broken_run, "--stage", "images").stdout == (
        "no items are quarantined\n"
    )
    unknown = offmanifold("errors", broken_run, "--stage", "inversions")
    assert unknown.exit_code == 2
    assert "this run has the stages images, inversion" in unknown.stderr


def test_the_log_has_a_line_for_every_shard(broken_run: Path) -> None:
    (log,) = (broken_run / "_log").iterdir()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    by_shard = {(line["stage"], line["shard"]): line for line in lines}
    parts = [
        (path.parent.name, path.stem.removeprefix("part-"))
        for path in broken_run.glob("*/part-*.parquet")
    ]
    assert sorted(by_shard) == sorted(parts)
    assert len(lines) == len(parts)
    for line in lines:
        assert line["attempt"] == 1
        assert line["died"] is None
        assert line["published"] is True
        assert line["seconds"] > 0
        assert ":" in line["worker"]
    assert sum(line["failed"] for line in lines) == 12


def test_status_tells_what_failed_which_were_slow_and_that_nobody_works(broken_run: Path) -> None:
    found = json.loads(offmanifold("status", broken_run, "--json").stdout)
    assert found["complete"]
    (inversion,) = [stage for stage in found["stages"] if stage["stage"] == "inversion"]
    assert inversion["done"] == 3
    assert 2 <= inversion["failed"] <= 3
    assert inversion["quarantined"] == 12
    assert inversion["items_per_second"] > 0
    seconds = [slow["seconds"] for slow in inversion["slowest"]]
    assert len(seconds) == 3
    assert seconds == sorted(seconds, reverse=True)
    nobody = {"busy": 0, "idle": 0, "starting": 0, "drivers": 0, "out_of_use": []}
    assert found["workers"] == nobody
    assert "no driver has reported any" in offmanifold("status", broken_run).stdout


def test_watching_ends_with_the_run(broken_run: Path) -> None:
    part = next((broken_run / "inversion").glob("part-*"))
    content = part.read_bytes()
    part.unlink()
    from threading import Timer

    Timer(1.0, lambda: part.write_bytes(content)).start()
    watched = offmanifold("status", broken_run, "--watch", "--json", "--every", "0.2")
    states = [json.loads(line) for line in watched.stdout.splitlines()]
    assert [state["complete"] for state in states[:1]] == [False]
    assert [state["complete"] for state in states[-1:]] == [True]


def attempt(shard: str, **changes: Any) -> Attempt:
    report = ShardReport(shard, 8, 1, 2.0, True, device_bytes=2**30)
    fields: dict[str, Any] = {
        "task_id": shard,
        "kind": "inversion",
        "span": (0, 8),
        "number": 1,
        "worker": "host:1",
        "node": "n",
        "place": "host",
        "seconds": 2.0,
        "report": report,
        "error": None,
    }
    return Attempt(**{**fields, **changes})


def test_a_long_log_is_kept_in_files_of_500_lines(tmp_path: Path) -> None:
    storage = LocalStorage.create(tmp_path)
    now = [0.0]
    log = Journal(storage, clock=lambda: now[0])
    for index in range(1200):
        now[0] += 1.0
        log.attempted(attempt(f"shard-{index}"))
    log.attempted(attempt("last", report=None, error="killed", number=2))
    log.close()
    files = sorted((tmp_path / "_log").glob("*.jsonl"))
    counts = [len(file.read_text().splitlines()) for file in files]
    assert sum(counts) == 1201
    assert len(counts) == 3
    assert max(counts) < 520
    last = json.loads(files[-1].read_text().splitlines()[-1])
    assert (last["shard"], last["died"], last["attempt"]) == ("last", "killed", 2)
    assert last["device_bytes"] is None
    first = json.loads(files[0].read_text().splitlines()[0])
    assert first["device_bytes"] == 2**30


def test_workers_are_those_that_drivers_told_of_lately(tmp_path: Path) -> None:
    storage = LocalStorage.create(tmp_path)
    with journal(storage) as log:
        log.workers(busy=3, idle=1, starting=2)
        old = {"busy": 7, "idle": 0, "starting": 0, "time": time.time() - 1000}
        storage.write("_log/old.workers.json", json.dumps(old).encode())
        storage.write("_log/bad.workers.json", b'{"time": "now"}')
        assert workers_alive(storage) == Workers(busy=3, idle=1, starting=2, drivers=1)
    assert workers_alive(storage) == Workers(0, 0, 0, 0)


def test_a_rate_is_of_all_workers_together(tmp_path: Path) -> None:
    storage = LocalStorage.create(tmp_path)
    with journal(storage) as log:
        # Two workers at once: 16 rows in the two seconds that both took.
        log.attempted(attempt("a"))
        log.attempted(attempt("b"))
        log.attempted(attempt("c", report=None, error="killed"))
    assert recent_rates(storage)["inversion"] == pytest.approx(8.0, rel=0.1)


def test_a_terminal_is_not_steered_by_data() -> None:
    assert printable("a\x1b[31mb\u202ec\nd é") == "a\\x1b[31mb\\u202ec\nd é"
