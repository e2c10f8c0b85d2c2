"""The nearest image known: the least squared error that any stage of a run found.

The search for modes of guided annealed importance sampling often ends nearer to an image than the
inversion did, and reconstructions are only worth as much as the search behind them.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ....workers.schema import STATUS_FAILED, STATUS_OK
from ...reduce.context import ReduceContext
from ...reduce.emitter import emitter
from ...reduce.groups import GroupValues, group_values
from ...reduce.schema import NEAREST_CLASS, OWN, SummaryRow
from ...reduce.tables import ITEM, RunTables

# The stages whose estimates search for modes.
SEARCHES = ("likelihood", "comparison", "convergence", "sweep")
# An inversion is beaten by an error that is lower by more than 1%, and by more than the squared
# error of rounding an image to 8 bits: less is nothing that a picture could show.
MATERIAL_SHARE = 0.01
MATERIAL_ERROR = 1 / (12 * 255**2)


def read_best_errors(tables: RunTables, searches: Sequence[str] = SEARCHES) -> pd.DataFrame | None:
    """The rows of ``inversion`` with the least ``mse`` known, and the inversion's own beside it.

    Known from the inversion itself and the stages ``searches``.

    Groups are compared by these errors, so that all images must have been searched alike: a stage
    counts only where it searched every item that was inverted, which a sample's does not. The
    inversion's own error is ``inverted_mse``. None where nothing was inverted.

    Raises:
        RunTableError: parts that do not belong, or an item that is there twice.
    """
    inversion = tables.read("inversion", ["mse"])
    if inversion is None:
        return None
    items = pd.MultiIndex.from_frame(inversion[ITEM])
    best = inversion["mse"].to_numpy(np.float64)
    for stage in searches:
        found = _least_found(tables, stage)
        if found is not None:
            searched = pd.Series(items.isin(found.index))
            whole = searched.groupby(inversion["generator"]).transform("all").to_numpy(bool)
            best = np.fmin(best, np.where(whole, found.reindex(items).to_numpy(np.float64), np.nan))
    return inversion.assign(mse=best, inverted_mse=inversion["mse"])


def read_bounding_errors(context: ReduceContext, densities: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table of densities with the least ``mse`` known of each, from any stage at all.

    No density can exceed what the least error allows. Reconstructions that minimised LPIPS are not
    near in squared error and count for nothing; a row without any error has failed.

    Raises:
        RunTableError: parts that do not belong, or an item that is there twice.
    """
    items = pd.MultiIndex.from_frame(densities[ITEM])
    least = np.full(len(items), np.nan)
    columns = dict.fromkeys(SEARCHES, "mode_mse")
    if context.distance != "lpips":
        columns["inversion"] = "mse"
    for stage, column in columns.items():
        found = _least_found(context.tables, stage, column)
        if found is not None:
            least = np.fmin(least, found.reindex(items).to_numpy(np.float64))
    status = np.where(np.isnan(least), STATUS_FAILED, STATUS_OK)
    return densities.assign(mse=least, status=status)


def search_beaten_rows(context: ReduceContext, errors: pd.DataFrame) -> list[SummaryRow]:
    """Of how many images another stage found a nearer reconstruction than the inversion."""
    rows = []
    for generator in context.generators:
        emit = emitter(context, generator=generator.name)
        inverted = group_values(context, errors, "inverted_mse", generator)
        for name, values in group_values(context, errors, "mse", generator).items():
            for condition, best, first in _both_errors(values, inverted[name]):
                if len(best):
                    keyed = emit.at(condition=condition, group=name)
                    beaten = int(np.sum(is_beaten(first, best)))
                    rows.append(keyed.exact("search_beaten", beaten, len(best)))
    return rows


def is_beaten(inverted: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Which inversions are beaten materially by the best errors known."""
    lower = inverted - best
    beaten: np.ndarray = (lower > MATERIAL_SHARE * inverted) & (lower > MATERIAL_ERROR)
    return beaten


def _both_errors(
    best: GroupValues, inverted: GroupValues
) -> list[tuple[str | None, np.ndarray, np.ndarray]]:
    """The best and the inversion's errors by condition: own and, with every class, the nearest."""
    own = OWN if best.conditional else None
    pairs: list[tuple[str | None, np.ndarray, np.ndarray]] = [
        (own, best.own_values(), inverted.own_values())
    ]
    if best.conditional and best.has_every_class:
        nearest = [
            values.over_classes(lambda rows: rows.min(axis=1)) for values in (best, inverted)
        ]
        pairs.append((NEAREST_CLASS, nearest[0], nearest[1]))
    return pairs


def _least_found(tables: RunTables, stage: str, column: str = "mode_mse") -> pd.Series | None:
    """The least error by item of a stage, nan where it found none; None without the stage."""
    frame = tables.read(stage, [column])
    if frame is None:
        return None
    least: pd.Series = frame.groupby(ITEM)[column].min()
    return least
