"""A spec's entry for a generator: one, one for each class, or the checkpoints of one training."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from ...workers.generator_source import ClassMember, GeneratorSource
from .model import ClassName, ClassNumber, Name, SpecModel
from .named_generator import NamedGenerator, Series
from .source import OF_FAMILY, SampledSpec, SourceSpec

# What the members of a set, or the checkpoints of a series, may have in common.
_SHARED = (*OF_FAMILY, "network", "import_path")
_CLASS = re.compile(r"\S(.*\S)?")


# The keys that come first, as a spec is written.
class _Iterated(SpecModel):
    iteration: Annotated[int, Field(ge=0)] | Name


class _Named(SpecModel):
    name: Name


class CheckpointSpec(SampledSpec, _Iterated):
    """A generator of a series: its ``iteration``, a number or a name, and what it is opened from.

    The other keys are those of `generators`.
    """


class GeneratorSpec(SampledSpec, _Named):
    """A generator: a ``source``, ``weights`` with their ``family`` or ``network``, or ``samples``.

    A source is ``shipped:NAME``, a folder with weights, or ``module:function``; folder and weights
    may be ``s3://`` or ``hf://`` addresses. ``object:NAME`` is one that a program gives to
    `offmanifold.audit`.
    ``import_path`` is the folder in which ``module`` is found, by default the spec's own.
    ``weights`` are a published checkpoint of a ``family``, or a file with a
    ``network`` of the user's. ``truncation`` is that of the latents, in families that have one;
    ``key`` names the generator in a file that holds several (``g_ema``), ``classes`` is how many of
    the first layer's inputs are one-hot classes, and ``mixed_precision`` whether training used half
    precision too, in families whose files do not say it.
    ``samples`` are images that it made: enough for the stages that need no latent.

    ``per_class`` has an unconditional generator for each class, which together are one
    class-conditional generator: ``{cat: {weights: …}, dog: {weights: …}}``. Class names that are
    numbers are the class numbers; others are numbered from 0 in the order in which they stand.
    ``checkpoints`` are those of one training in order, each a generator of the audit, called
    NAME@ITERATION. What members or checkpoints have in common is written once, beside them.

    ``conditions`` are the classes that are evaluated, by number or by a name of the class map:
    ``[9, 817]``. Marginal densities, classification and sigma^2 are then over these, and images of
    other classes are left out.
    """

    per_class: dict[str, SourceSpec] | None = Field(default=None, min_length=1)
    checkpoints: tuple[CheckpointSpec, ...] | None = Field(default=None, min_length=1, strict=False)
    conditions: tuple[ClassNumber | ClassName, ...] | None = Field(
        default=None, min_length=1, strict=False
    )

    @property
    def each(self) -> Iterator[NamedGenerator]:
        """The generators of the audit that it stands for: one, or those of a series in order."""
        if self.checkpoints is None:
            place = f"generators.{self.name}"
            yield NamedGenerator(
                self.name,
                place if self.given == "per_class" else f"{place}.{self.given}",
                self.opened_from,
                self.samples,
                tuple(self.code),
                self.conditions,
            )
            return
        for position, each in enumerate(self.checkpoints):
            yield NamedGenerator(
                f"{self.name}@{each.iteration}",
                f"generators.{self.name}.checkpoints.{position}.{each.given}",
                each.opened_from,
                each.samples,
                tuple(each.code),
                self.conditions,
                Series(self.name, each.iteration, position, len(self.checkpoints)),
            )

    @property
    def opened_from(self) -> GeneratorSource:
        """As of any; a set's members in the order of their classes."""
        if self.per_class is None:
            return super().opened_from
        numbers = class_set_numbers(self.per_class)
        members = sorted(
            (
                ClassMember(name, numbers[name], each.opened_from)
                for name, each in self.per_class.items()
            ),
            key=lambda member: member.number,
        )
        names = ", ".join(member.name for member in members)
        return replace(super().opened_from, source=f"per_class: {names}", members=tuple(members))

    @property
    def code(self) -> list[str]:
        """As of any; a set has those of its members."""
        members = (self.per_class or {}).values()
        return super().code + [path for member in members for path in member.code]

    @model_validator(mode="before")
    @classmethod
    def _shared_keys_are_each_ones(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        members, series = content.get("per_class"), content.get("checkpoints")
        if not isinstance(members, dict) and not isinstance(series, list):
            return content
        shared = {name: content[name] for name in _SHARED if content.get(name) is not None}
        own = {name: value for name, value in content.items() if name not in shared}
        if isinstance(members, dict):
            own["per_class"] = {
                str(name) if type(name) is int else name: _with(shared, member)
                for name, member in members.items()
            }
        if isinstance(series, list):
            own["checkpoints"] = [_with(shared, each) for each in series]
        return own

    @model_validator(mode="after")
    def _conditions_are_of_a_latent(self) -> Self:
        samples = [self.samples, *(each.samples for each in self.checkpoints or ())]
        if self.conditions is not None and any(each is not None for each in samples):
            raise ValueError(
                f"{self._which}samples are of the classes that they are of; remove conditions"
            )
        return self

    @field_validator("per_class")
    @classmethod
    def _classes_have_one_kind_of_name(
        cls, value: dict[str, SourceSpec] | None
    ) -> dict[str, SourceSpec] | None:
        if value is not None:
            class_set_numbers(value)
        return value

    @property
    def _which(self) -> str:
        return f"generator {self.name!r}: "

    @property
    def _openable(self) -> tuple[str, ...]:
        return ("source", "weights", "samples", "per_class", "checkpoints")

    @property
    def _choices(self) -> str:
        return (
            "source (shipped:NAME, a folder, or module:function), weights (a published "
            "checkpoint, or a network of your own), samples (images that it made), per_class (a "
            "generator for each class) and checkpoints (of one training)"
        )


def class_set_numbers(names: Mapping[str, object]) -> dict[str, int]:
    """The class number of each member of a set, by its class's name.

    Raises:
        ValueError: names that are partly numbers, twice the same number, or blank.
    """
    blank = [name for name in names if not _CLASS.fullmatch(name)]
    if blank:
        raise ValueError(f"class name {blank[0]!r} is blank, or begins or ends with a space")
    whole = [name for name in names if name.isascii() and name.isdigit()]
    if not whole:
        return {name: position for position, name in enumerate(names)}
    words = [name for name in names if name not in whole]
    if words:
        raise ValueError(
            f"class {whole[0]!r} is a number and {words[0]!r} a word; name all classes by words, "
            "or all by their numbers"
        )
    numbers = {name: int(name) for name in names}
    if len(set(numbers.values())) < len(numbers):
        raise ValueError("two class names mean the same number; give each class once")
    return numbers


def _with(shared: dict[str, Any], own: Any) -> Any:
    """A member's keys, and those that all have in common unless it has its own.

    A family's keys are of no use to one with a network, nor to one without weights.
    """
    if not isinstance(own, dict):
        return own
    kept = shared
    if own.get("weights") is None:
        kept = {name: value for name, value in kept.items() if name == "import_path"}
    elif own.get("network") is not None or own.get("family") is not None:
        kept = {name: value for name, value in kept.items() if name not in ("family", "network")}
        if own.get("network") is not None:
            kept = {name: value for name, value in kept.items() if name not in OF_FAMILY}
    return {**kept, **own}
