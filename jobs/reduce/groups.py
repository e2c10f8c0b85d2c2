"""One quantity of one group: its value for every image under every class it was evaluated for."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ...core.statistics.marginal import marginal_log_density, uniform_log_prior
from ...workers.schema import STATUS_OK
from .context import GeneratorInfo, GroupInfo, ReduceContext
from .parts import RunTableError
from .schema import MARGINAL, OWN
from .tables import NO_CLASS

Reduction = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class GroupValues:
    """``by_class[i, k]`` of image i under class ``classes[k]``, nan if it failed or is not planned.

    Images are in the order of their ids. ``own_class`` is the column of an image's label. Outliers
    take the classes of the data in turn; of data without labels that was evaluated under every
    class none is known, and it is -1. An unconditional generator has a single column.
    """

    group: GroupInfo
    image_id: np.ndarray
    label: np.ndarray
    own_class: np.ndarray
    by_class: np.ndarray
    conditional: bool
    classes: np.ndarray

    @property
    def has_every_class(self) -> bool:
        """Whether the group was evaluated under every class (or there are none)."""
        return not self.conditional or self.group.conditions == "all"

    @property
    def has_own_class(self) -> bool:
        """Whether its images' own classes are known, or assigned."""
        return bool((self.own_class >= 0).all())

    @property
    def own(self) -> np.ndarray:
        """Each image's value under its own class, nan where that failed or is not known."""
        values = self.by_class[np.arange(len(self.by_class)), self.own_class]
        return np.where(self.own_class >= 0, values, np.nan)

    @property
    def own_number(self) -> np.ndarray:
        """The number of each image's own class, -1 where it has none."""
        return np.where(self.own_class >= 0, self.classes[self.own_class], NO_CLASS)

    @property
    def complete(self) -> np.ndarray:
        """Which images have a value under every class."""
        whole: np.ndarray = ~np.isnan(self.by_class).any(axis=1)
        return whole

    @property
    def incomplete(self) -> int:
        """Images that cannot be compared over classes because at least one failed."""
        return int(np.sum(~self.complete)) if self.has_every_class else 0

    def without(self, image_ids: Collection[str]) -> "GroupValues":
        """The images that are none of these."""
        kept = ~np.isin(self.image_id, list(image_ids))
        return replace(
            self,
            image_id=self.image_id[kept],
            label=self.label[kept],
            own_class=self.own_class[kept],
            by_class=self.by_class[kept],
        )

    def own_values(self) -> np.ndarray:
        """Values under the own class of the images where that succeeded."""
        own = self.own
        kept: np.ndarray = own[~np.isnan(own)]
        return kept

    def over_classes(self, reduction: Reduction) -> np.ndarray:
        """``reduction`` of the rows [images, classes] that are complete."""
        return reduction(self.by_class[self.complete])

    def log_density(self, condition: str) -> np.ndarray:
        """Ln p(x), marginal over equally likely classes, or ln p(x|own class)."""
        if condition == OWN:
            return self.own_values()
        prior = uniform_log_prior(self.by_class.shape[1])
        return self.over_classes(lambda rows: marginal_log_density(rows, prior))

    def log_densities(self, condition: str) -> np.ndarray:
        """As :meth:`log_density`, of every image: nan where it is not known."""
        if condition == OWN:
            return self.own
        densities = np.full(len(self.by_class), np.nan)
        densities[self.complete] = self.log_density(condition)
        return densities


def density_conditions(values: GroupValues) -> list[str]:
    """Under which densities a group can be described."""
    if not values.conditional or not values.has_own_class:
        return [MARGINAL]
    return [OWN, MARGINAL] if values.has_every_class else [OWN]


def own_condition(generator: GeneratorInfo) -> str | None:
    """What says that images are under their own class; None where there are no classes."""
    return OWN if generator.num_classes else None


def own_density(generator: GeneratorInfo) -> str:
    """The density of an image under its own class; the marginal where there are no classes."""
    return OWN if generator.num_classes else MARGINAL


def common_density(*groups: GroupValues) -> str:
    """The density under which groups are compared: marginal if all have every class, else own."""
    return MARGINAL if all(values.has_every_class for values in groups) else OWN


def group_values(
    context: ReduceContext, frame: pd.DataFrame, column: str, generator: GeneratorInfo
) -> dict[str, GroupValues]:
    """The column's values by group, in the order of the spec; groups without rows are absent.

    Raises:
        RunTableError: a group the spec does not have, or images that miss planned classes.
    """
    mine = frame[frame["generator"] == generator.name]
    unknown = set(mine["group"]) - {group.name for group in context.groups}
    if unknown:
        raise RunTableError(
            f"the tables hold group {sorted(unknown)[0]!r}, which the spec does not have: "
            "the run directory belongs to another spec"
        )
    rows_of = dict(list(mine.groupby("group")))
    return {
        group.name: _values(context, rows_of[group.name], column, group, generator)
        for group in context.groups
        if group.name in rows_of
    }


def null_values(
    context: ReduceContext, frame: pd.DataFrame, column: str, generator: GeneratorInfo
) -> GroupValues | None:
    """The column's values of the null audit's images; None where there are none.

    Raises:
        RunTableError: images that miss planned classes.
    """
    rows = frame[(frame["generator"] == generator.name) & (frame["group"] == context.null)]
    if context.null is None or rows.empty:
        return None
    return _values(context, rows, column, GroupInfo(context.null, "null", "own"), generator)


def _values(
    context: ReduceContext,
    rows: pd.DataFrame,
    column: str,
    group: GroupInfo,
    generator: GeneratorInfo,
) -> GroupValues:
    condition = rows["condition"].to_numpy()
    known = np.array(generator.conditions or [NO_CLASS], dtype=np.int64)
    classes = len(known)
    if not np.isin(condition, known).all():
        raise RunTableError(
            f"group {group.name}, generator {generator.name}: conditions "
            f"{sorted(set(condition.tolist()))} do not fit its {len(generator.conditions)} classes"
        )
    column_of = np.searchsorted(known, condition)
    image_id, row_of = np.unique(rows["image_id"].to_numpy(dtype=str), return_inverse=True)
    present = np.zeros((len(image_id), classes), dtype=bool)
    present[row_of, column_of] = True
    label = np.full(len(image_id), NO_CLASS, dtype=np.int64)
    label[row_of] = rows["label"].to_numpy()
    whole = group.conditions == "all" or not generator.num_classes
    _refuse_missing(present, whole, image_id, group, generator)
    by_class = np.full((len(image_id), classes), np.nan)
    succeeded = rows["status"].to_numpy() == STATUS_OK
    by_class[row_of, column_of] = np.where(succeeded, rows[column].to_numpy(np.float64), np.nan)
    turns = np.resize(np.array(context.class_turns or known), len(image_id))
    own_class = present.argmax(axis=1)
    if whole and generator.num_classes:
        assigned = np.searchsorted(known, np.where(label >= 0, label, turns))
        is_data = group.role in ("train", "test")
        own_class = np.where((label < 0) & is_data, NO_CLASS, assigned)
    return GroupValues(
        group=group,
        image_id=image_id,
        label=label,
        own_class=own_class,
        by_class=by_class,
        conditional=generator.num_classes > 0,
        classes=known,
    )


def _refuse_missing(
    present: np.ndarray,
    whole: bool,
    image_id: np.ndarray,
    group: GroupInfo,
    generator: GeneratorInfo,
) -> None:
    counts = present.sum(axis=1)
    wanted = present.shape[1] if whole else 1
    wrong = np.flatnonzero(counts != wanted)
    if len(wrong):
        raise RunTableError(
            f"group {group.name}, generator {generator.name}: {len(wrong)} images do not have "
            f"the {wanted} rows that conditions: {group.conditions} asks for, the first "
            f"{image_id[wrong[0]]} with {counts[wrong[0]]}: the run is not complete"
        )
