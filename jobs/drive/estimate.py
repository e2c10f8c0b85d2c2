"""What an audit will take: its work by stage, and the time of that at the generators' own speed."""

import functools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...cluster.resources import available_cpus
from ...workers.generators import GeneratorError
from ...workers.gpu_problem import gpus
from ...workers.speed import source_speed
from ...workers.timed_parts import part_seconds
from ...workers.timing import NOTHING, Seconds
from ..audits import stages_of
from ..audits.variance.trial import inversion_trials
from ..plan.stage import AuditContext, Cost
from ..spec.audit import AuditSpec, ClusterSpec
from ..spec.loading import SpecError
from .devices import device_here, local_gpu_problem
from .foreseen import Foreseen, Speeds, foreseen, memory, needs

# What is told of keys to lower: the most effective, of those that do anything.
_TOLD = 3
_LEAST_SAVED = 0.05
# They set how work is cut up, not how much there is.
_NO_WORK = ("shard_items",)


@dataclass(frozen=True)
class StageEstimate:
    """A stage's work, and the seconds that it takes one worker, at the least and at the most.

    ``seconds`` is of what is timed, None where nothing is. ``memory`` are the bytes that a worker
    takes at the most, None likewise. ``untimed`` is what takes time besides, so that the seconds
    are a lower bound; None where next to nothing does.
    """

    stage: str
    shards: int
    items: int
    evaluations: int
    trainings: int
    seconds: Seconds | None = None
    memory: int | None = None
    untimed: str | None = None


@dataclass(frozen=True)
class Saving:
    """A key of the spec, its value and half of it, and the share of time that this saves."""

    key: str
    value: int
    half: int
    share: float


@dataclass(frozen=True)
class Estimate:
    """The stages and their sum, and the ``workers`` of this machine, if it is to compute them.

    ``beside`` are the seconds that a run takes before its first shard and after its last one,
    ``elapsed`` those of the whole run with its workers. ``untimed`` is why there are no seconds,
    where that is a fault. ``lower_first`` are keys that save time, ``leaner`` memory.
    """

    stages: tuple[StageEstimate, ...]
    total: StageEstimate
    workers: int | None
    beside: Seconds | None
    elapsed: Seconds | None
    lower_first: tuple[Saving, ...]
    leaner: tuple[Saving, ...]
    untimed: str | None = None


def estimate(context: AuditContext, speeds: Speeds | None = None) -> Estimate:
    """Counts an audit's work and times what it asks for, in a run's own batches.

    Nothing is timed where workers are to have GPUs that this machine does not have, nor where
    the ``speeds`` of a longer form of the audit are known.
    """
    spec, started = context.spec, time.process_time()
    timing = 0.0 if speeds is None else speeds.taken
    usable = local_gpu_problem(spec.cluster) is None
    untimed = None
    if usable and speeds is None:
        try:
            speeds = measured_speeds(context)
        except SpecError as error:
            # The items that it fails on will be quarantined; the rest of the plan stands.
            untimed = str(error)
    if speeds is not None:
        context = AuditContext(spec, context.facts, speeds.errors)
    costs = _costs(context)
    workers = local_workers(spec.cluster) if usable and not spec.cluster.is_joined else None
    beside = _beside(started - timing, timing, spec.cluster) if speeds else None
    base = _resident_bytes()
    stages, elapsed = [], beside or NOTHING
    for (name, cost), each in zip(costs.items(), _foreseen(costs, speeds), strict=True):
        counts = cost.shards, cost.items, cost.evaluations, cost.trainings
        stage = StageEstimate(name, *counts, untimed=_untimed(cost, speeds))
        if speeds:
            taken = base + memory(cost, speeds, context.facts.dimensions)
            stage = replace(stage, seconds=each.alone, memory=taken)
            elapsed = elapsed.plus(each.shared(cost.shards, workers or 1))
        stages.append(stage)
    return Estimate(
        tuple(stages),
        _total(stages),
        workers,
        beside,
        elapsed if speeds and workers else None,
        tuple(_savings(context, lambda each: audit_seconds(each, speeds)))[:_TOLD],
        tuple(_savings(context, lambda each: _largest(each, speeds)))[:_TOLD] if speeds else (),
        untimed,
    )


def measured_speeds(context: AuditContext) -> Speeds | None:
    """Those of the generators and of other work, on this machine; None where there is neither.

    Raises:
        SpecError: one cannot be opened, or fails on the batches.
        ClusterError: as `estimate`.
    """
    cluster, begun = context.spec.cluster, time.process_time()
    device = device_here(cluster)
    timed = [each for each in context.facts.generators.values() if each.samples is None]
    costs, service = _costs(context).values(), cluster.storage.settings
    trials = inversion_trials(context, timed)
    wanted = needs(costs, [each.name for each in timed], trials)
    try:
        speeds = {
            each.name: source_speed(each, device, wanted[each.name], service) for each in timed
        }
    except GeneratorError as error:
        raise SpecError(str(error)) from error
    parts = dict.fromkeys(chore.part for cost in costs for chore in cost.chores)
    found = part_seconds(parts, device, service)
    if not speeds and not found:
        return None
    return Speeds(speeds, found, time.process_time() - begun)


def audit_seconds(context: AuditContext, speeds: Speeds | None) -> float:
    """The seconds of one worker in the middle of their range; evaluations, where none is timed."""
    costs = _costs(context)
    if not speeds:
        return sum(cost.evaluations for cost in costs.values())
    return sum(sum(each.alone) / 2 for each in _foreseen(costs, speeds))


def local_workers(cluster: ClusterSpec) -> int:
    """How many workers this machine has for a run; one for each GPU, since they share it."""
    if cluster.executor != "ray":
        return 1
    fit = max(1, int(available_cpus() / cluster.cpus_per_worker))
    if device_here(cluster).type != "cpu":
        fit = max(1, min(fit, int(len(gpus()) / max(1, cluster.gpus_per_worker or 1))))
    return min(fit, cluster.workers or cluster.max_workers or fit)


def _beside(start: float, timing: float, cluster: ClusterSpec) -> Seconds:
    """What comes before a run's shards and after them, by what this process took to ``start``.

    A run starts likewise, and takes as long for ``timing`` where it chooses its form; its workers
    start once more. Statistics and the page took up to twice as long in the runs of
    `docs/quick.md`, and are not measured here.
    """
    starts = 1 if cluster.executor == "serial" else 2
    least = starts * start + timing
    return Seconds(least, least + 2 * start)


def _resident_bytes() -> int:
    """What this process holds, weights included; 0 where the system has no /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _costs(context: AuditContext) -> dict[str, Cost]:
    return {stage.name: stage.cost(context) for stage in stages_of(context.spec)}


def _untimed(cost: Cost, speeds: Speeds | None) -> str | None:
    """What takes time that is not foreseen, and what could not be timed."""
    failed = {chore.name for chore in cost.chores if speeds and chore.part not in speeds.parts}
    return "; ".join(filter(None, [cost.untimed, *sorted(failed)])) or None


def _foreseen(costs: Mapping[str, Cost], speeds: Speeds | None) -> list[Foreseen]:
    if speeds is None:
        return [Foreseen(NOTHING, NOTHING) for _ in costs]
    decoded: set[tuple[str, int]] = set()
    return [foreseen(cost, speeds, decoded) for cost in costs.values()]


def _largest(context: AuditContext, speeds: Speeds | None) -> float:
    """The memory of the stage that takes the most."""
    dimensions = context.facts.dimensions
    costs = _costs(context).values()
    return 0 if speeds is None else max(memory(cost, speeds, dimensions) for cost in costs)


def _total(stages: Sequence[StageEstimate]) -> StageEstimate:
    """The sum of the stages; of their memory the most."""
    seconds = [each.seconds for each in stages if each.seconds is not None]
    return StageEstimate(
        "total",
        sum(each.shards for each in stages),
        sum(each.items for each in stages),
        sum(each.evaluations for each in stages),
        sum(each.trainings for each in stages),
        functools.reduce(Seconds.plus, seconds) if seconds else None,
        max((each.memory for each in stages if each.memory is not None), default=None),
        "; ".join(f"{each.stage}: {each.untimed}" for each in stages if each.untimed) or None,
    )


def _savings(context: AuditContext, measure: Callable[[AuditContext], float]) -> Sequence[Saving]:
    """What half of each whole number of the spec would save of a measure, the most first."""
    whole = measure(context)
    if not whole:
        return []
    found = []
    for key, value, halved in _halved(context.spec):
        left = measure(AuditContext(halved, context.facts, context.errors))
        found.append(Saving(key, value, value // 2, 1 - left / whole))
    useful = [each for each in found if each.share >= _LEAST_SAVED]
    return sorted(useful, key=lambda each: -each.share)


def _halved(spec: AuditSpec) -> Iterator[tuple[str, int, AuditSpec]]:
    """The spec with each of its counts and stages' whole numbers halved, where it allows that."""
    content = spec.model_dump(mode="json")
    places: list[tuple[str, dict[str, Any], str]] = [
        (f"groups.{group['name']}.count", group, "count") for group in content["groups"]
    ]
    places += [
        (f"stages.{stage}.{key}", settings, key)
        for stage, settings in content["stages"].items()
        for key in settings or ()
        if key not in _NO_WORK
    ]
    for name, holder, key in places:
        value = holder[key]
        if type(value) is not int or value < 2:
            continue
        holder[key] = value // 2
        try:
            yield name, value, type(spec).model_validate(content)
        except ValidationError:
            # Half of it is too few, or does not go with another key.
            continue
        finally:
            holder[key] = value
