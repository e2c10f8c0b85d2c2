"""Which stages search or draw a generator's latent, and so cannot do with samples alone."""

from ..spec.audit import AuditSpec
from . import AUDITS

_DRAWN_ROLES = ("simulated", "null")


def check_latents(spec: AuditSpec) -> None:
    """Every stage that needs a latent has one in every generator.

    Raises:
        ValueError: naming the generator, the keys and what to do.
    """
    sampled = [each.name for each in spec.each_generator if each.samples is not None]
    if not sampled:
        return
    keys = [
        f"stages.{key.name}"
        for audit in AUDITS
        if any(stage.needs_latent and stage.enabled(spec) for stage in audit.stages)
        for key in audit.settings
        if key.of(spec.stages) is not None
    ]
    keys += [f"groups.{group.name}" for group in spec.groups if group.role in _DRAWN_ROLES]
    if keys:
        raise ValueError(
            f"generator {sampled[0]!r} is known by samples alone and has no latent, which "
            f"{', '.join(keys)} would need; remove {'it' if len(keys) == 1 else 'them'}, or audit "
            f"{sampled[0]!r} in a spec of its own"
        )
