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
    class_numbers,
    is_whole,
    require_within,
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


def decide_classes(
    sets: Sequence[ClassedSet], class_counts: Mapping[str, int], service: S3Settings
) -> dict[str, Classes | None]:
    """By key, the generator's class of each name, or of all images; None where there is none.

    ``class_counts`` has the number of classes of each class-conditional generator. Without any, a
    class has no number but the place of its name among those of all sets. A file of classes may
    be in a bucket of the ``service``.

    Raises:
        SpecError: classes that cannot be told, or images without one; with the remedy.
    """
    stated = {each.key: _stated(each, service) for each in sets}
    maps = [classes for classes in stated.values() if isinstance(classes, dict)]
    # A name means the same class everywhere, so a map is written once for all sets.
    shared = {name: number for each in reversed(maps) for name, number in each.items()}
    decided: dict[str, Classes | None] = {}
    for each in sets:
        try:
            classes = _decide(each, stated[each.key], shared, sets, class_counts)
            _require_possible(each, stated[each.key], classes, class_counts)
        except DatasetError as error:
            raise SpecError(f"{each.key}: {each.place}: {error}") from error
        decided[each.key] = classes
    _require_one_meaning(sets, stated, decided)
    return decided


def _stated(each: ClassedSet, service: S3Settings) -> Classes | None:
    """What the spec says of the set's classes, read from its file where it names one."""
    said = each.source.classes
    if not isinstance(said, str):
        return each.source.whole_class if said is None else said
    content = read_yaml(read_file(said, service), said)
    if isinstance(content, dict):
        content = {str(name) if type(name) is int else name: content[name] for name in content}
    try:
        return _MAP.validate_python(content, strict=True)
    except ValidationError as error:
        raise SpecError(
            f"{each.key}.classes: {said}: must be a mapping from class names (quoted, where YAML "
            f"takes them for something else) to whole numbers: {error.errors()[0]['msg']}"
        ) from error


def _decide(
    each: ClassedSet,
    stated: Classes | None,
    shared: Mapping[str, int],
    sets: Sequence[ClassedSet],
    class_counts: Mapping[str, int],
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
        if conditions == "own" and class_counts:
            raise DatasetError(_unclassed(each, class_counts))
        return None
    if conditions == "in_turn":
        return None
    if not class_counts and stated is None and not shared:
        return _by_place(found, sets)
    return class_numbers(found, list(class_counts.values()), stated, shared)


def _unclassed(each: ClassedSet, class_counts: Mapping[str, int]) -> str:
    generator, count = next(iter(class_counts.items()))
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
        return {name: int(name) for name in found.names.values()}
    place = {name: position for position, name in enumerate(sorted(named))}
    return {name: place[name] for name in found.names.values()}


def _require_possible(
    each: ClassedSet,
    stated: Classes | None,
    classes: Classes | None,
    class_counts: Mapping[str, int],
) -> None:
    """Raises DatasetError for a class that a generator does not have.

    A reference set of numbers may have others than the generator: its images are only compared.
    """
    is_numbered = each.found is not None and each.found.numbered
    if classes is None or (each.is_reference and is_numbered and stated is None):
        return
    numbers = {str(classes): classes} if isinstance(classes, int) else classes
    for generator, count in class_counts.items():
        require_within(numbers, count, f"generator {generator}")


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
