"""A whole audit that is disturbed: its drivers, and what happens to them, to it and its store."""

import contextlib
import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pandas as pd
import psutil
from offmanifold.cluster.locations import open_storage
from offmanifold.cluster.s3_settings import S3Settings
from offmanifold.cluster.storage import Storage, StorageError

from ..object_store import BUCKET, Service
from ..registered import TABLES
from ..stored_runs import summary_of, table_of
from .conftest import GENERATOR_MODULE, fill_audit_folder, lean_spec, write_spec

logger = logging.getLogger(__name__)

STAGES = (
    "images",
    "inversion",
    "variance_fit",
    "variance",
    "tuning",
    "likelihood",
    "local_variation",
)
# How a driver may end that was not asked to.
_COMPLETE, _STOPPED, _NO_RAY, _INTERRUPTED = 0, 1, 7, 130
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Longer than a worker of this audit takes for anything, Ray's start on a busy machine included.
HEARTBEAT_SECONDS = 20.0


def fill_counting_folder(folder: Path, images: int = 6) -> None:
    """An audit whose generator counts its calls and their rows in ``$COUNTS``, after ``$PAUSE``."""
    fill_audit_folder(folder)
    counting = (
        'import os, time\n        time.sleep(float(os.environ["PAUSE"]))\n'
        '        with open(os.environ["COUNTS"], "a") as counts:\n'
        '            counts.write(f"{len(latent)}\\n")\n        values ='
    )
    module = dedent(GENERATOR_MODULE).replace("values =", counting, 1)
    (folder / "decoder.py").write_text(module)
    write_spec(folder, spec_to_disturb(images))


def spec_to_disturb(images: int) -> dict[str, Any]:
    """An audit of every kind of dependence between stages, in many small shards."""
    spec = lean_spec()
    spec["stages"]["variance"] = {}
    for group in spec["groups"]:
        if "count" in group:
            group["count"] = images
    spec["stages"]["images"] = {"shard_items": 4}
    # So few calls that a run takes as long as its generator sleeps, on however slow a machine.
    spec["stages"]["inversion"] |= {
        "iterations": 4,
        "finalists": 1,
        "final_iterations": 3,
        "polish": 1,
        "shard_items": 2,
    }
    spec["stages"]["likelihood"] = {
        "estimator": "classical",
        "transitions": 3,
        "leapfrog_steps": 1,
        "chains": 2,
        "pilots": 1,
        "shard_items": 2,
    }
    spec["stages"]["local_variation"] = {}
    return spec


def command(folder: Path, out: str, executor: str) -> list[str]:
    """That runs the folder's audit."""
    cli = str(Path(sys.executable).with_name("offmanifold"))
    settings = {
        "executor": executor,
        "workers": 2 if executor == "ray" else "null",
        "heartbeat_seconds": HEARTBEAT_SECONDS,
        "storage": "{timeout: 3}",
    }
    options = [f"--set=cluster.{name}={value}" for name, value in settings.items()]
    return [cli, "run", str(folder / "audit.yaml"), "--out", out, *options]


class Disturbed:
    """A run, the drivers that were sent to finish it, and its faults by their kinds."""

    def __init__(
        self,
        folder: Path,
        out: str,
        executor: str,
        storage: Storage,
        environment: Mapping[str, str],
        randomness: random.Random,
        service: Service | None = None,
    ) -> None:
        self._command = command(folder, out, executor)
        self._folder = folder
        self._environment = dict(environment)
        self._storage = storage
        self._randomness = randomness
        self._service = service
        self._driver: subprocess.Popen[bytes] | None = None
        self._log = folder / "disturbed.log"
        self._expected: set[int] = set()
        self.faults: Counter[str] = Counter()
        self.drivers = 0

    @property
    def process(self) -> psutil.Process | None:
        """The driver's, if there is one at work."""
        if self._driver is None or self._driver.poll() is not None:
            return None
        return psutil.Process(self._driver.pid)

    def send_driver(self) -> None:
        """Start one, unless one is at work."""
        if self.process is not None:
            return
        self._require_good_end()
        self.drivers += 1
        with self._log.open("wb") as log:
            self._driver = subprocess.Popen(
                self._command,
                env=self._environment,
                stdout=log,
                stderr=log,
                preexec_fn=_hear_signals,
            )

    def hurry(self) -> None:
        """The generators of the drivers to come do not pause, and one at work makes way."""
        self._environment["PAUSE"] = "0"
        self.interrupt_driver()

    def finish(self, seconds: float = 1800.0) -> None:
        """Send drivers until one has ended with a complete run."""
        while True:
            self.send_driver()
            assert self._driver is not None
            self._driver.wait(seconds)
            if self._driver.returncode == _COMPLETE:
                return

    def parts(self) -> list[str]:
        """The parts that are there; of a service that is away none."""
        with contextlib.suppress(StorageError):
            return [
                f"{stage}/{name}" for stage in STAGES for name in self._storage.list_names(stage)
            ]
        return []

    def wait_for_parts(self, more: int, seconds: float = 120.0) -> None:
        """Until some more parts are there, or the driver has ended, or for so long."""
        enough, deadline = len(self.parts()) + more, time.monotonic() + seconds
        while self.process is not None and len(self.parts()) < enough:
            if time.monotonic() > deadline:
                return
            time.sleep(0.3)

    @property
    def is_complete(self) -> bool:
        """Whether the last driver has ended with a complete run."""
        return self._driver is not None and self._driver.poll() == _COMPLETE

    def disturb(self, kind: str) -> bool:
        """One fault; False where there is nothing to do it to, such as no worker by now."""
        done = FAULTS[kind](self)
        if done:
            self.faults[kind] += 1
            logger.info("%s; driver %d, %d parts", kind, self.drivers, len(self.parts()))
        return done

    def end(self) -> None:
        """Leave no process."""
        driver = self.process
        if driver is not None:
            family = [driver, *driver.children(recursive=True)]
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        if self._driver is not None:
            self._driver.wait(60)

    def _require_good_end(self) -> None:
        """Of a driver that has ended: as asked, or with a sentence that says how to go on."""
        if self._driver is None:
            return
        code, said = self._driver.returncode, self._log.read_text(errors="replace")
        allowed = {_COMPLETE, *self._expected}
        if code in (_STOPPED, _NO_RAY):
            assert "run the same command again" in said.lower(), said
            assert "Traceback" not in said, said
            allowed.add(code)
        assert code in allowed, f"{code}: {said}"
        self._expected = set()

    def kill_driver(self) -> bool:
        return self._signal_driver(signal.SIGKILL, -signal.SIGKILL)

    def interrupt_driver(self) -> bool:
        # A signal that comes before Python listens ends it as it ends any process.
        how = self._randomness.choice(_ENDINGS)
        return self._signal_driver(how, _INTERRUPTED, -how)

    def _signal_driver(self, how: signal.Signals, *codes: int) -> bool:
        if self.process is None or self._driver is None:
            return False
        self._expected.update(codes)
        self._driver.send_signal(how)
        # On a busy machine Ray takes its time to end.
        self._driver.wait(300)
        return True

    def stop_driver(self) -> bool:
        return self._stopped_for_a_while(self.process)

    def kill_worker(self) -> bool:
        worker = self._one_of(self._named("WorkerProcess"))
        return self._killed(worker)

    def stop_worker(self) -> bool:
        return self._stopped_for_a_while(self._one_of(self._named("WorkerProcess")))

    def freeze_worker(self) -> bool:
        """It stays so until the driver's patience is at an end."""
        worker = self._one_of(self._named("WorkerProcess"))
        if worker is None:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            worker.suspend()
            return True
        return False

    def kill_part_of_ray(self, name: str) -> bool:
        return self._killed(self._one_of(self._named(name)))

    def restart_service(self) -> bool:
        assert self._service is not None
        self._service.stop()
        time.sleep(self._randomness.uniform(0.5, 4.0))
        self._service.start()
        return True

    def hold_up_service(self) -> bool:
        assert self._service is not None
        self._service.hold_up(self._randomness.uniform(1.0, 6.0))
        return True

    def damage_part(self) -> bool:
        """A flipped bit, an end that is missing, or zeros; in place, whoever reads it now."""
        parts = self.parts()
        if not parts:
            return False
        name = self._randomness.choice(parts)
        try:
            content = bytearray(self._storage.read(name))
        except StorageError:
            # Moved aside in between.
            return False
        place = self._randomness.randrange(len(content))
        how = self._randomness.choice(["bit", "end", "zeros"])
        if how == "bit":
            content[place] ^= 1 << self._randomness.randrange(8)
        elif how == "end":
            del content[place:]
        else:
            content[place:] = bytes(len(content) - place)
        if self._service is None:
            Path(self._storage.locate(name)).write_bytes(content)
        else:
            key = self._storage.locate(name).removeprefix(f"s3://{BUCKET}/")
            self._service.store.client().put_object(Bucket=BUCKET, Key=key, Body=bytes(content))
        return True

    def _named(self, name: str) -> list[psutil.Process]:
        driver = self.process
        found = []
        for process in [] if driver is None else driver.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if name in process.name() or name in " ".join(process.cmdline()[:1]):
                    found.append(process)
        return found

    def _one_of(self, processes: list[psutil.Process]) -> psutil.Process | None:
        return self._randomness.choice(processes) if processes else None

    def _killed(self, process: psutil.Process | None) -> bool:
        if process is None:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
            return True
        return False

    def _stopped_for_a_while(self, process: psutil.Process | None) -> bool:
        if process is None:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
            time.sleep(self._randomness.uniform(1.0, 4.0))
            process.resume()
            return True
        return False


FAULTS: Mapping[str, Callable[[Disturbed], bool]] = {
    "driver killed": Disturbed.kill_driver,
    "driver interrupted": Disturbed.interrupt_driver,
    "driver stopped for seconds": Disturbed.stop_driver,
    "part damaged": Disturbed.damage_part,
    "worker killed": Disturbed.kill_worker,
    "worker stopped for seconds": Disturbed.stop_worker,
    "worker frozen": Disturbed.freeze_worker,
    "raylet killed": lambda run: run.kill_part_of_ray("raylet"),
    "GCS killed": lambda run: run.kill_part_of_ray("gcs_server"),
    "agent killed": lambda run: run.kill_part_of_ray("ray::RuntimeEn"),
    "service restarted": Disturbed.restart_service,
    "service held up": Disturbed.hold_up_service,
}


def undisturbed_run(folder: Path, images: int = 6) -> None:
    """Fill the folder with the audit and the run of it that nothing happened to."""
    fill_counting_folder(folder, images)
    storage = open_storage(folder / "run", S3Settings())
    run = Disturbed(
        *(folder, str(folder / "run"), "serial", storage),
        environment(folder, {}, pause=0.0),
        random.Random(0),
    )
    run.finish()


def _hear_signals() -> None:
    """A shell's background jobs ignore interrupts, and what `nohup` starts a closed terminal."""
    for each in _ENDINGS:
        signal.signal(each, signal.SIG_DFL)


def rows_generated(counts: Path) -> int:
    """Of all calls of the generator."""
    return sum(map(int, counts.read_text().split()))


def environment(folder: Path, store: Mapping[str, str], pause: float) -> dict[str, str]:
    """Of the drivers: a home of their own, and what the counting generator asks for."""
    (folder / "home").mkdir(exist_ok=True)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    own = {"HOME": str(folder / "home"), "COUNTS": str(folder / "counts"), "PAUSE": str(pause)}
    return kept | dict(store) | own


def assert_unchanged(out: str, undisturbed: Path, folder: Path) -> int:
    """Every row and every number of the summary; how many rows there are."""
    here, there = open_storage(out, S3Settings()), open_storage(undisturbed / "run", S3Settings())
    rows = 0
    for stage in STAGES:
        found, expected = table_of(here, stage), table_of(there, stage)
        keys = ["generator", "condition", "group", "image_id", *TABLES[stage].repeated_by]
        assert not found.duplicated(keys).any()
        for column in {"source"} & set(expected):
            expected[column] = expected[column].str.replace(
                str(undisturbed), str(folder), regex=False
            )
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
        rows += len(found)
    pd.testing.assert_frame_equal(summary_of(out), summary_of(undisturbed / "run"))
    return rows
