"""What the estimators of ln p(x) need from the stages before them, and what they cost."""

from dataclasses import replace
from typing import Any

from ....core.settings.chains import chain_evaluations
from ....core.settings.classical import ClassicalSettings
from ....core.settings.definition import setting_values
from ....core.settings.guided import GuidedSettings
from ....workers.schema import STATUS_OK
from ....workers.tuning import TUNING_TABLE
from ...plan.stage import AuditContext, PlanContext, StageError
from ...spec.audit import GroupSpec
from ...spec.facts import GeneratorFacts
from ...spec.stages import StagesSpec
from ..banked import bank_evaluations, bank_settings
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
) -> dict[str, Any]:
    """Everything that an estimate's rows depend on besides their items.

    The observation variance is the data's unless another is given; a replicate has another bank.

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


def evaluations_per_item(
    context: AuditContext,
    generator: GeneratorFacts,
    group: GroupSpec,
    spec: EstimatorSpec,
    *,
    replicate: bool = False,
    probe: bool = False,
) -> int:
    """Generator evaluations of an estimate; with a tolerance, the fewest that it can take.

    A replicate knows no inversion; a probe is a second search, with as many restarts.
    """
    gradients = _gradients(spec)
    if isinstance(spec, ClassicalSpec):
        return gradients
    settings = GuidedSettings(**setting_values(GuidedSettings, spec))
    inversion = INVERSION.of(context.spec.stages)
    known = 0
    if inversion is not None and group.role != "simulated" and reuses_inversion(context, spec):
        known = 0 if replicate else inversion.ends
    if spec.tolerance is None:
        return gradients + _searches(settings, known, generator.latent_dim, further=int(probe))
    # One doubling, then fresh chains at its settings: those that decided are not reported.
    doubled = _gradients(spec.model_copy(update={"transitions": 2 * spec.transitions}))
    searches = _searches(settings, known, generator.latent_dim, further=1 + probe)
    return gradients + 2 * doubled + searches


def _searches(settings: GuidedSettings, known: int, latent_dim: int, *, further: int) -> int:
    """Of a first search and so many further ones, each with as many restarts as all before it."""
    from ....core.guided_run import other_law
    from ....core.modes import search_evaluations

    evaluations = search_evaluations(settings, known, latent_dim)
    for level in range(further):
        another = other_law(replace(settings, restarts=settings.restarts * 2**level))
        evaluations += search_evaluations(another, 0, latent_dim)
    return evaluations


def banked_evaluations(generator: GeneratorFacts, spec: EstimatorSpec) -> int:
    """Latents that a worker decodes for an estimator's bank."""
    if isinstance(spec, ClassicalSpec):
        return 0
    return bank_evaluations(generator, GuidedSettings(**setting_values(GuidedSettings, spec)))


def reverse_evaluations(spec: EstimatorSpec) -> int:
    """Generator evaluations that an upper bound costs, once for each simulated image.

    In adaptive mode the forward chains run again, for their step sizes.
    """
    adaptive = isinstance(spec, ClassicalSpec) and spec.step_size == "adaptive"
    return (2 if adaptive else 1) * _gradients(spec)


def _gradients(spec: EstimatorSpec) -> int:
    return chain_evaluations(spec.chains, spec.leapfrog_steps, spec.transitions)
