"""A set of generators, one a class: their descriptions and the set itself, out of its members."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .generator_errors import GeneratorError
from .generator_source import ClassMember, GeneratorSource
from .opened_generator import GeneratorDescription

if TYPE_CHECKING:
    from ..core.generators.class_set import ClassSetGenerator
    from ..core.generators.protocol import Generator


@contextmanager
def naming_member(member: ClassMember) -> Iterator[None]:
    """Errors inside say which class's generator they are about."""
    try:
        yield
    except GeneratorError as error:
        raise GeneratorError(f"per_class.{member.name}: {error}") from error


def describe_set(
    source: GeneratorSource, members: Sequence[GeneratorDescription]
) -> GeneratorDescription:
    """What the set is, from what its members are, in the order of the source's.

    Its hash is that of its members' classes and identities: two may lie in one file.

    Raises:
        GeneratorError: a member is conditional, or latents or images differ.
    """
    _require_alike(source.members, members)
    named = list(zip(source.members, members, strict=True))
    parameters = [each.parameters for each in members if each.parameters is not None]
    rates = [each.evaluations_per_second for each in members]
    known = [rate for rate in rates if rate is not None]
    lines = "".join(
        f"{each.number} {json.dumps(each.source.identity(found.sha256))}\n" for each, found in named
    )
    return GeneratorDescription(
        source=source.source,
        latent_dim=members[0].latent_dim,
        num_classes=max(each.number for each in source.members) + 1,
        image_shape=members[0].image_shape,
        parameters=sum(parameters) if len(parameters) == len(members) else None,
        evaluations_per_second=min(known) if len(known) == len(members) else None,
        sha256=hashlib.sha256(lines.encode()).hexdigest(),
        notes=tuple(dict.fromkeys(note for each in members for note in each.notes)),
        only_on_cpu=tuple(dict.fromkeys(name for each in members for name in each.only_on_cpu)),
        no_jacobian=next(
            (
                f"per_class.{each.name}: {found.no_jacobian}"
                for each, found in named
                if found.no_jacobian is not None
            ),
            None,
        ),
        members={each.name: found.sha256 for each, found in named},
    )


def open_set(
    members: Sequence[ClassMember], generators: Sequence["Generator"]
) -> "ClassSetGenerator":
    """The generators of the classes as one."""
    from ..core.generators.class_set import ClassSetGenerator

    numbers = [member.number for member in members]
    return ClassSetGenerator(dict(zip(numbers, generators, strict=True)))


def _require_alike(members: Sequence[ClassMember], found: Sequence[GeneratorDescription]) -> None:
    first = members[0].name
    for member, each in zip(members, found, strict=True):
        if each.num_classes:
            raise GeneratorError(
                f"per_class.{member.name}: this generator has {each.num_classes} classes itself; "
                "each of a set makes one class: give unconditional generators, or this one alone, "
                "as a generator of its own"
            )
        if each.image_shape != found[0].image_shape:
            raise GeneratorError(
                f"per_class.{member.name}: images of {list(each.image_shape)}, but those of "
                f"{first} are {list(found[0].image_shape)}; generators of a set make images of "
                "one shape"
            )
        if each.latent_dim != found[0].latent_dim:
            raise GeneratorError(
                f"per_class.{member.name}: a latent of {each.latent_dim}, but that of {first} has "
                f"{found[0].latent_dim}; the latents of a set are searched and drawn alike, so "
                "they need one length: audit the others as generators of their own"
            )
