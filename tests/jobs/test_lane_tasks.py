"""A lane's tasks, stage after stage: the next one begins while the last shards of others run."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from offmanifold.cluster.executor import Task
from offmanifold.jobs.audits import STAGES
from offmanifold.jobs.drive.lane_tasks import LaneTasks
from offmanifold.jobs.drive.lanes import Lane, LaneStoppedError, Stages
from offmanifold.jobs.drive.pending import PendingTasks
from offmanifold.jobs.drive.progress import Progress
from offmanifold.jobs.plan.shards import Shards
from offmanifold.jobs.plan.stage import Stage
from offmanifold.workers.inversion import COMPUTATION, INVERSION_TABLE
from offmanifold.workers.shard import Item, Shard, chunk
from rich.console import Console

NONE: Any = None
NAMES = ("images", "inversion", "neighbours", "variance_fit")


def shards_of(stage: str, items: int) -> Shards:
    def make() -> Iterator[Shard]:
        rows = (Item("g", None, stage, f"{index:06d}", None, seed=0) for index in range(items))
        return iter(chunk(INVERSION_TABLE, COMPUTATION, {}, rows, 4))

    return Shards(make)


@dataclass
class Report:
    task_id: str
    rows: int
    failed: int = 0
    seconds: float = 0.0
    published: bool = True


class Run:
    """Four stages, each of as many items as ``sizes`` says, of which some are ``finished``."""

    def __init__(
        self,
        sizes: dict[str, int],
        finished: dict[str, set[str]] | None = None,
        lane: Lane | None = None,
    ) -> None:
        self.text, self.planned = StringIO(), list[str]()
        self._finished = finished or {}
        self._lane = lane
        lanes = [Lane(NONE, NONE)]
        self.stages = Stages([stage for stage in STAGES if stage.name in NAMES], lanes)
        self._sizes = sizes
        console = Console(file=self.text, width=200)
        self.tasks = LaneTasks(self.stages, 0, self._plan, Progress(console))

    def _plan(self, stage: Stage) -> tuple[str, PendingTasks]:
        self.planned.append(stage.name)
        takes = None if self._lane is None else self._lane.takes
        shards = shards_of(stage.name, self._sizes[stage.name])
        finished = self._finished.get(stage.name, set())
        return stage.name, PendingTasks(stage.name, shards, finished, takes)

    def report(self, task: Task | None) -> None:
        assert task is not None
        self.tasks.report(Report(task.id, task.size))


def test_the_next_stage_whose_needs_are_complete_begins_when_nothing_else_is_left() -> None:
    run = Run({"images": 8, "inversion": 4, "neighbours": 8, "variance_fit": 4})
    with run.tasks as lane:
        tasks = iter(lane)
        images = [next(tasks), next(tasks)]
        # Both of the others need the images.
        assert [next(tasks), next(tasks)] == [None, None]
        run.report(images[1])
        assert next(tasks) is None
        run.report(images[0])
        inversion, first, second = next(tasks), next(tasks), next(tasks)
        assert [task and task.kind for task in (inversion, first, second)] == [
            "inversion",
            "neighbours",
            "neighbours",
        ]
        assert next(tasks) is None
        assert run.planned == ["images", "inversion", "neighbours"]
        lane.told({"neighbours": 2.5, "inversion": 1.0})
        run.report(inversion)
        fit = next(tasks)
        assert fit is not None
        assert fit.kind == "variance_fit"
        for task in (second, fit, first):
            run.report(task)
        assert list(tasks) == []
    told = [line.partition(" in ")[0] for line in run.text.getvalue().splitlines()]
    assert told == [
        "images: 8 items",
        "images: finished",
        "inversion: 4 items",
        "neighbours: 8 items",
        "inversion: finished",
        "variance_fit: 4 items",
        "variance_fit: finished",
        "neighbours: finished",
    ]


def test_an_earlier_stage_comes_first_as_soon_as_it_may_begin() -> None:
    run = Run({"images": 4, "inversion": 4, "neighbours": 12, "variance_fit": 8})
    with run.tasks as lane:
        tasks = iter(lane)
        run.report(next(tasks))
        inversion, neighbours = next(tasks), next(tasks)
        run.report(inversion)
        kinds = [task and task.kind for task in tasks]
        assert kinds == ["variance_fit", "variance_fit", "neighbours", "neighbours"]
        assert neighbours is not None
        assert neighbours.kind == "neighbours"


def test_what_is_finished_already_holds_nothing_up() -> None:
    done = {name: set(shards_of(name, 8).ids) for name in ("images", "inversion")}
    run = Run({"images": 8, "inversion": 8, "neighbours": 0, "variance_fit": 4}, done)
    with run.tasks as lane:
        tasks = list(lane)
        assert [task and task.kind for task in tasks] == ["variance_fit"]
        run.report(tasks[0])
    assert "images: 8 items in 2 shards, 8 done before" in run.text.getvalue()
    assert "neighbours: finished" in run.text.getvalue()


def test_a_stage_that_is_another_lanes_is_not_told_of() -> None:
    none = Lane(NONE, NONE, lambda _: False)
    run = Run(dict.fromkeys(NAMES, 4), lane=none)
    with run.tasks as lane:
        assert list(lane) == []
    assert run.text.getvalue() == ""


def test_a_stage_that_fails_is_not_said_to_be_finished() -> None:
    run = Run(dict.fromkeys(NAMES, 4))

    def fails() -> None:
        with run.tasks as lane:
            next(iter(lane))
            raise ArithmeticError("a bug")

    with pytest.raises(ArithmeticError):
        fails()
    assert run.text.getvalue() == "images: 4 items in 1 shards\n"


def test_a_lane_ends_where_another_one_has_failed() -> None:
    run = Run(dict.fromkeys(NAMES, 4))
    with run.tasks as lane:
        tasks = iter(lane)
        next(tasks)
        run.stages.fail()
        with pytest.raises(LaneStoppedError):
            lane.told({})
        with pytest.raises(LaneStoppedError):
            next(tasks)


def test_the_report_of_an_unknown_task_is_an_error() -> None:
    run = Run(dict.fromkeys(NAMES, 4))
    with run.tasks as lane, pytest.raises(KeyError):
        lane.report(SimpleNamespace(task_id="of another run", rows=1, failed=0))
