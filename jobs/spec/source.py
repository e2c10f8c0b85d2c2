"""What a generator is opened from, as a spec says it: a source, weights, or samples instead."""

from typing import Annotated, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from ...core.generators.families.registry import require_family
from ...workers.command_lines import command
from ...workers.generator_source import GIVEN_PREFIX, SHIPPED_PREFIX, GeneratorSource
from .model import PathField, SamplesSpec, SpecModel, SpecPath, module_paths
from .network import NetworkSpec

# Keys of a published checkpoint.
OF_FAMILY = ("family", "truncation", "key", "classes", "mixed_precision")


def _is_name(source: str) -> bool:
    """Whether it is ``shipped:NAME`` or ``module:function``, and no path."""
    return ":" in source and "://" not in source


class SourceSpec(SpecModel):
    """What one generator is opened from: a ``source``, or ``weights`` and what they are of.

    The keys are those of `generators`.
    """

    source: Annotated[str | None, PathField(is_name=_is_name)] = Field(default=None, min_length=1)
    import_path: Annotated[str | None, PathField(travels=True)] = Field(
        default=None, validate_default=True
    )
    family: str | None = None
    weights: SpecPath = Field(default=None, min_length=1)
    truncation: float | None = Field(default=None, gt=0, le=1)
    network: NetworkSpec | None = None
    key: str | None = Field(default=None, min_length=1)
    classes: int | None = Field(default=None, ge=1)
    mixed_precision: bool | None = None

    @property
    def opened_from(self) -> GeneratorSource:
        """The same for the workers: what to open is the source, or the checkpoint file."""
        return GeneratorSource(
            self.source or self.weights or self._elsewhere,
            self.import_path,
            self.family,
            self.truncation,
            None if self.network is None else self.network.facts,
            self.key,
            self.classes,
            self.mixed_precision,
        )

    @property
    def code(self) -> list[str]:
        """The paths of its own modules, and of files that are programs."""
        if self.source is not None and self.import_path is not None:
            return list(module_paths(self.source, self.import_path))
        trusted = self.network is not None and self.network.trust
        return [self.weights] if trusted and self.weights is not None else []

    @field_validator("import_path")
    @classmethod
    def _only_modules_are_imported(cls, value: str | None, info: ValidationInfo) -> str | None:
        source = info.data.get("source") or ""
        is_module = _is_name(source) and not source.startswith((SHIPPED_PREFIX, GIVEN_PREFIX))
        return (value or ".") if is_module else None

    @model_validator(mode="after")
    def _one_thing_to_open(self) -> Self:
        which = self._which
        given = [name for name in self._openable if getattr(self, name) is not None]
        if len(given) != 1:
            found = f", found {' and '.join(given)}" if given else ""
            raise ValueError(f"{which}give one of {self._choices}{found}")
        of_weights = [name for name in (*OF_FAMILY, "network") if getattr(self, name) is not None]
        if self.weights is None and of_weights:
            raise ValueError(
                f"{which}{', '.join(OF_FAMILY)} and network need weights instead of {given[0]}"
            )
        if self.weights is not None and self.family is None and self.network is None:
            raise ValueError(
                f"{which}weights need a family; `{command('inspect', self.weights)}` names it (a "
                "TorchScript, torch.export or ONNX file needs a network instead)"
            )
        of_family = [name for name in OF_FAMILY if getattr(self, name) is not None]
        if self.network is not None and of_family:
            raise ValueError(
                f"{which}a network of your own takes no {', '.join(of_family)}; remove what "
                "belongs to a family"
            )
        if self.family is not None:
            require_family(self.family)
        return self

    @property
    def _elsewhere(self) -> str:
        """Where its images are, if it is not opened at all."""
        return ""

    @property
    def _which(self) -> str:
        """How messages begin, where the place in the spec does not say it all."""
        return ""

    @property
    def _openable(self) -> tuple[str, ...]:
        return ("source", "weights")

    @property
    def _choices(self) -> str:
        return (
            "source (shipped:NAME, a folder, or module:function) and weights (a published "
            "checkpoint, or a network of your own)"
        )


class SampledSpec(SourceSpec):
    """The same, or ``samples`` that stand in its place."""

    samples: SamplesSpec | None = None

    @property
    def given(self) -> str:
        """The key that says what it is."""
        return next(name for name in self._openable if getattr(self, name) is not None)

    @property
    def _elsewhere(self) -> str:
        return "" if self.samples is None else self.samples.path or self.samples.dataset

    @property
    def _openable(self) -> tuple[str, ...]:
        return ("source", "weights", "samples")

    @property
    def _choices(self) -> str:
        return (
            "source (shipped:NAME, a folder, or module:function), weights (a published "
            "checkpoint, or a network of your own) and samples (images that it made)"
        )
