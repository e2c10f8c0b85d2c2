"""The tasks that a lane gives its executor, stage after stage, and how far the stages are."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

from ...cluster.executor import Report, Task
from ..plan.stage import Stage
from .lanes import Stages
from .pending import PendingTasks
from .progress import Progress, StageProgress


@dataclass
class _UnderWay:
    """A stage that was begun: ``left`` of its tasks are not reported; ``shown`` ends with it."""

    stage: Stage
    progress: StageProgress
    left: int
    shown: ExitStack


class LaneTasks:
    """Goes through the stages of a lane, each begun when there is nothing to do of those before it.

    To be gone through once, inside a ``with`` block, which ends what is shown of stages that are
    not finished.

    Args:
        stages: which of them are complete, for all lanes.
        lane: whose part of them it is.
        plan: what is left of a stage for this lane, and what that is called; called once for each,
            when the stages that it needs are complete.
        progress: told of every stage and shard.
    """

    def __init__(
        self,
        stages: Stages,
        lane: int,
        plan: Callable[[Stage], tuple[str, PendingTasks]],
        progress: Progress,
    ) -> None:
        self._stages = stages
        self._lane = lane
        self._plan = plan
        self._progress = progress
        self._under_way: dict[str, _UnderWay] = {}
        self._of_task: dict[str, _UnderWay] = {}
        self._shown = ExitStack()

    def __enter__(self) -> "LaneTasks":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._shown.__exit__(kind, error, traceback)

    def __iter__(self) -> Iterator[Task | None]:
        """The tasks; None where the stages that are left need one that is not complete.

        Raises:
            LaneStoppedError: another lane has failed.
        """
        # What is left to give of stages that were begun, in the order of the stages.
        begun: list[tuple[Stage, Iterator[Task]]] = []
        while begun or not self._stages.all_begun(self._lane):
            # An earlier one comes first as soon as it may begin: more of the others need it.
            stage = self._stages.begin(self._lane, before=begun[0][0] if begun else None)
            if stage is not None:
                begun.insert(0, (stage, iter(self._begin(stage))))
            elif not begun:
                yield None
            elif (task := next(begun[0][1], None)) is not None:
                self._of_task[task.id] = self._under_way[task.kind]
                yield task
            else:
                begun.pop(0)

    def _begin(self, stage: Stage) -> Iterable[Task]:
        """What is left of a stage, which is shown from now on."""
        name, pending = self._plan(stage)
        if pending.shards and not pending.all_shards:
            # All of them are another lane's.
            self._stages.finished(stage)
            return ()
        done = pending.all_items - pending.items
        shown = ExitStack()
        self._shown.push(shown)
        progress = shown.enter_context(
            self._progress.stage(name, pending.all_shards, pending.all_items, done)
        )
        under_way = _UnderWay(stage, progress, len(pending), shown)
        self._under_way[stage.name] = under_way
        if not len(pending):
            self._finish(under_way)
            return ()
        return pending

    def report(self, report: Report) -> None:
        """Takes the report of a task."""
        under_way = self._of_task.pop(report.task_id)
        under_way.progress.report(report)
        under_way.left -= 1
        if not under_way.left:
            self._finish(under_way)

    def _finish(self, under_way: _UnderWay) -> None:
        del self._under_way[under_way.stage.name]
        under_way.shown.close()
        self._stages.finished(under_way.stage)

    def told(self, done: Mapping[str, float]) -> None:
        """Is told how many items of unfinished tasks are done, by stage, parts of items included.

        Raises:
            LaneStoppedError: another lane has failed.
        """
        self._stages.check()
        for name, under_way in self._under_way.items():
            under_way.progress.unreported(done.get(name, 0.0))
