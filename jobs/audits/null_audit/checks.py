"""What a spec must have for the null audit."""

from ...spec.audit import AuditSpec
from ..inversion.settings import INVERSION
from ..likelihood.settings import LIKELIHOOD


def check_null_audit(spec: AuditSpec) -> None:
    """There is one null group at most, and something to ask it.

    Raises:
        ValueError: naming the key and what to do.
    """
    roles = [group.role for group in spec.groups]
    if roles.count("null") > 1:
        raise ValueError("groups: at most one group may have role `null`; remove the others")
    stages = spec.stages
    if "null" in roles and INVERSION.of(stages) is None and LIKELIHOOD.of(stages) is None:
        raise ValueError(
            "a group with role `null` needs inversion or likelihood: add `inversion: {}` or "
            "`likelihood: {}`, or remove the group"
        )
