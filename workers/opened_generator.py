"""What is known of a generator, and a generator that is open."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.generators.protocol import Generator


@dataclass(frozen=True)
class GeneratorDescription:
    """What planning needs to know of a generator.

    ``sha256`` is that of the weights file; for a user's function that of the source file which
    holds it and of the numbers that the generator holds. ``evaluations_per_second`` (images with
    their latent gradients) is what the config says, measured on the machine that trained it.
    ``notes`` are what a reader of the results should know of a published checkpoint; of one of the
    user's own, what was assumed and what looks wrong in a few of its images. ``only_on_cpu`` are
    the operations of a file that make it compute on CPUs alone (`bound_to_cpu`). ``no_jacobian`` is
    what torch said where a Jacobian of one of the user's own was tried in vain, else None. Of a set
    of generators, ``members`` has each one's hash by its class's name, and ``sha256`` is that of
    all together.
    """

    source: str
    latent_dim: int
    num_classes: int
    image_shape: tuple[int, int, int]
    parameters: int | None
    evaluations_per_second: float | None
    sha256: str
    notes: tuple[str, ...] = ()
    only_on_cpu: tuple[str, ...] = ()
    no_jacobian: str | None = None
    members: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OpenedGenerator:
    """A generator ready for use on the CPU, the hash of what it came from, and its description."""

    generator: "Generator"
    sha256: str
    description: GeneratorDescription

    @classmethod
    def of_user(cls, source: str, generator: "Generator", sha256: str) -> "OpenedGenerator":
        """A generator of the user's, which says itself what it is; checked already."""
        from .own_generator import assumed_of, jacobian_problem

        description = GeneratorDescription(
            source=source,
            latent_dim=generator.latent_dim,
            num_classes=generator.num_classes,
            image_shape=generator.image_shape,
            parameters=None,
            evaluations_per_second=None,
            sha256=sha256,
            notes=assumed_of(generator),
            no_jacobian=jacobian_problem(generator),
        )
        return cls(generator, sha256, description)
