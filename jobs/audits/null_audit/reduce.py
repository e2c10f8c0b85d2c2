"""The null audit: what the tests of reconstruction say of the model's own samples.

Those of the half that the verdicts are about, so that they were searched as the data were.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from ....core.statistics.structure import common_structure, compare_structure
from ....core.statistics.two_sample import NO_SHIFT, compare_samples
from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.emitter import Emitter, emitter
from ...reduce.groups import GroupValues, group_values, null_values, own_condition
from ...reduce.schema import SummaryRow
from ...reduce.tables import succeeded
from ..across.outliers.reduce import pair_rows
from ..inversion.best_errors import read_best_errors
from ..inversion.reduce import SMALLEST_ERROR, group_rows, ratio_rows
from ..likelihood.densities import Scores
from ..variance.reduce import read_variance

_COMPARED = ("residual", "latent_square")
# A group of images, their values of a column [images, values], and the null's.
_Lists = list[tuple[str, np.ndarray, np.ndarray]]


def reduce_null_audit(context: ReduceContext) -> list[SummaryRow]:
    """Errors of the null's images, their ratio to the control's, and how the data's differ."""
    fits = context.tables.read("null_fit", ["mse", *_COMPARED])
    if fits is None:
        return []
    # The null is searched by its inversion and its likelihood alone, and so are the others here.
    estimated = context.tables.read("null_likelihood", ["mode_mse"]) is not None
    errors = read_best_errors(context.tables, ("likelihood",) if estimated else ())
    data = context.tables.read("inversion", _COMPARED)
    if errors is None or data is None:
        return []
    least = _least_errors(context, fits)
    rows: list[SummaryRow] = []
    for generator in context.generators:
        null = null_values(context, least, "mse", generator)
        if null is None or not len(null.own_values()):
            continue
        emit = emitter(context, generator=generator.name, condition=own_condition(generator))
        groups = group_values(context, errors, "mse", generator)
        rows += group_rows(emit.at(group=null.group.name), null, null.own_values())
        for reference in context.with_role("generated"):
            if reference.name in groups:
                mine = {null.group.name: null}
                rows += ratio_rows(emit, mine, groups[reference.name], "reconstruction_ratio")
        rows += _differences(emit, generator, groups, null)
        residuals, latents = (
            _against_null(context, generator, groups, column, (data, fits)) for column in _COMPARED
        )
        rows += _residual_rows(emit, residuals)
        rows += _latent_rows(emit, latents)
        scores = Scores("reconstruction", "mse", -1.0, None, errors)
        for outliers in context.with_role("outlier"):
            if outliers.name in groups:
                rows += pair_rows(emit, scores, null, groups[outliers.name])
    return rows


def _least_errors(context: ReduceContext, fits: pd.DataFrame) -> pd.DataFrame:
    """The null's rows with the least squared errors of its two searches.

    Where its likelihoods were estimated, of the images that both searched.
    """
    searched = context.tables.read("null_likelihood", ["mode_mse"])
    if searched is None:
        return fits
    key = ["generator", "image_id"]
    mine = searched[searched["group"] == context.null].set_index(key)["mode_mse"]
    both = fits[fits.set_index(key).index.isin(mine.index)]
    found = mine.reindex(both.set_index(key).index).to_numpy(np.float64)
    return both.assign(mse=np.fmin(both["mse"].to_numpy(np.float64), found))


def _differences(
    emit: Emitter, generator: GeneratorInfo, groups: dict[str, GroupValues], null: GroupValues
) -> Iterator[SummaryRow]:
    """Whether the data's errors are distributed as the null's, by their logarithms.

    The null's noise has the variance that was fitted to the data, whose error shifts them all.
    """
    variance = read_variance(emit.context, generator)
    shift = NO_SHIFT
    if variance is not None:
        shift = replace(variance.shift, standard_error=variance.log_standard_error)
    for group in emit.context.with_role("train", "test"):
        if group.name not in groups:
            continue
        values = groups[group.name]
        own = (each.own_values() for each in (values, null))
        mine, theirs = (np.log(np.fmax(errors, SMALLEST_ERROR)) for errors in own)
        if min(len(mine), len(theirs)) < 2:
            continue
        keyed = emit.at(group=group.name, against=null.group.name).seeded("null errors")
        failed = int(np.isnan(values.own).sum())
        test = compare_samples(mine, theirs, keyed.seed, shift=shift, failed=failed)
        yield keyed.exact("reconstruction_p_null", test.p_value, len(mine))


def _residual_rows(emit: Emitter, lists: _Lists) -> Iterator[SummaryRow]:
    """What the residuals of different images have in common: the data's against the null's.

    Noise has nothing; what all data have and the generator lacks is in all of them.
    """
    for name, mine, null in lists:
        keyed = emit.at(group=name).seeded("residuals")
        structure = common_structure(mine) * mine.shape[1]
        yield keyed.exact("residual_structure", structure, len(mine))
        if name != emit.context.null:
            p_value = compare_structure(mine, null, keyed.seed)
            yield keyed.at(against=emit.context.null).exact("residual_p_null", p_value, len(mine))


def _latent_rows(emit: Emitter, lists: _Lists) -> Iterator[SummaryRow]:
    """Are the latents that explain the data as long as those that explain the null?

    A generator whose latents do too little needs longer ones, which its prior calls unlikely. They
    are those before the polish: where little but noise tells latents apart, it ends far out.
    """
    for name, mine, null in lists:
        keyed = emit.at(group=name).seeded("latents")
        length, other = (np.log(each[:, 0] + 1e-12) for each in (mine, null))
        yield keyed.exact("latent_square", float(mine.mean()), len(mine))
        if name != emit.context.null:
            p_value = compare_samples(length, other, keyed.seed).p_value
            yield keyed.at(against=emit.context.null).exact("latent_p_null", p_value, len(mine))


def _against_null(
    context: ReduceContext,
    generator: GeneratorInfo,
    groups: dict[str, GroupValues],
    column: str,
    frames: tuple[pd.DataFrame, pd.DataFrame],
) -> _Lists:
    """Each data group's lists of a column beside the null's, and the null's beside themselves."""
    data, own = frames
    assert context.null is not None
    null = _lists(own, column, generator, context.null)
    if len(null) < 2:
        return []
    found = {
        group.name: _lists(data, column, generator, group.name, groups[group.name])
        for group in context.with_role("train", "test")
        if group.name in groups
    }
    known = [(name, mine, null) for name, mine in found.items() if len(mine) > 1]
    return [*known, (context.null, null, null)]


def _lists(
    frame: pd.DataFrame,
    column: str,
    generator: GeneratorInfo,
    group: str,
    values: GroupValues | None = None,
) -> np.ndarray:
    """A column's values of a group's images [images, values], each under its own class."""
    good = succeeded(frame)
    mine = good[(good["generator"] == generator.name) & (good["group"] == group)]
    if values is not None and values.conditional:
        own = dict(zip(values.image_id, values.own_number, strict=True))
        mine = mine[mine["condition"] == mine["image_id"].map(own)]
    known = mine[column].dropna()
    if not len(known):
        return np.empty((0, 1))
    return np.stack(known.to_list()).astype(np.float64).reshape(len(known), -1)
