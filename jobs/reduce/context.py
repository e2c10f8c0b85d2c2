"""What the reducers know of a run besides its tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...core.settings.statistics import MINIMUM_RESAMPLES
from ...workers.shard import item_seed
from ..spec.audit import Conditions, Role
from ..spec.named_generator import Series
from .tables import RunTables


@dataclass(frozen=True)
class GroupInfo:
    """A group of images, its part in the comparisons, and the classes it was evaluated under."""

    name: str
    role: Role
    conditions: Conditions


@dataclass(frozen=True)
class GeneratorInfo:
    """A generator: ``num_classes`` is 0 for an unconditional one; shape (C, H, W).

    It is evaluated under a ``subset`` of its classes where that is not None. ``series`` is where a
    checkpoint stands in its training.
    """

    name: str
    num_classes: int
    image_shape: tuple[int, int, int]
    subset: tuple[int, ...] | None = None
    series: Series | None = None

    @property
    def conditions(self) -> tuple[int, ...]:
        """The classes that it is evaluated under, in order; none where it takes none."""
        return tuple(range(self.num_classes)) if self.subset is None else self.subset

    @property
    def chance(self) -> float:
        """How often a class drawn at random is right, in percent."""
        return 100 / len(self.conditions)

    @property
    def dimensions(self) -> int:
        """D = C H W."""
        channels, height, width = self.image_shape
        return channels * height * width


@dataclass(frozen=True)
class ReduceContext:
    """A run's tables and its resolved settings; ``sweep_tolerance`` in nats.

    ``null`` is the name of the null audit's group, which is none of ``groups``. ``class_turns`` are
    the classes that images without one met in turn; empty for all of them. ``levels`` are the grey
    levels that data and controls are stored in. ``distance`` is what the inversion minimised.
    ``objects`` are the classes that the user's segmenter tells apart.
    """

    tables: RunTables
    groups: Sequence[GroupInfo]
    generators: Sequence[GeneratorInfo]
    seed: int
    resamples: int = MINIMUM_RESAMPLES
    sweep_tolerance: float | None = None
    null: str | None = None
    class_turns: tuple[int, ...] = ()
    levels: int | None = None
    distance: str | None = None
    objects: tuple[str, ...] = ()

    @property
    def groups_and_null(self) -> list[GroupInfo]:
        """The groups, and the null audit's after them."""
        own = [] if self.null is None else [GroupInfo(self.null, "null", "own")]
        return [*self.groups, *own]

    def with_role(self, *roles: Role) -> list[GroupInfo]:
        """Groups of these roles, in the order of the spec."""
        return [group for group in self.groups if group.role in roles]

    @property
    def inliers(self) -> GroupInfo | None:
        """The group that outliers are held against: the test images, else the training images."""
        groups = self.with_role("test") or self.with_role("train")
        return groups[0] if groups else None

    @property
    def references(self) -> list[GroupInfo]:
        """Groups that a typical set is made of, the strict test's first."""
        return self.with_role("simulated") + self.with_role("generated")

    def seed_of(self, *parts: object) -> int:
        """Seed of one interval, from the run's seed and what it is the interval of."""
        return item_seed(self.seed, "reduce", *parts)
