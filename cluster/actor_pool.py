"""The actors of one run, and the loop that feeds them."""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import ray
from ray import cloudpickle
from ray.exceptions import (
    NodeDiedError,
    OutOfMemoryError,
    RayActorError,
    RayTaskError,
    WorkerCrashedError,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from .broken_worker import BrokenWorkerError
from .executor import (
    MEMORY_DEATHS_PARDONED,
    PREEMPTIONS_PARDONED,
    RESTED_PARDONED,
    AssembleStep,
    Report,
    Schedule,
    Step,
    WorkerDiedError,
)
from .heartbeats import Watch
from .idle_actors import IdleActors, Running
from .local_ray import check_local_ray
from .memory_pressure import MemoryPressure
from .observer import Attempt, Observer
from .places import DEATHS_IN_A_ROW, DEATHS_PARDONED, Place, Places
from .pulse import Pulse

logger = logging.getLogger(__name__)

DEATHS = (RayActorError, NodeDiedError, OutOfMemoryError, WorkerCrashedError)
# With pauses of up to 40 seconds between them, some ten minutes.
_MOST_MEMORY_DEATHS = 16
# After each death in a row before any work, until another worker is asked for.
_REST_SECONDS = 1.0
_LONGEST_REST_SECONDS = 30.0
# After which nodes that have joined get workers.
_COUNTS_AGAIN_SECONDS = 30.0
# Until a task is asked for again that was not there yet.
_ASKS_AGAIN_SECONDS = 0.2
# An actor that had nothing to do for longer may be dead without having been missed.
_UNSEEN_SECONDS = 5.0


class ActorPool:
    """The actors of one run, and the loop that feeds them.

    ``count`` tells how many there may be, by the nodes that there are now.
    """

    def __init__(
        self,
        schedule: Schedule,
        count: Callable[[], int],
        actor_class: Any,
        room: Mapping[str, int] | None,
        start_arguments: tuple[Any, ...],
        idle: IdleActors,
        watch: Watch,
        pressure: MemoryPressure,
        places: Places,
        observer: Observer,
    ) -> None:
        self._schedule = schedule
        self._count = count
        self._workers, self._counted = count(), time.monotonic()
        self._actor_class = actor_class
        self._room = room
        self._start_arguments = start_arguments
        self._running: dict[Any, Running] = {}
        self._idle = idle
        self._watch = watch
        self._pressure = pressure
        self._places = places
        # They hold places that are out of use, so that Ray puts no other worker there.
        self._parked: list[Running] = []
        self._out_of_use: set[Place] = set()
        self._observer = observer
        self._deaths_while_starting = 0
        self._rests_until = time.monotonic()

    def drain(
        self,
        max_attempts: int,
        on_report: Callable[[Report], None],
        on_progress: Callable[[Mapping[str, float]], None] | None = None,
    ) -> None:
        """Run until every task of the schedule is finished."""
        while self._schedule.take_up(self._workers):
            check_local_ray()
            self._count_again()
            for reference, reason in self._watch.hung(self._running):
                self._lost(self._running.pop(reference), reason, max_attempts)
            self._replace_dead()
            self._close_and_open_places()
            self._feed_idle()
            until_release = self._idle.release(busy=len(self._running))
            self._tell_of_workers()
            if on_progress is not None:
                on_progress(self._done())
            for reference in self._wait(until_release):
                running = self._running.pop(reference)
                try:
                    result = ray.get(reference)
                except RayTaskError as error:
                    if not isinstance(error.cause, BrokenWorkerError):
                        # The worker's own exception, rather than Ray's account of it.
                        raise error.cause from error
                    self._lost(running, str(error.cause), max_attempts, cause=error.cause)
                except DEATHS as error:
                    self._died(running, error, max_attempts)
                else:
                    self._finished(running, result, on_report)

    def _wait(self, until_release: float | None) -> list[Any]:
        """What is ready, after as long a wait as the loop's other duties allow."""
        asks = _ASKS_AGAIN_SECONDS if self._schedule.awaits else None
        waits = (self._watch.interval, until_release, self._pause, asks)
        timeout = min(wait for wait in waits if wait)
        if not self._running:
            time.sleep(timeout)
            return []
        return list(ray.wait(list(self._running), num_returns=1, timeout=timeout)[0])

    @property
    def _pause(self) -> float:
        """Seconds in which no worker should start."""
        return max(self._pressure.pause, self._rests_until - time.monotonic(), 0.0)

    def kill(self) -> None:
        """End every actor at once; what was published stays."""
        for running in self._actors():
            ray.kill(running.actor)

    def _count_again(self) -> None:
        """Nodes may have joined, or left with their workers."""
        if time.monotonic() - self._counted > _COUNTS_AGAIN_SECONDS:
            self._workers, self._counted = self._count(), time.monotonic()

    def _replace_dead(self) -> None:
        # Actors that are still waiting for a place must not make a cluster grow for nothing.
        wanted = min(max(1, self._workers - len(self._parked)), self._schedule.unfinished)
        waiting = [key for key, running in self._running.items() if running.place is None]
        while waiting and len(self._running) + len(self._idle) > wanted:
            ray.kill(self._running.pop(waiting.pop()).actor)
        while not self._pause and len(self._running) + len(self._idle) < wanted:
            running = self._new()
            if running is None:
                return
            self._running[running.actor.where.remote()] = running

    def _new(self) -> Running | None:
        """An actor at the node with the most room left; None where all of it is taken."""
        living = _living_nodes()
        room = {node: most for node, most in (self._room or {}).items() if node in living}
        if not room:
            return Running(self._actor_class.remote(), None)
        taken = Counter(running.node for running in self._actors())
        node = max(room, key=lambda each: room[each] - taken[each])
        if taken[node] >= room[node]:
            return None
        # Elsewhere where others, of whom nothing is known here, have taken that room.
        there = NodeAffinitySchedulingStrategy(node, soft=True, _spill_on_unavailable=True)
        actor = self._actor_class.options(scheduling_strategy=there).remote()
        return Running(actor, None, node=node)

    def _actors(self) -> tuple[Running, ...]:
        """All of them, whatever they do."""
        return (*self._running.values(), *self._idle.actors, *self._parked)

    def _live_places(self) -> set[Place]:
        """Those where an actor is."""
        return {running.place for running in self._actors() if running.place is not None}

    def _close_and_open_places(self) -> None:
        out = self._places.out_of_use(self._live_places())
        if out != self._out_of_use:
            self._out_of_use = out
            self._observer.out_of_use(sorted(map(str, out)))
        reopened = [running for running in self._parked if running.place not in out]
        for running in reopened:
            self._parked.remove(running)
            self._start(running)

    def _start(self, running: Running) -> None:
        # Its process has answered; it may have been held for long since then, without being asked.
        now = time.monotonic()
        running.pulse = Pulse(alive=now, began=now)
        self._running[running.actor.start.remote(*self._start_arguments)] = running

    def _feed_idle(self) -> None:
        """Give each idle actor a step that it may have; the one that was busy last comes first."""
        in_use = self._live_places() - self._out_of_use
        for running in reversed(self._idle.actors):
            place = running.place
            if place is None or place not in in_use:
                continue
            step = self._schedule.next(partial(self._suits, place, in_use))
            if step is None:
                continue
            running.rested = self._idle.take(running) > _UNSEEN_SECONDS
            running.step, running.began = step, time.monotonic()
            reference = running.actor.perform.remote(cloudpickle.dumps(step))
            self._running[reference] = running

    def _suits(self, place: Place, in_use: set[Place], step: Step | AssembleStep) -> bool:
        return self._places.suits(place, step.task.id, in_use)

    def _finished(self, running: Running, result: Any, on_report: Callable[[Report], None]) -> None:
        if running.place is None:
            running.place, running.process = result
            self._places.seen(running.place)
            # Where it is the only worker, no other one has told of that place since the last died.
            if running.place in self._places.out_of_use(self._live_places() | {running.place}):
                self._parked.append(running)
            else:
                self._start(running)
            return
        if running.step is None:
            self._places.started(running.place)
        else:
            self._tell_of_attempt(running, running.step, result, None)
            self._pressure.eased()
            report = self._schedule.completed(running.step, result)
            self._places.finished(running.place, running.step.task.id, whole=report is not None)
            if report is not None:
                on_report(report)
        self._deaths_while_starting = 0
        running.step = None
        self._idle.add(running)

    def _died(self, running: Running, error: Exception, max_attempts: int) -> None:
        reason, pardons = _cause_of_death(error), 0
        if isinstance(error, OutOfMemoryError):
            # Ray ends the newest workers of the node, whoever took the memory.
            self._pressure.died()
            pardons = MEMORY_DEATHS_PARDONED
            if self._pressure.deaths > _MOST_MEMORY_DEATHS:
                raise WorkerDiedError(
                    f"workers ran out of memory {_MOST_MEMORY_DEATHS} times without finishing "
                    "anything. Free memory on the nodes, or ask for fewer workers "
                    "(cluster.workers) or more memory for each (cluster.memory_per_worker); "
                    f"then run the same command again. Last error: {reason}"
                )
        elif getattr(error, "preempted", False) or _node_is_gone(running.place):
            reason, pardons = f"its node was lost: {reason}", PREEMPTIONS_PARDONED
        self._lost(running, reason, max_attempts, pardons=pardons)

    def _lost(
        self,
        running: Running,
        reason: str,
        max_attempts: int,
        *,
        pardons: int = 0,
        cause: Exception | None = None,
    ) -> None:
        # Of an actor that is only out of reach: its work is given to another, so it has to end.
        ray.kill(running.actor)
        logger.warning("a worker process died (%s): %s", running.step or "starting", reason)
        if running.step is not None:
            self._tell_of_attempt(running, running.step, None, reason)
            pardons = pardons or self._blamed_on_place(running, running.step, reason)
            pardons = pardons or (RESTED_PARDONED if running.rested else 0)
            self._schedule.died(running.step, reason, pardons=pardons)
        elif not pardons:
            self._died_starting(running, reason, max_attempts, cause)

    def _blamed_on_place(self, running: Running, step: Step | AssembleStep, reason: str) -> int:
        """Note a death that neither the node nor its memory explains; the pardons of its step."""
        assert running.place is not None, "only an actor that said where it is was given a step"
        # Also those whose workers have just died, or rest: the shard may be tried there.
        known = self._places.known(_living_nodes())
        others = known - self._places.out_of_use(known)
        doubted = self._places.doubted(running.place, step.task.id, others)
        self._places.died(running.place, step.task.id, reason)
        return DEATHS_PARDONED if doubted else 0

    def _died_starting(
        self, running: Running, reason: str, max_attempts: int, cause: Exception | None
    ) -> None:
        """Note a death before any work, which ends the run where workers start nowhere.

        Where others are at work, or may start elsewhere, it goes on; but not for ever if none does.
        """
        self._deaths_while_starting += 1
        rest = min(self._deaths_while_starting * _REST_SECONDS, _LONGEST_REST_SECONDS)
        self._rests_until = time.monotonic() + rest
        if running.place is not None:
            self._places.died(running.place, None, reason)
            nodes = _living_nodes()
            elsewhere = self._places.may_start_elsewhere(running.place, nodes, max_attempts)
            busy = any(each.step is not None for each in self._running.values())
            most = max(max_attempts, DEATHS_IN_A_ROW) * (1 + len(self._places.known(nodes)))
            if elsewhere and (busy or self._deaths_while_starting < most):
                return
        if self._deaths_while_starting >= max_attempts:
            if cause is not None:
                raise cause
            raise WorkerDiedError(
                f"worker processes died {self._deaths_while_starting} times while starting, before "
                f"any work; last error: {reason}"
            )

    def _done(self) -> dict[str, float]:
        """How many items of the steps that run are done, parts of items included, by their kind."""
        done = defaultdict[str, float](float)
        for each in self._running.values():
            if each.step is not None and each.pulse.step is each.step:
                done[each.step.task.kind] += each.pulse.done
        return done

    def _tell_of_workers(self) -> None:
        starting = sum(running.step is None for running in self._running.values())
        busy = len(self._running) - starting
        self._observer.workers(busy=busy, idle=len(self._idle), starting=starting)

    def _tell_of_attempt(
        self, running: Running, step: Step | AssembleStep, report: Any, error: str | None
    ) -> None:
        self._observer.attempted(
            Attempt(
                task_id=step.task.id,
                kind=step.task.kind,
                span=(step.start, step.stop) if isinstance(step, Step) else None,
                number=self._schedule.attempt(step),
                worker=running.process,
                node="" if running.place is None else running.place.node,
                place="" if running.place is None else str(running.place),
                seconds=time.monotonic() - running.began,
                report=report,
                error=error,
            )
        )


def _living_nodes() -> set[str]:
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def _node_is_gone(place: Place | None) -> bool:
    if place is None:
        return False
    return any(node["NodeID"] == place.node and not node["Alive"] for node in ray.nodes())


def _cause_of_death(error: Exception) -> str:
    """Ray's message in one line, without its advice and its account of the node's memory."""
    message = " ".join(str(error).split())
    for beginning in (" Some common causes include:", " Object store memory usage:"):
        message = message.partition(beginning)[0]
    return message
