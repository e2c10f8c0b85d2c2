"""What the executor's loop and the plan cost at the size of a large audit, without its arithmetic.

    python tests/benchmarks/bench_scale.py loop [ACTORS] [SHARDS] [SECONDS]
    python tests/benchmarks/bench_scale.py plan [CLASSES] [IMAGES]
    python tests/benchmarks/bench_scale.py shards [CLASSES] [IMAGES]

``loop`` feeds actors that sleep and publish a part with the real executor, on a Ray of its own:
shards a second, the driver's memory on the way, and the seconds to list the run and to resume it.
``plan`` makes a folder of that many images, a generator of that many classes, and runs
``offmanifold plan`` on every image under every class. ``shards`` plans the inversion of that many
as a run does it, ids and all, goes through all its tasks as an executor does, and notes where each
result lies, as the likelihood's plan does.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml
from offmanifold.cluster.executor import Task
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.cluster.ray_executor import RayExecutor
from offmanifold.cluster.ray_session import ray_session
from offmanifold.cluster.resources import WorkerResources
from offmanifold.jobs.audits.inversion import plan as inversion
from offmanifold.jobs.audits.specs import Spec
from offmanifold.jobs.drive.pending import PendingTasks
from offmanifold.jobs.plan.places import Places
from offmanifold.jobs.plan.stage import ImageRecord, PlanContext
from offmanifold.jobs.record.run_directory import RunDirectory
from offmanifold.jobs.spec.facts import Facts, GeneratorFacts
from PIL import Image

_LINES = 10


@dataclass(frozen=True)
class Report:
    """As the executor wants it."""

    task_id: str
    rows: int
    failed: int
    seconds: float
    published: bool


@dataclass(frozen=True)
class SleepingWorker:
    """Makes itself, sleeps for a shard, and publishes a small part."""

    root: Path
    seconds: float
    done: float = 0.0

    def __call__(self) -> "SleepingWorker":
        return self

    def compute(self, payload: Any, start: int, stop: int) -> Report:
        time.sleep(self.seconds)
        published = LocalStorage(self.root).publish(f"stage/part-{payload}.parquet", b"rows" * 250)
        return Report(payload, stop - start, 0, self.seconds, published)

    def assemble(self, payload: Any, spans: Any, lost: Any) -> Report:
        raise AssertionError(f"nothing dies here: {payload}, {spans}, {lost}")


class Meter:
    """Prints shards a second and the driver's memory, ten times in a run."""

    def __init__(self, shards: int) -> None:
        self._every = max(1, shards // _LINES)
        self.done = 0
        self._since = self._began = time.perf_counter()

    def __call__(self, _report: Any) -> None:
        self.done += 1
        if self.done % self._every == 0:
            now = time.perf_counter()
            memory = psutil.Process().memory_info().rss / 2**20
            rate = self._every / (now - self._since)
            print(f"{self.done:8,} shards  {rate:7.1f} a second  {memory:7.0f} MiB", flush=True)
            self._since = now

    def total(self) -> str:
        elapsed = time.perf_counter() - self._began
        return f"{self.done:,} shards in {elapsed:.0f} s: {self.done / elapsed:.1f} a second"


def measure_loop(actors: int, shards: int, seconds: float) -> None:
    resources = WorkerResources(workers=actors, cpus_per_worker=0.01)
    with tempfile.TemporaryDirectory() as folder:
        storage = LocalStorage.create(Path(folder))
        tasks = [Task(f"{index:016x}", f"{index:016x}", 50) for index in range(shards)]
        with ray_session(None, resources):
            executor = RayExecutor(resources, import_paths=[Path(__file__).parent])
            factory = SleepingWorker(storage.root, seconds)
            phases = Phases(storage, tasks, actors, seconds)
            executor.run(phases.tasks(), factory, phases)


class Phases:
    """The tasks of a run in three phases: its workers come up, it goes on, a part is done again."""

    def __init__(
        self, storage: LocalStorage, tasks: list[Task], actors: int, seconds: float
    ) -> None:
        self._storage, self._tasks, self._actors, self._seconds = storage, tasks, actors, seconds
        self._meter = Meter(actors)

    def __call__(self, report: Any) -> None:
        self._meter(report)

    def tasks(self) -> Iterator[Task | None]:
        """All of them; prints what each phase took."""
        began = time.perf_counter()
        yield from self._phase(self._tasks[: self._actors])
        print(f"{self._actors} actors up after {time.perf_counter() - began:.0f} s", flush=True)
        yield from self._phase(self._tasks[self._actors :])
        at_most = self._actors / self._seconds
        print(self._meter.total(), f"(at most {at_most:.0f} a second by sleeping)")
        began = time.perf_counter()
        listed = {name[5:-8] for name in self._storage.list_names("stage")}
        left = [task for task in self._tasks if task.id not in listed]
        print(f"listed and compared in {time.perf_counter() - began:.2f} s, {len(left)} left")
        again = self._tasks[: len(self._tasks) // 20]
        for task in again:
            self._storage.delete(f"stage/part-{task.id}.parquet")
        yield from self._phase(again)
        print("done again:", self._meter.total())

    def _phase(self, tasks: list[Task]) -> Iterator[Task | None]:
        self._meter = Meter(len(tasks))
        yield from tasks
        while self._meter.done < len(tasks):
            yield None


_GENERATOR = """
import torch

class Generator:
    latent_dim, num_classes, image_shape = 3, {classes}, (1, 8, 8)

    def __call__(self, latent, condition):
        return torch.sigmoid(latent.sum(1) + condition)[:, None, None, None].expand(-1, 1, 8, 8)

    def to(self, device):
        return self
"""


def measure_plan(classes: int, images: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "large.py").write_text(_GENERATOR.format(classes=classes))
        for label in range(classes):
            (folder / "images" / f"{label:04d}").mkdir(parents=True)
        picture = folder / "picture.png"
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(picture)
        content = picture.read_bytes()
        for index in range(images):
            (folder / "images" / f"{index % classes:04d}" / f"{index}.png").write_bytes(content)
        every = {"dataset": "folder", "path": "images", "conditions": "all"}
        spec = {
            "name": "large",
            "generators": [{"name": "large", "source": "large:Generator"}],
            "groups": [{"name": "train", "role": "train", **every}],
            "stages": {"inversion": {}, "variance": {}, "likelihood": {}},
        }
        (folder / "audit.yaml").write_text(yaml.safe_dump(spec))
        began = time.perf_counter()
        command = [str(Path(sys.executable).with_name("offmanifold")), "plan", "audit.yaml"]
        subprocess.run(command, cwd=folder, check=True)
        elapsed = time.perf_counter() - began
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(
            f"{classes:,} classes x {images:,} images: {elapsed:.1f} s, of which "
            f"{used.ru_utime + used.ru_stime:.1f} s of CPU time; "
            f"{used.ru_maxrss / 2**20:.2f} GiB at most"
        )


def measure_shards(classes: int, images: int) -> None:
    shape = (1, 8, 8)
    generator = GeneratorFacts(
        source="large:Generator",
        import_path="/x",
        name="large",
        sha256="0" * 64,
        latent_dim=3,
        num_classes=classes,
        image_shape=shape,
        evaluations_per_second=None,
    )
    groups = [{"name": "train", "role": "train", "dataset": "folder", "path": "/x"}]
    groups[0]["conditions"] = "all"
    spec = Spec.model_validate(
        {
            "name": "large",
            "generators": [{"name": "large", "source": "large:Generator"}],
            "groups": groups,
            "stages": {"inversion": {}},
        }
    )
    facts = Facts({"large": generator}, {}, {}, shape, None)
    context = PlanContext(spec, facts, RunDirectory(LocalStorage(Path("/nowhere"))))
    # What the images' parts would say.
    context.images = [
        ImageRecord(f"train-{index:06d}", "train", None, index % classes, "0" * 16, index % 64)
        for index in range(images)
    ]
    before = psutil.Process().memory_info().rss
    began = time.process_time()
    shards = inversion.STAGE.shards(context)
    print(f"{shards.items:,} items in {len(shards):,} shards planned: {_cost(began, before)}")
    began = time.process_time()
    tasks = PendingTasks("inversion", shards, set())
    assert sum(task.size for task in tasks) == shards.items
    print(f"gone through: {_cost(began, before)}")
    began = time.process_time()
    found = (
        ((item.generator, item.condition, item.image_id), part, row)
        for part, shard in enumerate(shards)
        for row, item in enumerate(shard.items)
    )
    Places(found, list(shards.ids))
    print(f"the places of all results: {_cost(began, before)}")


def _cost(began: float, before: int) -> str:
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    return f"{time.process_time() - began:.1f} s of CPU time, {more / 2**20:.0f} MiB more at most"


if __name__ == "__main__":
    numbers = [float(argument) for argument in sys.argv[2:]]
    if sys.argv[1:2] == ["loop"]:
        defaults = [64, 20_000, 0.2]
        actors, shards, seconds = [*numbers, *defaults[len(numbers) :]]
        measure_loop(int(actors), int(shards), seconds)
    elif sys.argv[1:2] in (["plan"], ["shards"]):
        defaults = [1000, 50_000]
        classes, images = [*numbers, *defaults[len(numbers) :]]
        measure = measure_plan if sys.argv[1] == "plan" else measure_shards
        measure(int(classes), int(images))
    else:
        sys.exit(__doc__)
