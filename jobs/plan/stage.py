"""What a stage is: its needs, its plan, and what it will cost."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ...workers.inversion import INVERSION_TABLE
from ...workers.revisions import Computation
from ...workers.schema import STATUS_OK, TableSchema
from ...workers.shard import Item, Shard, item_seed
from ...workers.stored_images import IMAGES_TABLE
from ...workers.tried_errors import TriedErrors
from ...workers.variance import DATA, VARIANCE_TABLE
from ..record.run_directory import RunDirectory
from ..record.versions import Versions
from ..spec.audit import AuditSpec, GroupSpec
from ..spec.choice import chosen_images, label_ranks
from ..spec.facts import Facts, GeneratorFacts
from .places import Places
from .shards import Shards
from .work import BankWork, Chore, Work, work_evaluations


class StageError(RuntimeError):
    """A stage cannot be planned, because of the results that it rests on; says why."""


@dataclass(frozen=True)
class ImageRecord:
    """A materialised image: ``generator`` is the one that made it, None for a dataset's."""

    image_id: str
    group: str
    generator: str | None
    label: int | None
    part: str
    row: int

    def item(self, generator: str | None, condition: int | None, seed: int) -> Item:
        """The image under a generator and a condition, as a row to compute."""
        return Item(
            generator=generator,
            condition=condition,
            group=self.group,
            image_id=self.image_id,
            label=self.label,
            seed=seed,
            image_part=self.part,
            image_row=self.row,
        )


@dataclass(frozen=True)
class Cost:
    """What a stage will compute: items, shards and generator evaluations (gradients included).

    Of the items ``trainings`` are classifiers to train. ``work`` and ``banks`` say what the
    evaluations are; without them they are images that are drawn. ``chores`` are what is computed
    besides; ``unforeseen`` is what of it is not among them. ``brief`` is whether all that is
    computed besides takes next to no time.
    """

    items: int
    shards: int
    evaluations: int
    trainings: int = 0
    work: tuple[Work, ...] = ()
    banks: tuple[BankWork, ...] = ()
    chores: tuple[Chore, ...] = ()
    unforeseen: str | None = None
    brief: bool = False

    @classmethod
    def of(
        cls,
        items: int,
        shards: int,
        work: Sequence[Work],
        banks: Sequence[BankWork] = (),
        chores: Sequence[Chore] = (),
    ) -> "Cost":
        """The cost of so many items and shards whose evaluations are the work's and the banks'."""
        evaluations = work_evaluations(work, banks)
        return cls(items, shards, evaluations, 0, tuple(work), tuple(banks), tuple(chores))

    @property
    def untimed(self) -> str | None:
        """What takes time that is not foreseen; None where next to nothing does."""
        if self.unforeseen is not None:
            return self.unforeseen
        if self.work or self.chores or self.brief or not self.items:
            return None
        return "all but the drawing of images" if self.evaluations else "all of it"

    @property
    def item_evaluations(self) -> float:
        """Evaluations for each item, which a bank's are none of."""
        banked = sum(bank.evaluations for bank in self.banks)
        return (self.evaluations - banked) / self.items if self.items else 0.0


class AuditContext:
    """What estimates read: the spec, and the facts of what it names.

    ``errors`` are those that a trial of the inversion left, by the generators that had one.
    """

    def __init__(
        self, spec: AuditSpec, facts: Facts, errors: Mapping[str, TriedErrors] | None = None
    ) -> None:
        self.spec = spec
        self.facts = facts
        self.errors = errors or {}

    def seed(self, *parts: object) -> int:
        """The random stream of an item."""
        return item_seed(self.spec.seed, *parts)

    def chosen(self, group: GroupSpec) -> list[int]:
        """Which images of its set a group takes, classes as even as they can be."""
        facts = self.facts.groups[group.name]
        size = self.group_size(group)
        return chosen_images(group.name, facts.labels, facts.length, size, self.spec.seed)

    @cached_property
    def own_classes(self) -> dict[str, tuple[int, ...]]:
        """The class of each image of those groups whose images have classes of the generator's."""
        found = {}
        for group in self.spec.audited:
            if group.role in ("train", "test") and group.conditions != "in_turn":
                labels = self.facts.groups[group.name].labels
                if labels is not None:
                    found[group.name] = tuple(labels[index] for index in self.chosen(group))
        return found

    @cached_property
    def class_turns(self) -> tuple[int, ...]:
        """The classes that images without one meet in turn: the data's, as often as there.

        So that outliers and the model's own images are compared with the data under the same
        classes, each class once before any comes again. Empty where the data have none: then all
        classes take turns.
        """
        group = self.inliers
        labels = None if group is None else self.facts.groups[group.name].labels
        if group is None or labels is None:
            return ()
        chosen = np.array([labels[index] for index in self.chosen(group)], dtype=np.int64)
        return tuple(chosen[np.argsort(label_ranks(chosen), kind="stable")].tolist())

    @property
    def inliers(self) -> GroupSpec | None:
        """The data that outliers are held against: the test images, else the training images."""
        by_role = {group.role: group for group in reversed(self.spec.audited)}
        return by_role.get("test") or by_role.get("train")

    @property
    def levels(self) -> int | None:
        """The grey levels of the data; None where they lie on no grid, or there are no data."""
        by_role = {group.role: group for group in reversed(self.spec.audited)}
        group = by_role.get("train") or by_role.get("test")
        return None if group is None else self.facts.groups[group.name].levels

    def group_size(self, group: GroupSpec) -> int:
        """How many images the group asks for."""
        if group.count is not None:
            return group.count
        length = self.facts.groups[group.name].length
        assert length is not None, "validation asks for a count where a dataset has no end"
        return length


class PlanContext(AuditContext):
    """What planners read besides: the results of the stages that are finished.

    ``recorded`` is the version that wrote a run which is only read: the plan is then its own.
    """

    def __init__(
        self,
        spec: AuditSpec,
        facts: Facts,
        run: RunDirectory,
        recorded: Versions | None = None,
    ) -> None:
        super().__init__(spec, facts)
        self.run = run
        self.plans: dict[str, Shards] = {}
        self._recorded = recorded

    def dated(self, shard: Shard) -> Shard:
        """A shard with the revision and the table's version that it has in the run."""
        if self._recorded is None:
            return shard
        table, computation = shard.table, shard.computation
        version = self._recorded.schemas.get(table.name, table.version)
        revision = self._recorded.revisions.get(computation.name, computation.revision)
        if (version, revision) == (table.version, computation.revision):
            return shard
        return replace(
            shard,
            table=replace(table, version=version),
            computation=replace(computation, revision=revision),
        )

    def shard_ids(self, stage: str) -> list[str]:
        """The ids of a stage that has been planned."""
        return list(self.plans[stage].ids)

    @cached_property
    def images(self) -> list[ImageRecord]:
        """The images that were materialised without error."""
        columns = ["status", "image_id", "group", "generator", "label"]
        ids = self.shard_ids(IMAGES_TABLE.name)
        return [
            ImageRecord(**row, part=shard, row=index)
            for shard, part in zip(ids, self.run.each_part(IMAGES_TABLE, ids, columns), strict=True)
            for index, row in enumerate(part.to_pylist())
            if row.pop("status") == STATUS_OK
        ]

    @cached_property
    def inversions(self) -> Places:
        """Part and row of every inversion that succeeded: of (generator, condition, image_id)."""
        columns = ["status", "generator", "condition", "image_id"]
        ids = self.shard_ids(INVERSION_TABLE.name) if INVERSION_TABLE.name in self.plans else []
        parts = self.run.each_part(INVERSION_TABLE, ids, columns)
        found = (
            ((row["generator"], row["condition"], row["image_id"]), position, index)
            for position, part in enumerate(parts)
            for index, row in enumerate(part.to_pylist())
            if row["status"] == STATUS_OK
        )
        try:
            return Places(found, ids)
        except ValueError as error:
            raise StageError(f"stage {INVERSION_TABLE.name}: {error}") from error

    def images_under(self, generator: GeneratorFacts, group: GroupSpec) -> list[ImageRecord]:
        """A group's images as ``generator`` is audited with them: its own generated ones only."""
        return [
            image
            for image in self.images
            if image.group == group.name and image.generator in (None, generator.name)
        ]

    def variance(
        self, generator: str, group: str = DATA, table: TableSchema = VARIANCE_TABLE
    ) -> float:
        """The observation variance that a stage found for a group's images.

        Raises:
            StageError: when it could not be fitted, or was not sought.
        """
        columns = ["generator", "group", "variance", "error"]
        rows = self.run.read(table, self.shard_ids(table.name), columns).to_pylist()
        mine = (row for row in rows if (row["generator"], row["group"]) == (generator, group))
        if (row := next(mine, None)) is None:
            raise StageError(f"stage {table.name}: none of {group} under {generator}")
        if row["variance"] is None:
            raise StageError(f"stage {table.name}: {row['error']}")
        return float(row["variance"])


def own_condition(
    context: AuditContext, generator: GeneratorFacts, label: int | None, position: int
) -> int | None:
    """An image's own class; images without a label meet the data's classes in turn."""
    if generator.num_classes == 0:
        return None
    if label is not None:
        return label
    turns = context.class_turns or generator.conditions
    return turns[position % len(turns)]


def made_items(
    context: AuditContext, generator: GeneratorFacts, group: GroupSpec
) -> Iterator[Item]:
    """A group's images that the model makes, each under the class that makes it, without a seed."""
    for position in range(context.group_size(group)):
        condition = own_condition(context, generator, None, position)
        yield Item(
            generator=generator.name,
            condition=condition,
            group=group.name,
            image_id=f"{group.name}-{generator.name}-{position:06d}",
            label=condition,
            seed=0,
        )


def conditions_of(
    context: AuditContext,
    generator: GeneratorFacts,
    group: GroupSpec,
    label: int | None,
    position: int,
) -> list[int | None]:
    """The conditions under which an image of the group is evaluated."""
    if generator.num_classes and group.conditions == "all":
        return list(generator.conditions)
    return [own_condition(context, generator, label, position)]


def pairs(context: AuditContext) -> int:
    """How many (generator, image, condition) a per-image stage has, simulated ones left out."""
    return sum(
        group_pairs(context, generator, group)
        for generator in context.facts.generators.values()
        for group in context.spec.audited
        if group.role != "simulated"
    )


def group_pairs(context: AuditContext, generator: GeneratorFacts, group: GroupSpec) -> int:
    """How many (image, condition) a generator meets in a group."""
    return context.group_size(group) * len(conditions_of(context, generator, group, 0, 0))


@dataclass(frozen=True)
class Stage:
    """A stage: ``plan`` may read the results of the stages it ``needs``; ``cost`` may not.

    Its shards fill ``table`` by one of ``computations``. ``plan`` gives the same shards each time,
    and those of a large stage one after the other. A stage that ``needs_latent`` searches it or
    draws from it, which samples alone do not allow.
    """

    table: TableSchema
    computations: tuple[Computation, ...]
    description: str
    needs: tuple[str, ...]
    enabled: Callable[[AuditSpec], bool]
    plan: Callable[[PlanContext], Iterable[Shard]]
    cost: Callable[[AuditContext], Cost]
    needs_latent: bool = False

    @property
    def name(self) -> str:
        """The name of its table."""
        return self.table.name

    def shards(self, context: PlanContext) -> Shards:
        """The plan, of which only ids and sizes stay in memory."""
        return Shards(lambda: map(context.dated, self.plan(context)))
