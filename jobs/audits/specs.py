"""The spec of an audit with every audit's keys, and what it names, opened and checked."""

from pathlib import Path
from typing import Any, Self

from pydantic import create_model, model_validator

from ..audits import AUDITS
from ..record.run_directory import RunDirectory
from ..spec import gathering, loading
from ..spec.audit import AuditSpec
from ..spec.facts import Facts
from ..spec.stages import StagesSpec
from .latents import check_latents

_STAGES = "Which stages run, and how; one that is left out does not."


def _stages() -> type[StagesSpec]:
    """The model of ``stages``: a field for each key of each audit, in their order."""
    fields: dict[str, Any] = {
        key.name: (key.model | None, None) if key.default is None else (key.model, key.default)
        for audit in AUDITS
        for key in audit.settings
    }
    return create_model("Stages", __base__=StagesSpec, __doc__=_STAGES, **fields)


class _Checked(AuditSpec):
    @model_validator(mode="after")
    def _needs_are_met(self) -> Self:
        check_latents(self)
        for audit in AUDITS:
            for check in audit.spec_checks:
                check(self)
        return self


Spec: type[AuditSpec] = create_model(
    "Spec", __base__=_Checked, __doc__=AuditSpec.__doc__, stages=(_stages(), ...)
)
"""The model that specs are read as."""


def load_spec(source: str, overrides: tuple[str, ...] = ()) -> AuditSpec:
    """The spec at a path or of a preset's name; as :func:`offmanifold.jobs.spec.loading.load_spec`.

    Raises:
        SpecError: naming the file, the key, what was expected and what to do.
    """
    return loading.load_spec(Spec, source, overrides)


def read_spec(source: str) -> tuple[dict[str, Any], Path]:
    """What a spec says; as :func:`offmanifold.jobs.spec.loading.read_spec`.

    Raises:
        SpecError: nothing is there, or it cannot be read.
    """
    return loading.read_spec(Spec, source)


def inherited_spec(content: dict[str, Any], base: Path, source: str) -> dict[str, Any]:
    """The keys over those it extends; as :func:`offmanifold.jobs.spec.loading.inherited_spec`.

    Raises:
        SpecError: what it extends cannot be read or merged.
    """
    return loading.inherited_spec(Spec, content, base, source)


def parse_spec(text: str, base: Path, overrides: tuple[str, ...], source: str) -> AuditSpec:
    """The spec in ``text``; ``base`` resolves relative paths; ``source`` names it in errors.

    Raises:
        SpecError: naming the key, what was expected and what to do.
    """
    return loading.parse_spec(Spec, text, base, overrides, source)


def build_spec(
    content: dict[str, Any], base: Path, overrides: tuple[str, ...], source: str
) -> AuditSpec:
    """The spec of plain values; as :func:`offmanifold.jobs.spec.loading.build_spec`.

    Raises:
        SpecError: naming the key, what was expected and what to do.
    """
    return loading.build_spec(Spec, content, base, overrides, source)


def spec_of(run: RunDirectory) -> AuditSpec:
    """The resolved spec that a run belongs to.

    Raises:
        SpecError: no run directory, or a spec that cannot be read.
    """
    return run.spec(Spec)


def gather_facts(spec: AuditSpec) -> Facts:
    """Opens all that the spec names, and checks that it fits together.

    Raises:
        SpecError: naming the key, what was found, what was expected and what to do.
    """
    users = [key for audit in AUDITS for key in audit.lpips_keys(spec)]
    found = gathering.gather_facts(spec, users)
    for audit in AUDITS:
        for check in audit.fact_checks:
            check(spec, found)
    return found
