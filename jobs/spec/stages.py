"""The stages of a spec, by keys that the audits bring."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from .model import ReferenceSpec, SpecModel
from .own_classifier import OwnClassifierSpec

Settings = TypeVar("Settings")


class StagesSpec(SpecModel):
    """Which stages run, and how; one that is left out does not.

    Its fields are the audits' keys (:data:`offmanifold.jobs.audits.specs.Spec` has them all), and
    a :class:`StageKey` looks one up.
    """

    @property
    def references(self) -> dict[str, ReferenceSpec]:
        """The reference sets of the stages, by the key that names them.

        That is the stage's, and the inner key too for a set beside the stage's own.
        """
        named: dict[str, object] = {}
        for stage in type(self).model_fields:
            spec = getattr(self, stage)
            named[stage] = spec
            if isinstance(spec, ReferenceSpec):
                inner = {key: getattr(spec, key) for key in type(spec).model_fields}
                named |= {f"{stage}.{key}": value for key, value in inner.items()}
        return {key: spec for key, spec in named.items() if isinstance(spec, ReferenceSpec)}

    @property
    def own_classifiers(self) -> dict[str, OwnClassifierSpec]:
        """Users' own classifiers, by the stage that has one as ``own``."""
        found = {
            stage: getattr(getattr(self, stage), "own", None) for stage in type(self).model_fields
        }
        return {stage: own for stage, own in found.items() if isinstance(own, OwnClassifierSpec)}


@dataclass(frozen=True)
class StageKey(Generic[Settings]):
    """A key under ``stages`` in a spec, and the model of the settings under it.

    Where the spec leaves the key out, the settings are ``default``; without one there are none, and
    the stage does not run.
    """

    name: str
    model: Any
    default: Settings | None = None

    def of(self, stages: StagesSpec) -> Settings | None:
        """The settings in a spec; None where it leaves the stage out."""
        return cast("Settings | None", getattr(stages, self.name))

    def required(self, stages: StagesSpec) -> Settings:
        """The settings in a spec that has the stage.

        Raises:
            LookupError: it leaves the stage out.
        """
        settings = self.of(stages)
        if settings is None:
            raise LookupError(f"the spec has no stages.{self.name}")
        return settings
