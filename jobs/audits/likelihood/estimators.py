"""What the estimators of ln p(x) need from the stages before them, and what they cost."""

from dataclasses import replace
from typing import Any

from ....core.calls import Calls
from ....core.settings.chains import chain_calls
from ....core.settings.classical import ClassicalSettings
from ....core.settings.definition import setting_values
from ....core.settings.guided import GuidedSettings
from ....workers.schema import STATUS_OK
from ....workers.tuning import TUNING_TABLE
from ...plan.stage import AuditContext, PlanContext, StageError
from ...plan.work import BankWork, Work
from ...spec.audit import GroupSpec
from ...spec.facts import GeneratorFacts
from ...spec.stages import StagesSpec
from ..banked import bank_seed, bank_settings, bank_work, products_of
from ..comparison.settings import COMPARISON
from ..images.plan import generator_settings
from ..inversion.settings import INVERSION
from ..sweep.settings import SWEEP
from .settings import LIKELIHOOD, ClassicalSpec, EstimatorSpec


def estimates(stages: StagesSpec) -> dict[str, EstimatorSpec]:
    """The stages that estimate every image's density, by name: likelihood, then comparison."""
    named = {key.name: key.of(stages) for key in (LIKELIHOOD, COMPARISON)}
    return {name: spec for name, spec in named.items() if spec is not None}


def swept(stages: StagesSpec) -> tuple[EstimatorSpec, ...]:
    """The estimators that the sweep runs: its own, else those of likelihood and comparison."""
    sweep = SWEEP.of(stages)
    own = None if sweep is None else sweep.estimators
    return tuple(estimates(stages).values()) if own is None else own


def all_estimators(stages: StagesSpec) -> tuple[EstimatorSpec, ...]:
    """The estimators that any stage runs."""
    return tuple(estimates(stages).values()) or swept(stages)


def estimator_settings(
    context: PlanContext,
    generator: GeneratorFacts,
    spec: EstimatorSpec,
    variance: float | None = None,
    *,
    replicate: bool = False,
    probe: bool = False,
) -> dict[str, Any]:
    """Everything that an estimate's rows depend on besides their items.

    The observation variance is the data's unless another is given; a replicate has another bank,
    and a probe that one besides its estimate's.

    Raises:
        StageError: when a result that it rests on could not be had.
    """
    settings = {
        **generator_settings(generator),
        "variance": context.variance(generator.name) if variance is None else variance,
        "estimator": spec.estimator,
    }
    if isinstance(spec, ClassicalSpec):
        return {
            **settings,
            **setting_values(ClassicalSettings, spec),
            "step_size_schedule": _frozen_schedule(context, generator, spec),
        }
    banked = bank_settings(context, generator, spec.bank, replicate=replicate)
    if probe:
        banked["probe_bank_seed"] = bank_seed(context, generator, replicate=True)
    return {**settings, **setting_values(GuidedSettings, spec), **banked}


def _frozen_schedule(
    context: PlanContext, generator: GeneratorFacts, spec: ClassicalSpec
) -> list[float] | None:
    """The step size of each transition out of the pilots' results; None in adaptive mode."""
    if spec.step_size == "adaptive":
        return None
    import torch

    from ....core.likelihood import combine_step_sizes, resample_schedule
    from ....core.samplers.schedule import sigmoid_schedule

    columns = ["generator", "status", "error", "beta", "step_size"]
    rows = context.run.read(TUNING_TABLE, context.shard_ids(TUNING_TABLE.name), columns).to_pylist()
    mine = [row for row in rows if row["generator"] == generator.name]
    good = [row for row in mine if row["status"] == STATUS_OK]
    if not good:
        errors = sorted({row["error"] for row in mine})
        raise StageError(f"stage tuning: no pilot image of {generator.name} succeeded: {errors}")
    step_sizes = torch.tensor([row["step_size"] for row in good], dtype=torch.float64)
    beta = torch.tensor(good[0]["beta"], dtype=torch.float64)
    wanted = sigmoid_schedule(spec.transitions, spec.sigmoid_radius)[1:-1]
    schedule: list[float] = resample_schedule(beta, combine_step_sizes(step_sizes), wanted).tolist()
    return schedule


def reuses_inversion(context: AuditContext, spec: EstimatorSpec) -> bool:
    """Whether the inversion's finalists serve as modes: they must have minimised squared error."""
    inversion = INVERSION.of(context.spec.stages)
    return spec.estimator == "guided" and inversion is not None and inversion.distance == "mse"


def estimate_work(
    context: AuditContext,
    generator: GeneratorFacts,
    group: GroupSpec,
    spec: EstimatorSpec,
    images: int,
    at_once: int,
    *,
    replicate: bool = False,
    probe: bool = False,
) -> list[Work]:
    """The estimates of so many of a group's images.

    A replicate knows no inversion; a probe is a second search. A simulated image's upper bound
    comes once for each image that the model made, under its own condition.
    """
    known = 0 if replicate else _known(context, group, spec)
    calls, further = _estimate_calls(generator, spec, known, probe=probe)
    work = [Work(generator.name, images, at_once, calls, further)]
    if group.role == "simulated":
        bounded = min(images, context.group_size(group))
        work.append(Work(generator.name, bounded, at_once, _reverse_calls(spec)))
    return work


def _known(context: AuditContext, group: GroupSpec, spec: EstimatorSpec) -> int:
    """How many latents of an image's inversion its search begins with."""
    inversion = INVERSION.of(context.spec.stages)
    if inversion is None or group.role == "simulated" or not reuses_inversion(context, spec):
        return 0
    return inversion.ends


def _estimate_calls(
    generator: GeneratorFacts, spec: EstimatorSpec, known: int, *, probe: bool
) -> tuple[tuple[Calls, ...], tuple[Calls, ...]]:
    """Calls of an estimate; with a tolerance the fewest that it can take, and the most besides."""
    chains = _chains(spec)
    if isinstance(spec, ClassicalSpec):
        return (chains,), ()
    from ....core.modes import search_calls
    from ....core.probe import probe_calls

    settings = GuidedSettings(**setting_values(GuidedSettings, spec))
    products = products_of(generator)
    first = search_calls(settings, known, products)
    if probe:
        first += probe_calls(settings, products)
    if spec.tolerance is None:
        return (*first, chains), ()
    # One doubling, then fresh chains at its settings: those that decided are not reported.
    doubled = _chains(spec, 1)
    fewest = (
        *first,
        *_later_searches(settings, products, range(1)),
        chains,
        doubled,
        doubled,
    )
    longest = _chains(spec, spec.doublings)
    further = (
        *_later_searches(settings, products, range(1, spec.doublings)),
        *(_chains(spec, doublings) for doublings in range(2, spec.doublings + 1)),
        replace(longest, times=longest.times - doubled.times),
    )
    return fewest, further


def _later_searches(settings: GuidedSettings, products: int, levels: range) -> list[Calls]:
    """Of searches after the first, each with as many restarts as all before it."""
    from ....core.guided_run import other_law
    from ....core.modes import search_calls

    return [
        call
        for level in levels
        for call in search_calls(
            other_law(replace(settings, restarts=settings.restarts * 2**level)), 0, products
        )
    ]


def estimator_bank(
    generator: GeneratorFacts, spec: EstimatorSpec, images: int, at_once: int, classes: int
) -> list[BankWork]:
    """The bank of so many images' estimates under so many classes."""
    if isinstance(spec, ClassicalSpec):
        return []
    settings = GuidedSettings(**setting_values(GuidedSettings, spec))
    return bank_work(generator, settings, images, at_once, classes)


def _reverse_calls(spec: EstimatorSpec) -> tuple[Calls, ...]:
    """Of an upper bound; in adaptive mode the forward chains run again, for their step sizes."""
    adaptive = isinstance(spec, ClassicalSpec) and spec.step_size == "adaptive"
    return (_chains(spec),) * (2 if adaptive else 1)


def _chains(spec: EstimatorSpec, doublings: int = 0) -> Calls:
    return chain_calls(spec.chains, spec.leapfrog_steps, spec.transitions * 2**doublings)
