"""Whether a reference set and images are large enough for compressed sensing."""

from ...spec.audit import AuditSpec
from ...spec.facts import Facts
from ...spec.loading import SpecError
from .settings import SENSING


def check_sensing(spec: AuditSpec, facts: Facts) -> None:
    """No more measurements than values, fewer components than images and values, and classes.

    Raises:
        SpecError: naming the key and what to do.
    """
    sensing = SENSING.of(spec.stages)
    if sensing is None:
        return
    is_conditional = any(each.num_classes for each in facts.generators.values())
    for group in spec.groups:
        if group.role not in ("train", "test") or group.conditions != "all":
            continue
        if is_conditional and facts.groups[group.name].labels is None:
            raise SpecError(
                f"groups.{group.name}: its images have no class, and stages.sensing restores each "
                "under one class; give class or classes, ask for conditions: in_turn (one class "
                "each, whatever the image shows), or remove stages.sensing"
            )
    dimensions = facts.dimensions
    most = max(sensing.measurements_of(dimensions))
    if most > dimensions:
        raise SpecError(
            f"stages.sensing.measurements: {most}, but images have {dimensions} values; give "
            f"numbers from 1 to {dimensions}"
        )
    length = facts.references["sensing"].length
    components = sensing.components_of(dimensions)
    limit = min(dimensions, length or 0)
    if components >= limit:
        raise SpecError(
            f"stages.sensing.components: {components} from {length} images of {dimensions} values; "
            f"give a number from 1 to {limit - 1}"
        )
