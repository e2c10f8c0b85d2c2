"""Workers for the executors' tests: real parts through the real storage, and ways to die."""

import ctypes
import hashlib
import json
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from offmanifold.cluster.broken_worker import BrokenWorkerError
from offmanifold.cluster.executor import Task
from offmanifold.cluster.local_storage import LocalStorage


@dataclass(frozen=True)
class Report:
    """As the executor wants it."""

    task_id: str
    rows: int
    failed: int
    seconds: float
    published: bool


@dataclass(frozen=True)
class Shard:
    """Items are numbers from ``first`` on; the others name items that do something special."""

    name: str
    first: int
    size: int
    killers: tuple[int, ...] = ()
    stops: tuple[int, ...] = ()
    holds: tuple[int, ...] = ()
    waits: tuple[int, ...] = ()
    spins: tuple[int, ...] = ()
    raises: tuple[int, ...] = ()
    eats: tuple[int, ...] = ()
    breaks: tuple[int, ...] = ()
    bad_gpus: tuple[str, ...] = ()
    seconds: float = 0.0
    # Each item waits until so many workers are there.
    workers: int = 0


def task(name, first, size, **special):
    return Task(name, Shard(name, first, size, **special), size)


@dataclass(frozen=True)
class Factory:
    root: Path
    seconds: float = 0.0
    # Where no worker can even start.
    bad_gpus: tuple[str, ...] = ()

    def __call__(self):
        time.sleep(self.seconds)
        if on_gpu_of(self.bad_gpus):
            raise BrokenWorkerError("this GPU has fallen off the bus")
        return NumberWorker(LocalStorage(self.root))


class NumberWorker:
    def __init__(self, storage):
        self.storage = storage
        self.done = 0.0

    def compute(self, shard, start, stop):
        try:
            return self._computed(shard, start, stop)
        finally:
            self.done = 0.0

    def _computed(self, shard, start, stop):
        rows: list[dict[str, object]] = []
        for item in range(shard.first + start, shard.first + stop):
            self.done = float(len(rows))
            self._announce(item)
            while len(self.storage.list_names("workers")) < shard.workers:
                time.sleep(0.02)
            time.sleep(shard.seconds)
            if item in shard.killers or on_gpu_of(shard.bad_gpus):
                os.kill(os.getpid(), signal.SIGKILL)
            if item in shard.stops:
                os.kill(os.getpid(), signal.SIGSTOP)
            if item in shard.holds:
                # Unlike CDLL, PyDLL keeps the interpreter to itself.
                ctypes.PyDLL(None).sleep(1000)
            if item in shard.waits:
                threading.Event().wait()
            while item in shard.spins:
                pass
            if item in shard.eats:
                eat(8 * 2**30)
            if item in shard.breaks and self.storage.publish(f"broken-{item}", b""):
                raise BrokenWorkerError("the device has failed")
            if item in shard.raises:
                raise ArithmeticError(f"item {item} shows a bug")
            value = hashlib.sha256(f"{item}".encode()).hexdigest()
            rows.append({"item": item, "status": "ok", "value": value})
        if (start, stop) == (0, shard.size):
            return self._publish(shard, rows)
        self.storage.write(f".scratch/{shard.name}-{start}-{stop}", json.dumps(rows).encode())
        return Report(shard.name, len(rows), 0, 0.0, published=False)

    def assemble(self, shard, spans, lost):
        rows = [{"item": shard.first + i, "status": error} for i, error in lost.items()]
        for start, stop in spans:
            rows += json.loads(self.storage.read(f".scratch/{shard.name}-{start}-{stop}"))
        return self._publish(shard, rows)

    def _publish(self, shard, rows):
        published = self.storage.publish(f"stage/{shard.name}", json.dumps(rows).encode())
        failed = sum(row["status"] != "ok" for row in rows)
        return Report(shard.name, len(rows), failed, 0.0, published)

    def _announce(self, item):
        """Tell the test who is at work, and on what."""
        self.storage.write(f"workers/{os.getpid()}", b"")
        with (self.storage.root / ".computed").open("a") as log:
            log.write(f"{item}\n")


def on_gpu_of(numbers):
    """Whether this process was given one of these GPUs."""
    return os.environ.get("CUDA_VISIBLE_DEVICES") in numbers


def eat(size):
    """Takes that much memory, a piece at a time, and holds it for ten seconds."""
    piece = 2**26
    eaten = []
    for _ in range(size // piece):
        eaten.append(b"x" * piece)
        time.sleep(0.01)
    time.sleep(10)


def rows_of(storage):
    """The rows of all parts by item; fails where an item has two."""
    rows = {}
    for name in storage.list_names("stage"):
        for row in json.loads(storage.read(f"stage/{name}")):
            assert row["item"] not in rows
            rows[row["item"]] = row["status"]
    return rows


def pending(storage, tasks):
    """What a resumed run still has to do: planned minus listed."""
    done = set(storage.list_names("stage"))
    return [t for t in tasks if t.id not in done]


def computed(storage):
    """The items that workers began, each as often as one did."""
    return [int(line) for line in (storage.root / ".computed").read_text().split()]
