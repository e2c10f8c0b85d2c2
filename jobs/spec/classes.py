"""Which of the generators' classes the images of a spec are of, decided before any work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from pydantic import TypeAdapter, ValidationError

from ...cluster.s3_settings import S3Settings
from ...workers.datasets import DatasetError
from ...workers.datasets.class_map import (
    Classes,
    FoundClasses,
    class_name,
    class_numbers,
    is_whole,
    require_within,
    whole_number,
)
from .loading import SpecError, read_file, read_yaml
from .model import ClassNumber, DatasetOptions

_MAP = TypeAdapter(dict[str, ClassNumber])


@dataclass(frozen=True)
class ClassedSet:
    """A set whose classes count: of training or test images, or a stage's reference set.

    ``key`` is where the spec names it, ``place`` what messages call its files; ``found`` is None
    where the set has no classes of its own, for a reason, ``unclassed``, that may be known.
    """

    key: str
    source: DatasetOptions
    found: FoundClasses | None
    length: int | None
    place: str
    is_reference: bool
    unclassed: str | None = None


@dataclass(frozen=True)
class ModelClasses:
    """The classes of a class-conditional generator: how many, and the ``numbers`` of its own names.

    Only a set of generators has names. One that is ``selecting`` is evaluated under some of its
    classes, and images of others, which it may not even have, are left out.
    """

    name: str
    count: int
    numbers: Mapping[str, int]
    selecting: bool


@dataclass(frozen=True)
class DecidedClasses:
    """By key, the generator's class of each name, or of all images; None where there is none.

    ``names`` is the class map of the whole audit.
    """

    classes: dict[str, Classes | None]
    names: dict[str, int]


def decide_classes(
    sets: Sequence[ClassedSet], models: Sequence[ModelClasses], service: S3Settings
) -> DecidedClasses:
    """The generators' class of each image.

    ``models`` are the class-conditional generators. Without any, a class has no number but the
    place of its name among those of all sets. A file of classes may be in a bucket of the
    ``service``.

    Raises:
        SpecError: classes that cannot be told, or images without one; with the remedy.
    """
    stated = {each.key: _stated(each, service) for each in sets}
    maps = [classes for classes in stated.values() if isinstance(classes, dict)]
    # A name means the same class everywhere, so a map is written once for all sets.
    shared = {name: number for each in reversed(maps) for name, number in each.items()}
    shared |= _own_names(models)
    decided: dict[str, Classes | None] = {}
    for each in sets:
        try:
            classes = _decide(each, stated[each.key], shared, sets, models)
            _require_possible(each, stated[each.key], classes, models)
        except DatasetError as error:
            raise SpecError(f"{each.key}: {each.place}: {error}") from error
        decided[each.key] = classes
    _require_one_meaning(sets, stated, decided)
    by_name = [classes for classes in decided.values() if isinstance(classes, dict)]
    found = {name: number for each in reversed(by_name) for name, number in each.items()}
    return DecidedClasses(decided, found | shared)


def _own_names(models: Sequence[ModelClasses]) -> dict[str, int]:
    """The class numbers by the names that generators have themselves.

    Raises:
        SpecError: two of them have different numbers for a name.
    """
    names: dict[str, int] = {}
    for each in models:
        for name, number in each.numbers.items():
            if names.setdefault(name, number) != number:
                raise SpecError(
                    f"generators.{each.name}.per_class: class {name!r} is number {number} here "
                    f"and {names[name]} in another generator; name the classes of both in the "
                    "same order"
                )
    return names


def _stated(each: ClassedSet, service: S3Settings) -> Classes | None:
    """What the spec says of the set's classes, read from its file where it names one."""
    said = each.source.classes
    if isinstance(said, dict):
        return _named(f"{each.key}.classes", said)
    if said is None:
        return each.source.whole_class
    content = read_yaml(read_file(said, service), said)
    if isinstance(content, dict):
        content = {str(name) if type(name) is int else name: content[name] for name in content}
    try:
        numbers = _MAP.validate_python(content, strict=True)
    except ValidationError as error:
        raise SpecError(
            f"{each.key}.classes: {said}: must be a mapping from class names (quoted, where YAML "
            f"takes them for something else) to whole numbers: {error.errors()[0]['msg']}"
        ) from error
    return _named(f"{each.key}.classes: {said}", numbers)


def _named(key: str, numbers: Mapping[str, int]) -> dict[str, int]:
    """A map by names in one form."""
    found: dict[str, int] = {}
    for name, number in numbers.items():
        if found.setdefault(class_name(name), number) != number:
            raise SpecError(
                f"{key}: class {name!r} is there twice, with its accents in two forms, as "
                f"{found[class_name(name)]} and as {number}; leave one out"
            )
    return found


def _decide(
    each: ClassedSet,
    stated: Classes | None,
    shared: Mapping[str, int],
    sets: Sequence[ClassedSet],
    models: Sequence[ModelClasses],
) -> Classes | None:
    found, conditions = each.found, getattr(each.source, "conditions", None)
    if isinstance(stated, int):
        if found is not None and len(found.names) > 1:
            raise DatasetError(
                f"the images have {len(found.names)} classes of their own, so class: {stated} "
                "cannot be that of all; use classes, with a number for each"
            )
        return stated
    if found is None:
        if stated is not None:
            raise DatasetError(
                f"the images have no classes that a map could name{_because(each)}; use class, one "
                "for all of them, or labels, a file that lists the class of each"
            )
        if conditions == "own" and models:
            raise DatasetError(_unclassed(each, models[0]))
        return None
    if conditions == "in_turn":
        return None
    if not models and stated is None and not shared:
        return _by_place(found, sets)
    for model in models:
        _require_own_names(found, stated, shared, model)
    return class_numbers(found, [model.count for model in models], stated, shared)


def _require_own_names(
    found: FoundClasses, stated: Classes | None, shared: Mapping[str, int], model: ModelClasses
) -> None:
    """Raises DatasetError where a generator names its classes, and the images' go another way."""
    own = ", ".join(f"{name}: {number}" for name, number in model.numbers.items())
    if isinstance(stated, dict):
        wrong = [name for name in stated if model.numbers.get(name, stated[name]) != stated[name]]
        if wrong:
            raise DatasetError(
                f"classes has {wrong[0]!r} as {stated[wrong[0]]}, but generator {model.name} calls "
                f"its classes {{{own}}}; use these numbers"
            )
        return
    unknown = [
        name for name in sorted(found.names.values()) if name not in shared and not is_whole(name)
    ]
    if model.numbers and unknown:
        raise DatasetError(
            f"class {unknown[0]!r} is none of those of generator {model.name}, which calls them "
            f"{{{own}}}; rename it, leave it out, or add classes: with the number of each class"
        )


def _unclassed(each: ClassedSet, model: ModelClasses) -> str:
    generator, count = model.name, model.count
    many = "its images have no class" if each.length is None else f"{each.length} images, no class"
    return (
        f"{many}{_because(each)}, but generator {generator} makes images of {count} classes and "
        "each is evaluated under its own. Add to this entry class: N, if all are of one; or "
        "labels: FILE, a list of the files and their classes; or put the images of each class "
        "into a subfolder of its own; or ask for conditions: all (every class), or for "
        "conditions: in_turn (one class each, whatever the image shows)"
    )


def _because(each: ClassedSet) -> str:
    return f" ({each.unclassed})" if each.unclassed else ""


def _by_place(found: FoundClasses, sets: Sequence[ClassedSet]) -> dict[str, int]:
    """Numbers for classes that no generator has: equal for the same name in every set."""
    all_found = [each.found for each in sets if each.found is not None]
    named = {
        name for one in all_found if not one.numbered for name in (*one.names.values(), *one.empty)
    }
    is_mixed = any(one.numbered for one in all_found) and all(map(is_whole, named))
    if found.numbered or is_mixed:
        return {name: whole_number(name) for name in found.names.values()}
    place = {name: position for position, name in enumerate(sorted(named))}
    return {name: place[name] for name in found.names.values()}


def _require_possible(
    each: ClassedSet,
    stated: Classes | None,
    classes: Classes | None,
    models: Sequence[ModelClasses],
) -> None:
    """Raises DatasetError for a class that a generator does not have.

    A reference set of numbers may have others than the generator: its images are only compared.
    Where the generator is evaluated under some classes alone, images of others are left out.
    """
    is_numbered = each.found is not None and each.found.numbered
    if classes is None or (each.is_reference and is_numbered and stated is None):
        return
    numbers = {str(classes): classes} if isinstance(classes, int) else classes
    for model in models:
        if stated is not None or not model.selecting:
            require_within(numbers, model.count, f"generator {model.name}")


def _require_one_meaning(
    sets: Sequence[ClassedSet],
    stated: Mapping[str, Classes | None],
    decided: Mapping[str, Classes | None],
) -> None:
    """Raises SpecError where a name means one class here and another there, unless both are stated.

    Two sets whose names count by their order must have the same names: else a number would be one
    class in the first and another in the second.
    """
    pairs = combinations([each for each in sets if isinstance(decided[each.key], dict)], 2)
    for one, other in pairs:
        if stated[one.key] is not None and stated[other.key] is not None:
            continue
        mine, theirs = decided[one.key], decided[other.key]
        assert isinstance(mine, dict)
        assert isinstance(theirs, dict)
        clash = [name for name in mine if name in theirs and mine[name] != theirs[name]]
        if stated[one.key] is None and stated[other.key] is None:
            clash += _misplaced(mine, theirs)
        if clash:
            raise SpecError(
                f"{one.key} and {other.key}: class {clash[0]!r} cannot be told: the two sets' "
                "names lead to different numbers; rename the classes, or give classes for both"
            )


def _misplaced(mine: Mapping[str, int], theirs: Mapping[str, int]) -> list[str]:
    """Names of mine whose number is another name's of theirs; none where names are numbers."""
    if all(map(is_whole, mine)) or all(map(is_whole, theirs)):
        return []
    names: dict[int, set[str]] = {}
    for name, number in theirs.items():
        names.setdefault(number, set()).add(name)
    return [name for name, number in mine.items() if name not in names.get(number, {name})]
