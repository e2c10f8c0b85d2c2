"""What an executor runs, and how it gives up on work that kills its worker.

An executor is handed opaque tasks and a way to make workers. A task is a shard of ``size`` items
whose rows become one part. Errors of single items are the worker's: it writes them down as failed
rows. A worker process that *dies* is the executor's: :class:`Schedule` counts the attempts, halves
a shard that keeps killing its worker until the bad items stand alone, and has the surviving pieces
assembled into the one part.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .observer import Observer

# A death that the item may not be to blame for costs no attempt: with its node, for want of the
# host's memory, or maybe before its step, while the worker had nothing to do. But an item that
# takes whole nodes or their memory with it must end too.
PREEMPTIONS_PARDONED = 16
RESTED_PARDONED = 1
MEMORY_DEATHS_PARDONED = 3


@dataclass(frozen=True)
class Task:
    """One shard: its id, the number of its items and what the worker needs to find them.

    ``kind`` says what it is a part of, in logs and metrics.
    """

    id: str
    payload: Any
    size: int
    kind: str = ""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"task {self.id} has {self.size} items, expected at least 1")


class Report(Protocol):
    """What a worker says of a task, in a class of its own: counts, never rows."""

    @property
    def task_id(self) -> str:
        """Which task."""
        ...

    @property
    def rows(self) -> int:
        """How many rows it has."""
        ...

    @property
    def failed(self) -> int:
        """How many of them are of items that failed."""
        ...

    @property
    def seconds(self) -> float:
        """How long it took."""
        ...

    @property
    def published(self) -> bool:
        """False where another writer had published the part first."""
        ...


class Worker(Protocol):
    """Computes shards; lives in its own process, or in the driver's.

    An exception that leaves a method ends the whole run with that exception.
    """

    @property
    def done(self) -> float:
        """How many items of the present call are done, parts of items included; 0 between calls.

        It is read from another thread than the one that computes.
        """
        ...

    def compute(self, payload: Any, start: int, stop: int) -> Report:
        """Compute the items [start, stop) of a shard.

        The whole shard is published as its part. A smaller span is kept as a scratch piece, which
        :meth:`assemble` may be asked for in any other worker.
        """
        ...

    def assemble(
        self, payload: Any, spans: Sequence[tuple[int, int]], lost: Mapping[int, str]
    ) -> Report:
        """Publish the part of a shard from scratch pieces.

        ``spans`` are the computed pieces in order; ``lost`` has the error of each item that killed
        its worker. Together they cover the shard.
        """
        ...


WorkerFactory = Callable[[], Worker]


Tasks = Iterable[Task | None]
"""Tasks of different ids, gone through once, each asked for when there may be a worker for it.

None stands for a task that is not there yet, since it needs others to be reported first: after it,
the next one is asked for again in a moment.
"""


class Executor(Protocol):
    """Runs tasks on workers."""

    def run(
        self,
        tasks: Tasks,
        factory: WorkerFactory,
        on_report: Callable[[Report], None],
        observer: Observer | None = None,
        on_progress: Callable[[Mapping[str, float]], None] | None = None,
    ) -> None:
        """Run every task and call ``on_report`` once for each, in the order of completion.

        ``observer`` is told more on the way: every attempt, and how many workers there are.
        ``on_progress`` is told from time to time, maybe from another thread, how many items of
        tasks that were not reported are done, parts of items included, by the kinds of the tasks.

        Raises what the factory, a worker's method or ``tasks`` raised, after which nothing runs any
        more; parts that were published stay.
        """
        ...


class WorkerDiedError(Exception):
    """Worker processes died again and again, and no item can be blamed."""


@dataclass(frozen=True)
class Step:
    """One call of a worker: the items [start, stop) of a task."""

    task: Task
    start: int
    stop: int

    def perform(self, worker: Worker) -> Report:
        """Make the call."""
        return worker.compute(self.task.payload, self.start, self.stop)

    def __str__(self) -> str:
        return f"shard {self.task.id}, items {self.start} to {self.stop - 1}"


@dataclass(frozen=True)
class AssembleStep:
    """The call that publishes a narrowed task."""

    task: Task
    spans: tuple[tuple[int, int], ...]
    lost: Mapping[int, str]

    def perform(self, worker: Worker) -> Report:
        """Make the call."""
        return worker.assemble(self.task.payload, self.spans, self.lost)

    def __str__(self) -> str:
        return f"shard {self.task.id}, assembling"


@dataclass
class _Narrowing:
    """The pieces of a task that killed its worker."""

    spans: list[tuple[int, int]] = field(default_factory=list)
    lost: dict[int, str] = field(default_factory=dict)

    def covered(self) -> int:
        return sum(stop - start for start, stop in self.spans) + len(self.lost)


@dataclass
class _Deaths:
    attempts: int = 0
    pardoned: int = 0


class Schedule:
    """What to run next, given what finished and what died. Knows nothing of processes.

    Args:
        tasks: what to run, taken from them as there is a worker for it.
        max_attempts: deaths that a span of items is allowed before it is halved or, being a single
            item, lost.
    """

    def __init__(self, tasks: Tasks, max_attempts: int) -> None:
        if max_attempts < 1:
            raise ValueError(f"max_attempts must be at least 1, got {max_attempts}")
        self.unfinished = 0
        """How many tasks were taken up that are not finished."""
        self.awaits = False
        """Whether a task is not there yet that was asked for since the last :meth:`take_up`."""
        self._ended = False
        self._max_attempts = max_attempts
        self._tasks = iter(tasks)
        self._fresh: deque[Task] = deque()
        self._again: deque[Step | AssembleStep] = deque()
        self._deaths: dict[tuple[str, int, int], _Deaths] = {}
        self._narrowings: dict[str, _Narrowing] = {}

    def take_up(self, workers: int) -> bool:
        """Take up tasks until each of so many workers may have one; False once all are finished."""
        self.awaits = False
        while self.unfinished < max(1, workers) and self._take():
            pass
        return self.unfinished > 0 or not self._ended

    def next(
        self, suits: Callable[[Step | AssembleStep], bool] = lambda _: True
    ) -> Step | AssembleStep | None:
        """The next step to run, or None while all that may run now is running elsewhere.

        One that was tried before must suit the worker that asks, or waits for another.
        """
        for index, step in enumerate(self._again):
            if suits(step):
                del self._again[index]
                return step
        if not self._fresh and not self._take():
            return None
        task = self._fresh.popleft()
        return Step(task, 0, task.size)

    def _take(self) -> bool:
        """Whether there was one more task."""
        if self._ended or self.awaits:
            return False
        try:
            task = next(self._tasks)
        except StopIteration:
            self._ended = True
            return False
        if task is None:
            self.awaits = True
            return False
        self._fresh.append(task)
        self.unfinished += 1
        return True

    def attempt(self, step: Step | AssembleStep) -> int:
        """Which try of its span ``step`` is, from 1."""
        deaths = self._deaths.get(_span(step), _Deaths())
        return 1 + deaths.attempts + deaths.pardoned

    def completed(self, step: Step | AssembleStep, report: Report) -> Report | None:
        """Note that ``step`` finished; the report of its task if that is done now."""
        self._deaths.pop(_span(step), None)
        narrowing = self._narrowings.get(step.task.id)
        if isinstance(step, Step) and narrowing is not None:
            narrowing.spans.append((step.start, step.stop))
            self._assemble_when_covered(step.task, narrowing)
            return None
        self._narrowings.pop(step.task.id, None)
        self.unfinished -= 1
        return report

    def died(self, step: Step | AssembleStep, error: str, *, pardons: int = 0) -> None:
        """Note that the worker died in ``step``: try again, halve it, or give its item up.

        So many deaths of the step as ``pardons`` says are not counted as attempts.

        Raises:
            WorkerDiedError: assembling, which touches no item, keeps killing its worker.
        """
        deaths = self._deaths.setdefault(_span(step), _Deaths())
        if deaths.pardoned < pardons:
            deaths.pardoned += 1
        else:
            deaths.attempts += 1
        if deaths.attempts < self._max_attempts:
            self._again.append(step)
            return
        del self._deaths[_span(step)]
        if isinstance(step, AssembleStep):
            raise WorkerDiedError(
                f"{step}: the worker process died {self._max_attempts} times; last error: {error}"
            )
        self._narrow(step, error)

    def _narrow(self, step: Step, error: str) -> None:
        narrowing = self._narrowings.setdefault(step.task.id, _Narrowing())
        if step.stop - step.start == 1:
            narrowing.lost[step.start] = error
            self._assemble_when_covered(step.task, narrowing)
            return
        middle = (step.start + step.stop) // 2
        self._again.append(Step(step.task, step.start, middle))
        self._again.append(Step(step.task, middle, step.stop))

    def _assemble_when_covered(self, task: Task, narrowing: _Narrowing) -> None:
        if narrowing.covered() == task.size:
            spans = tuple(sorted(narrowing.spans))
            lost = dict(sorted(narrowing.lost.items()))
            self._again.append(AssembleStep(task, spans, lost))


def _span(step: Step | AssembleStep) -> tuple[str, int, int]:
    if isinstance(step, AssembleStep):
        return (step.task.id, -1, -1)
    return (step.task.id, step.start, step.stop)
