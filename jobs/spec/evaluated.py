"""Which of a generator's classes an audit evaluates, where it is not all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...workers.datasets.class_map import class_name
from ...workers.datasets.of_classes import selected_digest
from .audit import AuditSpec
from .facts import DatasetFacts, GeneratorFacts
from .loading import SpecError

_MOST_LISTED = 12


def evaluated_classes(
    spec: AuditSpec, generators: Mapping[str, GeneratorFacts], names: Mapping[str, int]
) -> dict[str, GeneratorFacts]:
    """The generators with the classes that they are evaluated under.

    ``names`` are the class map of the audit.

    Raises:
        SpecError: a class that the generator does not have, or generators with different ones.
    """
    found = {
        each.name: replace(facts, subset=_subset(f"generators.{each.name}", facts, asked, names))
        for each in spec.each_generator
        if (facts := generators.get(each.name)) is not None
        for asked in [each.conditions]
    }
    conditional = [facts for facts in found.values() if facts.num_classes]
    different = [each for each in conditional if each.conditions != conditional[0].conditions]
    if different and any(each.subset is not None for each in conditional):
        first, other = conditional[0], different[0]
        raise SpecError(
            f"generators.{other.name}: evaluated under {listed(other.conditions)}, but "
            f"{first.name} under {listed(first.conditions)}; the images are held against the same "
            "classes of every generator: give all the same conditions, or audit them in separate "
            "specs"
        )
    return found


def of_classes(key: str, facts: DatasetFacts, classes: Sequence[int]) -> DatasetFacts:
    """The facts of those of a set's images that are of these classes; of unlabelled ones, of all.

    Raises:
        SpecError: there are none.
    """
    if facts.labels is None or facts.length is None:
        return facts
    labels = tuple(label for label in facts.labels if label in classes)
    if len(labels) == len(facts.labels):
        return facts
    if not labels:
        raise SpecError(
            f"{key}: none of the {facts.length:,} images is of {listed(classes)}, which the "
            "generator is evaluated under; name images of these classes, or check the class map"
        )
    return replace(
        facts,
        options={**facts.options, "only_classes": list(classes)},
        sha256=selected_digest(facts.sha256, classes),
        fingerprint=selected_digest(facts.fingerprint, classes),
        labels=labels,
        length=len(labels),
        left_out=facts.length - len(labels),
    )


def listed(classes: Sequence[int]) -> str:
    """Class numbers in words."""
    if list(classes) == list(range(len(classes))) and len(classes) > 2:
        return f"classes 0 to {len(classes) - 1}"
    shown = list(map(str, classes[:_MOST_LISTED]))
    last = f"{len(classes) - _MOST_LISTED} more" if len(classes) > _MOST_LISTED else shown.pop()
    counted = f"class{'' if len(classes) == 1 else 'es'}"
    return f"{counted} {', '.join(shown)} and {last}" if shown else f"{counted} {last}"


def _subset(
    key: str,
    facts: GeneratorFacts,
    asked: Sequence[int | str] | None,
    names: Mapping[str, int],
) -> tuple[int, ...] | None:
    """The classes asked for in order; None where they are all that there are."""
    own = sorted(facts.class_numbers.values()) or list(range(facts.num_classes))
    if asked is None:
        return None if len(own) == facts.num_classes else tuple(own)
    if not own:
        raise SpecError(f"{key}.conditions: the generator has no classes; remove conditions")
    numbers = [_number(f"{key}.conditions", each, names) for each in asked]
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    if twice:
        raise SpecError(f"{key}.conditions: class {twice[0]} is named twice; name it once")
    missing = [number for number in numbers if number not in own]
    if missing:
        raise SpecError(
            f"{key}.conditions: class {missing[0]} cannot be generated: there are {listed(own)}"
        )
    return None if len(numbers) == facts.num_classes else tuple(sorted(numbers))


def _number(key: str, asked: int | str, names: Mapping[str, int]) -> int:
    if isinstance(asked, int):
        return asked
    if class_name(asked) in names:
        return names[class_name(asked)]
    if asked.isascii() and asked.isdigit():
        return int(asked)
    known = ", ".join(f"{name} ({number})" for name, number in list(names.items())[:_MOST_LISTED])
    raise SpecError(
        f"{key}: {asked!r} is no class of the class map "
        f"({known or 'the images have no class names'}); name one of these, give its number, or "
        "write its name and number into the classes of a group"
    )
