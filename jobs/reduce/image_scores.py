"""Two scores of the same images, by group and pooled: what correlations are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...core.statistics.correlation import KINDS, correlation_interval
from .context import ReduceContext
from .emitter import Emitter
from .groups import GroupValues
from .parts import RunTableError
from .schema import WITH_OUTLIERS, SummaryRow


@dataclass(frozen=True)
class PairedScores:
    """Both scores of a group's images [images, classes], nan where one was not evaluated.

    ``against`` says that the outlier groups are in it too; ``of_group`` names each image's group.
    """

    group: str
    against: str | None
    image_id: np.ndarray
    of_group: np.ndarray
    own_class: np.ndarray
    first: np.ndarray
    second: np.ndarray

    @property
    def own(self) -> "OwnScores":
        """Both scores under each image's own class, of the images that have both."""
        known = self.own_class >= 0
        rows = np.arange(len(self.own_class))
        first, second = self.first[rows, self.own_class], self.second[rows, self.own_class]
        both = known & ~(np.isnan(first) | np.isnan(second))
        return OwnScores(self.image_id[both], self.of_group[both], first[both], second[both])


@dataclass(frozen=True)
class OwnScores:
    """One pair of scores an image."""

    image_id: np.ndarray
    of_group: np.ndarray
    first: np.ndarray
    second: np.ndarray

    def only(self, groups: list[str]) -> "OwnScores":
        """The images of some groups."""
        mine = np.isin(self.of_group, groups)
        return OwnScores(
            self.image_id[mine], self.of_group[mine], self.first[mine], self.second[mine]
        )


def pair_scores(
    first: Mapping[str, GroupValues], second: Mapping[str, GroupValues], names: tuple[str, str]
) -> list[PairedScores]:
    """Every group that has both scores.

    Raises:
        RunTableError: tables (``names``) that do not hold the same images under the same classes.
    """
    return [_pair(values, second[name], names) for name, values in first.items() if name in second]


def with_outliers(context: ReduceContext, pairs: Sequence[PairedScores]) -> PairedScores | None:
    """The images that outliers are held against, together with every outlier group."""
    if context.inliers is None:
        return None
    by_group = {pair.group: pair for pair in pairs}
    outliers = [
        by_group[group.name] for group in context.with_role("outlier") if group.name in by_group
    ]
    inliers = by_group.get(context.inliers.name)
    if inliers is None or not outliers:
        return None
    pooled = [inliers, *outliers]
    return PairedScores(
        group=inliers.group,
        against=WITH_OUTLIERS,
        image_id=np.concatenate([pair.image_id for pair in pooled]),
        of_group=np.concatenate([pair.of_group for pair in pooled]),
        own_class=np.concatenate([pair.own_class for pair in pooled]),
        first=np.concatenate([pair.first for pair in pooled]),
        second=np.concatenate([pair.second for pair in pooled]),
    )


def and_with_outliers(context: ReduceContext, pairs: list[PairedScores]) -> list[PairedScores]:
    """Every group's pair, and :func:`with_outliers` last where there is one."""
    pooled = with_outliers(context, pairs)
    return [*pairs, *([] if pooled is None else [pooled])]


def own_correlations(emit: Emitter, metric: str, pair: PairedScores) -> list[SummaryRow]:
    """``metric`` by each kind of correlation, over the images under their own classes."""
    keyed, scores = emit.at(group=pair.group, against=pair.against), pair.own
    found = {kind: correlation_interval(scores.first, scores.second, kind) for kind in KINDS}
    return [
        keyed.row(f"{metric}_{kind}", interval)
        for kind, interval in found.items()
        if interval is not None
    ]


def _pair(first: GroupValues, second: GroupValues, names: tuple[str, str]) -> PairedScores:
    if not (
        np.array_equal(first.image_id, second.image_id)
        and np.array_equal(first.own_class, second.own_class)
    ):
        raise RunTableError(
            f"{names[0]} and {names[1]} do not hold the same images of group {first.group.name}, "
            "each under the same class: the run is not complete"
        )
    return PairedScores(
        group=first.group.name,
        against=None,
        image_id=first.image_id,
        of_group=np.full(len(first.image_id), first.group.name),
        own_class=first.own_class,
        first=first.by_class,
        second=second.by_class,
    )


def named(group: str, against: str | None) -> str:
    """A group in words, alone or with the outliers."""
    return group if against is None else f"{group} {against}"
