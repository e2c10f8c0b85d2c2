"""What parts of a spec share: that they are strict, and how they name paths and image sets."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ...core.settings.definition import settings_in
from ...workers.datasets.image_set import MOST_CLASS
from ...workers.datasets.picture_rule import Alpha
from ...workers.shard import MOST_ITEMS


class SpecModel(BaseModel):
    """A frozen part of a spec; unknown keys are errors."""

    # A key that Python reserves, such as `class`, is an alias: what is written is what is read.
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        serialize_by_alias=True,
        allow_inf_nan=False,
    )


# The word that YAML reads as nothing where it is not quoted: a group may be called so.
NULL = "null"

# 2 to the power of so many are the classes.
MOST_ATTRIBUTES = 10


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


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]
SpecPath = Annotated[str | None, PathField()]
ClassNumber = Annotated[int, Field(ge=0, le=MOST_CLASS)]
ClassName = Annotated[str, Field(min_length=1)]
AttributeName = Annotated[str, Field(min_length=1)]
Size = Annotated[int, Field(ge=1)]
ShardItems = Annotated[int, Field(ge=1, le=MOST_ITEMS)]


def module_paths(source: str, import_path: str) -> tuple[str, str]:
    """The folder that a ``module:function`` is looked for in, and where in it the module would lie.

    That is without a suffix: a dotted name may lead from the folder into another.
    """
    module = source.partition(":")[0]
    return import_path, str(Path(import_path, *module.split(".")))


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that a field's type names: several where it is one of them, or of some entries."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in models_in(inner)]


def is_by_name(annotation: Any) -> bool:
    """Whether a field's type is a mapping from names, such as to models."""
    return get_origin(annotation) is dict or any(map(is_by_name, get_args(annotation)))


def entry_name(entry: Any) -> str | int | None:
    """The name of an entry of a spec's list, None where it has none that a key could be.

    YAML reads an unquoted null as nothing; as a name it is the word.
    """
    if not isinstance(entry, dict) or "name" not in entry:
        return None
    name = NULL if entry["name"] is None else entry["name"]
    return name if isinstance(name, str | int) else None


def setting(definition: type, name: str) -> Any:
    """The key of a spec for a setting of `core.settings`, with its default, bounds and description.

    The key's type is written beside it, for type checkers; a test holds it equal.
    """
    found = settings_in(definition)[name]
    return Field(default=found.default, description=found.description, **found.bounds)


class SourceSetSpec(SpecModel):
    """The image set of one class: all its images, whatever classes they have themselves."""

    dataset: str
    split: str | None = None
    path: SpecPath = None


class DatasetOptions(SpecModel):
    """How the images of a set become those that are audited.

    ``resize: lanczos`` brings a set with a shape of its own, and pictures of any size, to the
    generator's, from their central square of ``crop`` pixels where that is given. ``attribute``
    names what a set with attributes, or a table of ``labels``, has for its classes. ``alpha`` says
    what becomes of pictures that are not opaque, where the generator makes no transparency:
    ``white`` lays them on white, ``drop`` takes their colours as they are.

    ``classes`` says which of the generator's classes each class of the set is, by the set's name
    for it: ``{n02009912: 9, n04285008: 817}``, or a JSON or YAML file with such a mapping.
    ``class`` is the class of every image of a set that has no classes of its own.

    ``attribute`` may be a list: their bits make the class, the first the highest. ``sources``, with
    ``dataset: sources``, puts classes together from several sets, one each, by the class's name.
    ``balance`` leaves as many images of each class, drawn at random: so many, or ``fewest``, as
    many as the rarest class has.
    """

    resize: Literal["lanczos"] | None = None
    crop: int | None = Field(default=None, ge=1)
    attribute: str | Annotated[tuple[AttributeName, ...], Field(strict=False)] | None = None
    alpha: Alpha | None = Field(
        default=None, description="of pictures that are not opaque; by default refuse"
    )
    labels: SpecPath = Field(
        default=None,
        min_length=1,
        description="a JSON, CSV or text file that lists the class of each file",
    )
    classes: Annotated[dict[str, ClassNumber] | str | None, PathField()] = Field(
        default=None, description="a map, or the path of a JSON or YAML file with one"
    )
    whole_class: ClassNumber | None = Field(
        default=None, alias="class", description="of every image, where they have none"
    )

    sources: dict[ClassName, SourceSetSpec] | None = Field(default=None, min_length=2)
    balance: Literal["fewest"] | Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="images left of each class"
    )

    @field_validator("attribute")
    @classmethod
    def _attributes_are_told_apart(
        cls, value: str | tuple[str, ...] | None
    ) -> str | tuple[str, ...] | None:
        if isinstance(value, tuple) and not 2 <= len(set(value)) == len(value) <= MOST_ATTRIBUTES:
            raise ValueError(
                f"{list(value)}: expected one attribute, or a list of 2 to {MOST_ATTRIBUTES} "
                "different ones"
            )
        return value

    @field_validator("classes", "sources", mode="before")
    @classmethod
    def _numbers_are_names(cls, value: object) -> object:
        """YAML reads a name such as 7 as a number."""
        if not isinstance(value, dict):
            return value
        return {str(name) if type(name) is int else name: number for name, number in value.items()}

    @model_validator(mode="after")
    def _crop_is_resized(self) -> Self:
        if self.crop is not None and self.resize is None:
            raise ValueError("crop needs resize: lanczos")
        return self

    @model_validator(mode="after")
    def _classes_are_said_once(self) -> Self:
        if self.classes is not None and self.whole_class is not None:
            raise ValueError(
                "give either class, one for all images, or classes, a map of names, not both"
            )
        return self

    @property
    def says_classes(self) -> bool:
        """Whether it says which of the generator's classes its images are of."""
        said = (self.classes, self.whole_class, self.labels)
        return any(each is not None for each in said)

    @property
    def dataset_options(self) -> dict[str, Any]:
        """Those that are set, by name."""
        names = ("resize", "crop", "attribute", "labels", "alpha")
        named = {name: getattr(self, name) for name in (*names, "balance")}
        if isinstance(self.attribute, tuple):
            named["attribute"] = list(self.attribute)
        if self.sources is not None:
            named["sources"] = {name: each.model_dump() for name, each in self.sources.items()}
        return {name: value for name, value in named.items() if value is not None}


class ReferenceSpec(DatasetOptions):
    """A stage that holds the images against a whole reference set."""

    dataset: str
    split: str | None = "train"
    path: SpecPath = None


class SamplesSpec(DatasetOptions):
    """Images that stand for a generator whose latent is not at hand, or that has none.

    They are an image set with an end. ``image_shape`` is [channels, height, width] of pictures,
    where no other generator of the spec has a shape.
    """

    dataset: str
    split: str | None = None
    path: SpecPath = None
    image_shape: tuple[Size, Size, Size] | None = Field(default=None, strict=False)
