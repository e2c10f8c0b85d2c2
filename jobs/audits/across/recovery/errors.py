"""Reconstruction errors of two groups that can be compared."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from .....core.statistics.interval import Interval
from .....core.statistics.outliers import marginal_auc, per_class_auc
from ....reduce.context import ReduceContext
from ....reduce.groups import GroupValues
from ....reduce.schema import NEAREST_CLASS, OWN
from ....reduce.tables import NO_CLASS
from ....spec.audit import Role

# Who is held against whom: held-out images are asked about, the others are the control.
_ROLES: tuple[tuple[Role, Role], ...] = (
    ("test", "train"),
    ("test", "generated"),
    ("train", "generated"),
)


def compared_groups(context: ReduceContext) -> list[tuple[str, str]]:
    """Names of the groups that are compared: held-out against training, and both against own."""
    return [
        (first.name, second.name)
        for one, other in _ROLES
        for first in context.with_role(one)
        for second in context.with_role(other)
    ]


@dataclass(frozen=True)
class Recovered:
    """A group's squared errors on [0, 1], nan where inversion failed, and classes, -1 for none."""

    error: np.ndarray
    label: np.ndarray

    def of_class(self, index: int) -> "Recovered":
        """The images of one class."""
        mine = self.label == index
        return Recovered(self.error[mine], self.label[mine])

    @property
    def known(self) -> np.ndarray:
        """Which images have an error."""
        found: np.ndarray = ~np.isnan(self.error)
        return found


@dataclass(frozen=True)
class RecoveredPair:
    """Two groups under the same condition; ``condition`` is None where there are no classes."""

    condition: str | None
    first: Recovered
    second: Recovered

    @property
    def classes(self) -> list[int]:
        """The classes that both have; none where some image has no class."""
        labels = self.first.label, self.second.label
        if any((label == NO_CLASS).any() for label in labels):
            return []
        found: list[int] = np.intersect1d(*labels).tolist()
        return found

    def auc(self) -> Interval | None:
        """How often the first group's error is larger within a class, the mean over classes.

        Of all images at once where there are no classes. None where one side has no error.
        """
        classes = self.classes
        if not classes:
            return _auc(self.first, self.second)
        first, second = (
            Recovered(group.error[kept], group.label[kept])
            for group in (self.first, self.second)
            for kept in [np.isin(group.label, classes)]
        )
        column = {label: at for at, label in enumerate(classes)}
        ours, theirs = (
            np.array([column[label] for label in group.label.tolist()], dtype=np.int64)
            for group in (first, second)
        )
        if not np.intersect1d(ours[first.known], theirs[second.known]).size:
            return None
        asked = np.arange(len(classes)) == ours[:, None]
        return per_class_auc(
            second.error[second.known],
            theirs[second.known],
            np.where(asked, first.error[:, None], np.nan)[first.known],
            failed_inlier_class=theirs[~second.known],
            failed_outliers=asked[~first.known],
        ).interval

    def class_aucs(self) -> Iterator[tuple[int, Interval]]:
        """The same of each class that has errors on both sides."""
        for index in self.classes:
            found = _auc(self.first.of_class(index), self.second.of_class(index))
            if found is not None:
                yield index, found


def recovered_pair(
    groups: Mapping[str, GroupValues], first: str, second: str
) -> RecoveredPair | None:
    """Two groups' errors under their own classes, or where some have none under the nearest.

    None where a group was not inverted, or was not under the classes that this takes.
    """
    if first not in groups or second not in groups:
        return None
    pair = groups[first], groups[second]
    condition: str | None = None
    if pair[0].conditional:
        condition = OWN if all(each.has_own_class for each in pair) else NEAREST_CLASS
    if condition == NEAREST_CLASS and not all(each.has_every_class for each in pair):
        return None
    errors = [
        each.by_class.min(axis=1) if condition == NEAREST_CLASS else each.own for each in pair
    ]
    found = [Recovered(error, each.label) for error, each in zip(errors, pair, strict=True)]
    return RecoveredPair(condition, *found)


def _auc(first: Recovered, second: Recovered) -> Interval | None:
    if not (first.known.any() and second.known.any()):
        return None
    return marginal_auc(
        second.error[second.known],
        first.error[first.known],
        failed_inliers=int(np.sum(~second.known)),
        failed_outliers=int(np.sum(~first.known)),
    ).interval
