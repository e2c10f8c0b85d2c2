"""Density and code length of single images, side by side."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.groups import GroupValues, common_density, null_values
from ...reduce.tables import succeeded
from ..likelihood.densities import TRUSTED, Densities
from ..variance.reduce import judged_groups


@dataclass(frozen=True)
class Explained:
    """Ln p in nats and code length in bits of a group's images that have both; the others' count.

    The group is a ``control`` where it is the model's own.
    """

    group: str
    log_density: np.ndarray
    code_length: np.ndarray
    failed: int

    @property
    def excess(self) -> np.ndarray:
        """-ln p in bits minus the code length, up to a constant (Serra et al. 2020)."""
        return np.asarray(-self.log_density / np.log(2) - self.code_length)

    @property
    def scores(self) -> np.ndarray:
        """The two scores that are judged on both sides: [images, 2]."""
        return np.column_stack([self.log_density, self.excess])


def read_code_lengths(context: ReduceContext) -> "pd.Series[float] | None":
    """The code length in bits of every image, by its id; None where there are none."""
    frame = context.tables.read("code_lengths", ["code_length"])
    if frame is None:
        return None
    known = succeeded(frame)
    return pd.Series(known["code_length"].to_numpy(np.float64), index=known["image_id"])


def compared_pairs(
    context: ReduceContext,
    generator: GeneratorInfo,
    densities: Densities,
    lengths: "pd.Series[float]",
) -> Iterator[tuple[str, Explained, Explained]]:
    """Every group beside the data that outliers are held against, and the density they share.

    The null audit's images are last; training images that the variance was fitted to are left out.
    """
    groups = judged_groups(context, densities.frame, "log_likelihood", generator)
    inliers = None if context.inliers is None else groups.pop(context.inliers.name, None)
    if inliers is None:
        return
    null = None
    frame = context.tables.read("null_likelihood", ["log_likelihood"])
    if frame is not None and densities.stage == TRUSTED:
        null = null_values(context, frame, "log_likelihood", generator)
    for values in [*groups.values(), *([] if null is None else [null])]:
        condition = common_density(inliers, values)
        pair = [explained(each, condition, lengths) for each in (values, inliers)]
        if all(len(each.log_density) for each in pair):
            yield condition, pair[0], pair[1]


def explained(values: GroupValues, condition: str, lengths: "pd.Series[float]") -> Explained:
    """A group's images under a density, those that have a code length too."""
    density = values.log_densities(condition)
    bits = lengths.reindex(pd.Index(values.image_id)).to_numpy(np.float64)
    known = ~(np.isnan(density) | np.isnan(bits))
    return Explained(values.group.name, density[known], bits[known], int(np.sum(~known)))
