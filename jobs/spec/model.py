"""What parts of a spec share: that they are strict, and how they name paths and image sets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...core.settings.definition import settings_in


class SpecModel(BaseModel):
    """A frozen part of a spec; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _never(_: str) -> bool:
    return False


@dataclass(frozen=True)
class PathField:
    """Marks a field of a spec, in its type, as a path; a relative one counts from the spec's file.

    Where the value may be a name as well, ``is_name`` tells. What ``travels`` is sent along with a
    job; every other path is looked for on the cluster.
    """

    is_name: Callable[[str], bool] = _never
    travels: bool = False


SpecPath = Annotated[str | None, PathField()]


def setting(definition: type, name: str) -> Any:
    """The key of a spec for a setting of `core.settings`, with its default, bounds and description.

    The key's type is written beside it, for type checkers; a test holds it equal.
    """
    found = settings_in(definition)[name]
    return Field(default=found.default, description=found.description, **found.bounds)


class DatasetOptions(SpecModel):
    """How the images of a set become those that are audited.

    ``resize: lanczos`` brings a set with a shape of its own, and pictures of any size, to the
    generator's, from their central square of ``crop`` pixels where that is given. ``attribute``
    names what a set with attributes has for its classes.
    """

    resize: Literal["lanczos"] | None = None
    crop: int | None = Field(default=None, ge=1)
    attribute: str | None = None

    @model_validator(mode="after")
    def _crop_is_resized(self) -> Self:
        if self.crop is not None and self.resize is None:
            raise ValueError("crop needs resize: lanczos")
        return self

    @property
    def dataset_options(self) -> dict[str, Any]:
        """Those that are set, by name."""
        named = {"resize": self.resize, "crop": self.crop, "attribute": self.attribute}
        return {name: value for name, value in named.items() if value is not None}


class ReferenceSpec(DatasetOptions):
    """A stage that holds the images against a whole reference set."""

    dataset: str
    split: str | None = "train"
    path: SpecPath = None
