"""What a run's stages are computed by: one kind of workers, or GPU workers and CPU workers at once.

A lane is an executor with the shards that it takes. Each goes through the stages by itself: when
nothing is left to give to a worker, it begins the first stage that it has a part in and whose needs
are complete, while the last shards of those before it still run. So shards that call no network
never hold a GPU, and a worker waits for others only where a stage needs their results.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from threading import Lock, Thread

from ...cluster.executor import Executor
from ...workers.revisions import always, never
from ...workers.runner import WorkerFactory
from ...workers.shard import Shard
from ..audits import STAGES
from ..plan.stage import Stage

# How long an interrupt waits for the other lanes' workers to end.
_STOP_SECONDS = 5.0


def calls_networks(shard: Shard) -> bool:
    """The shards of workers with GPUs, where there are others beside these."""
    return shard.calls_networks


def calls_none(shard: Shard) -> bool:
    """The shards of those others."""
    return not shard.calls_networks


@dataclass(frozen=True)
class Lane:
    """An executor, how its workers are made, and which shards it takes.

    ``takes`` is :func:`calls_networks` or :func:`calls_none`, or None for all.
    """

    executor: Executor
    factory: WorkerFactory
    takes: Callable[[Shard], bool] | None = None

    @property
    def words(self) -> str:
        """What tells its part of a stage from another lane's."""
        return "with networks" if self.takes is calls_networks else "on CPUs"

    def has_part(self, stage: Stage) -> bool:
        """Whether any shard of a stage may be its own."""
        if self.takes is None:
            return True
        others = never if self.takes is calls_networks else always
        return any(each.networks is not others for each in stage.computations)


class LaneStoppedError(Exception):
    """Another lane has failed, so that this one ends too."""


class Stages:
    """Which stages are complete, for lanes that go through them at the same time.

    Args:
        stages: those of the run, in an order in which each comes after what it needs.
        lanes: what computes them, each stage by those that have a part in it.
    """

    def __init__(self, stages: Iterable[Stage], lanes: Sequence[Lane]) -> None:
        self._changes = Lock()
        self._order = {stage.name: index for index, stage in enumerate(stages)}
        self._to_begin = [[stage for stage in stages if lane.has_part(stage)] for lane in lanes]
        # How many lanes have not finished a stage yet.
        self._left = {stage.name: 0 for stage in stages}
        for own in self._to_begin:
            for stage in own:
                self._left[stage.name] += 1
        self._failed = False

    def all_begun(self, lane: int) -> bool:
        """Whether a lane has begun every stage that it has a part in."""
        return not self._to_begin[lane]

    def begin(self, lane: int, before: Stage | None = None) -> Stage | None:
        """The stage that a lane is to begin; None while each needs one that is not finished.

        Only those that come ``before`` another one, if that is given.

        Raises:
            LaneStoppedError: another lane has failed.
        """
        self.check()
        mine = self._to_begin[lane]
        most = len(self._order) if before is None else self._order[before.name]
        with self._changes:
            ahead = (stage for stage in mine if self._order[stage.name] < most)
            stage = next((stage for stage in ahead if self._may_begin(stage)), None)
        if stage is not None:
            mine.remove(stage)
        return stage

    def _may_begin(self, stage: Stage) -> bool:
        return not any(self._left.get(need) for need in all_needs(stage))

    def finished(self, stage: Stage) -> None:
        """Note that a lane has done its part of a stage."""
        with self._changes:
            self._left[stage.name] -= 1

    def fail(self) -> None:
        """Note that a lane has failed."""
        self._failed = True

    def check(self) -> None:
        """Does nothing while all lanes go on.

        Raises:
            LaneStoppedError: another lane has failed.
        """
        if self._failed:
            raise LaneStoppedError


@cache
def all_needs(stage: Stage) -> frozenset[str]:
    """The stages that a stage needs, and those that these need, asked for or not."""
    needs = {each.name: each.needs for each in STAGES}
    found: set[str] = set()
    ahead = list(stage.needs)
    while ahead:
        need = ahead.pop()
        if need not in found:
            found.add(need)
            ahead += needs[need]
    return frozenset(found)


def run_lanes(stages: Stages, number: int, run: Callable[[int], None]) -> None:
    """Has each of so many lanes ``run``, the first in the calling thread; waits for all.

    ``run`` must not go on for long after :meth:`Stages.check` raises.

    Raises:
        BaseException: what came up first in any lane, after which the others ended as well.
    """
    errors: list[BaseException] = []

    def go(lane: int) -> None:
        try:
            run(lane)
        except LaneStoppedError:
            pass
        # An interrupt, too, must end the other threads, and is raised below.
        except BaseException as error:  # noqa: BLE001
            errors.append(error)
            stages.fail()

    threads = [Thread(target=go, args=(lane,), daemon=True) for lane in range(1, number)]
    for thread in threads:
        thread.start()
    go(0)
    try:
        for thread in threads:
            thread.join()
    except BaseException:
        stages.fail()
        for thread in threads:
            thread.join(_STOP_SECONDS)
        raise
    if errors:
        raise errors[0]
