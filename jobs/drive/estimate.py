"""What an audit will take: its work by stage, and the time of that at the generators' own speed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ...cluster.resources import available_cpus
from ...workers.generators import GeneratorError
from ...workers.gpu_problem import gpus
from ...workers.speed import Speed, source_speed
from ..audits import stages_of
from ..plan.stage import AuditContext, Cost
from ..spec.audit import AuditSpec, ClusterSpec
from ..spec.facts import Facts
from ..spec.loading import SpecError
from .devices import device_here, local_gpu_problem

# What is told of keys to lower: the most effective, of those that do anything.
_TOLD = 3
_LEAST_SAVED = 0.05
# They set how work is cut up, not how much there is.
_NO_WORK = ("shard_items",)


@dataclass(frozen=True)
class StageEstimate:
    """A stage's work, and the seconds that it takes one worker, at the least and at the most.

    ``seconds`` is of the generators' evaluations alone, None where none is timed.
    """

    stage: str
    shards: int
    items: int
    evaluations: int
    trainings: int
    seconds: tuple[float, float] | None


@dataclass(frozen=True)
class Saving:
    """A key of the spec, its value and half of it, and the share of evaluations that this saves."""

    key: str
    value: int
    half: int
    share: float


@dataclass(frozen=True)
class Estimate:
    """The stages and their sum, and the ``workers`` of this machine, if it is to compute them.

    ``untimed`` is why there are no seconds, where that is a fault.
    """

    stages: tuple[StageEstimate, ...]
    total: StageEstimate
    workers: int | None
    lower_first: tuple[Saving, ...]
    untimed: str | None = None


def estimate(context: AuditContext) -> Estimate:
    """Counts an audit's work and times its generators, in batches of few rows and of more.

    Nothing is timed where workers are to have GPUs that this machine does not have.
    """
    spec, facts = context.spec, context.facts
    usable = local_gpu_problem(spec.cluster) is None
    speed = untimed = None
    if usable:
        try:
            speed = slowest_speed(spec.cluster, facts)
        except SpecError as error:
            # The items that it fails on will be quarantined; the rest of the plan stands.
            untimed = str(error)
    stages = tuple(_estimate(stage.name, stage.cost(context), speed) for stage in stages_of(spec))
    return Estimate(
        stages,
        _estimate("total", _total(context), speed),
        local_workers(spec.cluster) if usable and not spec.cluster.is_joined else None,
        tuple(_savings(context))[:_TOLD],
        untimed,
    )


def slowest_speed(cluster: ClusterSpec, facts: Facts) -> Speed | None:
    """That of the slowest generator, on this machine; None where all are samples alone.

    Raises:
        SpecError: one cannot be opened.
        ClusterError: as `estimate`.
    """
    device = device_here(cluster)
    try:
        speeds = [
            source_speed(generator, device, cluster.storage.settings)
            for generator in facts.generators.values()
            if generator.samples is None
        ]
    except GeneratorError as error:
        raise SpecError(str(error)) from error
    return min(speeds, key=lambda each: each.few, default=None)


def local_workers(cluster: ClusterSpec) -> int:
    """How many workers this machine has for a run; one for each GPU, since they share it."""
    if cluster.executor != "ray":
        return 1
    fit = max(1, int(available_cpus() / cluster.cpus_per_worker))
    if device_here(cluster).type != "cpu":
        fit = max(1, min(fit, int(len(gpus()) / max(1, cluster.gpus_per_worker or 1))))
    return min(fit, cluster.workers or cluster.max_workers or fit)


def _estimate(name: str, cost: Cost, speed: Speed | None) -> StageEstimate:
    seconds = None
    if speed is not None:
        least, most = sorted(cost.evaluations / rate for rate in (speed.few, speed.many))
        seconds = (least, most)
    return StageEstimate(name, cost.shards, cost.items, cost.evaluations, cost.trainings, seconds)


def _total(context: AuditContext) -> Cost:
    costs = [stage.cost(context) for stage in stages_of(context.spec)]
    return Cost(
        sum(cost.items for cost in costs),
        sum(cost.shards for cost in costs),
        sum(cost.evaluations for cost in costs),
        sum(cost.trainings for cost in costs),
    )


def _savings(context: AuditContext) -> Sequence[Saving]:
    """What half of each whole number of the spec would save, the most first."""
    whole = _total(context).evaluations
    if not whole:
        return []
    found = []
    for key, value, halved in _halved(context.spec):
        left = _total(AuditContext(halved, context.facts)).evaluations
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
