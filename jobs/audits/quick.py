"""The quick form of an audit: fewer images and a lean search, for a first answer in minutes.

What a quick audit leaves out is what does not grow with the audited images alone: passes over a
whole reference set, classifiers to train, and checks of the estimator itself.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..spec.audit import AuditSpec, GroupSpec
from ..spec.facts import Facts
from ..spec.loading import SpecError
from .images.settings import IMAGES
from .inversion.settings import INVERSION
from .likelihood.settings import LIKELIHOOD, GuidedSpec
from .perceptual.settings import PERCEPTUAL
from .variance.settings import VARIANCE
from .variation.settings import LOCAL_VARIATION

_SEARCHING = (IMAGES, INVERSION, PERCEPTUAL, LOCAL_VARIATION)
_DENSITIES = (VARIANCE, LIKELIHOOD)
# Roles of which one half has the variance fitted to it, or which are a reference for others.
_HALVED = ("train", "null", "simulated")
_SHARD_ITEMS = 8


@dataclass(frozen=True)
class _Form:
    """Sizes of a quick audit; ``images`` are of each group, twice as many where it is halved.

    Sixteen images are the fewest whose mean has an interval (`docs/intervals.md`).
    """

    images: int
    inversion: Mapping[str, int]
    likelihood: Mapping[str, int] | None


_LEAN = {
    "bank": 1024,
    "restarts": 8,
    "iterations": 60,
    "finalists": 2,
    "final_iterations": 60,
    "polish": 2,
}
_LEANEST = {**_LEAN, "restarts": 2, "finalists": 1, "iterations": 40, "final_iterations": 0}
_FORMS = (
    _Form(
        16,
        _LEAN,
        {
            "transitions": 60,
            "chains": 2,
            "bank": 1024,
            "restarts": 8,
            "candidates": 4,
            "iterations": 60,
            "finalists": 3,
            "final_iterations": 60,
            "polish": 2,
        },
    ),
    _Form(16, _LEAN, None),
    _Form(16, _LEANEST, None),
    # Of many latents a Jacobian alone takes longer than all descents.
    _Form(16, {**_LEANEST, "polish": 0}, None),
)


def quick_forms(spec: AuditSpec, facts: Facts) -> tuple[AuditSpec, ...]:
    """The quick forms of an audit, the most that it can be first; a form is its own form.

    Groups are cut, none is enlarged; settings of the search are lowered, none is raised. Later
    forms estimate no densities, whose search takes products with whole Jacobians. Images meet their
    own class only, where they have one or need none.

    Raises:
        SpecError: there is nothing to shorten.
    """
    content = spec.model_dump(mode="json")
    stages = content["stages"]
    if stages["inversion"] is None and stages["likelihood"] is None:
        raise SpecError(
            "quick: it shortens inversion and likelihood, and the spec has neither under stages; "
            "leave quick out"
        )
    forms = []
    for form in _FORMS:
        if form.likelihood is None and stages["inversion"] is None:
            continue
        found = _formed(content, spec, form, facts)
        if found not in forms:
            forms.append(found)
    return tuple(forms)


def cuts(full: AuditSpec, quick: AuditSpec) -> Iterator[str]:
    """What a quick form has less of, in words."""
    sizes = [
        f"{group.name} {'all' if group.count is None else f'{group.count:,}'}"
        f" \N{RIGHTWARDS ARROW} {kept.count:,}"
        for group in full.groups
        if (kept := _group(quick, group.name)) is not None and kept.count != group.count
    ]
    if sizes:
        yield f"images: {', '.join(sizes)}"
    counts = [
        full_count / kept.count
        for group in full.groups
        if (kept := _group(quick, group.name)) is not None
        and kept.count is not None
        and (full_count := group.count) is not None
    ]
    if counts and max(counts) > 1:
        yield (
            f"intervals up to {max(counts) ** 0.5:.1f} times as wide as with the spec's own counts"
        )
    gone = [group.name for group in full.groups if _group(quick, group.name) is None]
    if gone:
        yield f"without the groups {', '.join(gone)}"
    left = [
        name
        for name in type(full.stages).model_fields
        if getattr(full.stages, name) is not None and getattr(quick.stages, name) is None
    ]
    if left:
        yield f"without the stages {', '.join(left)}"
    yield "a lean search: errors are larger, and densities lower, than a longer one would find"


def _group(spec: AuditSpec, name: str) -> GroupSpec | None:
    return next((group for group in spec.groups if group.name == name), None)


def _formed(content: dict[str, Any], spec: AuditSpec, form: _Form, facts: Facts) -> AuditSpec:
    kept = _SEARCHING if form.likelihood is None else (*_SEARCHING, *_DENSITIES)
    names = [key.name for key in kept if content["stages"][key.name] is not None]
    stages = {name: dict(content["stages"][name]) for name in names}
    if (inversion := stages.get("inversion")) is not None:
        _lower(inversion, form.inversion)
    if form.likelihood is not None and (likelihood := stages.get("likelihood")) is not None:
        if likelihood["estimator"] != "guided":
            likelihood = stages["likelihood"] = GuidedSpec().model_dump(mode="json")
        _lower(likelihood, form.likelihood)
        likelihood["tolerance"] = None
    if (variance := stages.get("variance")) is not None:
        _lower(variance, {})
    groups = [
        _cut(group, form, facts)
        for group in content["groups"]
        if group["role"] != "simulated" or "likelihood" in stages
    ]
    return type(spec).model_validate({**content, "groups": groups, "stages": stages})


def _lower(settings: dict[str, Any], to: Mapping[str, int]) -> None:
    for name, value in {**to, "shard_items": _SHARD_ITEMS}.items():
        settings[name] = min(settings[name], value)


def _cut(group: dict[str, Any], form: _Form, facts: Facts) -> dict[str, Any]:
    most = form.images * (2 if group["role"] in _HALVED else 1)
    known = facts.groups.get(group["name"])
    length = group["count"] or (None if known is None else known.length) or most
    is_data = group["role"] in ("train", "test")
    own = not is_data or (known is not None and known.labels is not None)
    conditions = "own" if own and group["conditions"] == "all" else group["conditions"]
    return {**group, "count": min(length, most), "conditions": conditions}
