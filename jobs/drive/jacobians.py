"""Generators without a Jacobian are refused before any work, where a stage is to take it."""

from collections.abc import Iterator

from ...core.calls import Kind
from ..audits import stages_of
from ..plan.stage import AuditContext
from ..spec.loading import SpecError

_REMEDY = (
    "It is taken in forward mode, along several directions at once (torch.vmap of torch.func.jvp). "
    "So give a torch.autograd.Function of its own a jvp and generate_vmap_rule = True, or plain "
    "torch operations in its place, and write to no buffer in forward. Or leave out what takes it: "
    "a stage, or the polish of an inversion (stages.inversion.polish: 0)"
)


def require_jacobians(context: AuditContext) -> None:
    """Refuses a generator that has no Jacobian, where one of the spec's stages takes it.

    Raises:
        SpecError: which generator and stages, what torch said, and what to do.
    """
    problem = jacobian_problem(context)
    if problem is not None:
        raise SpecError(problem)


def jacobian_problem(context: AuditContext) -> str | None:
    """Why a stage of the spec would fail for want of a Jacobian, and what to do; else None."""
    for name, generator in context.facts.generators.items():
        if generator.no_jacobian is None:
            continue
        stages = list(_taking(context, name))
        if stages:
            return (
                f"generator {name}: its Jacobian is taken by {', '.join(stages)}, and that failed "
                f"at two latents: {generator.no_jacobian}. {_REMEDY}"
            )
    return None


def _taking(context: AuditContext, generator: str) -> Iterator[str]:
    """The stages that take a generator's Jacobian."""
    for stage in stages_of(context.spec):
        calls = (
            call
            for work in stage.cost(context).work
            if work.generator == generator and work.images
            for call in (*work.calls, *work.further)
        )
        if any(call.kind is Kind.JACOBIAN and call.times and call.rows for call in calls):
            yield stage.name
