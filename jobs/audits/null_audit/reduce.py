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
from ...reduce.groups import GroupValues, group_values, null_values
from ...reduce.schema import OWN, SummaryRow, exact, summary_row
from ...reduce.tables import succeeded
from ..across.outliers.reduce import pair_rows
from ..inversion.best_errors import read_best_errors
from ..inversion.reduce import group_rows, ratio_rows
from ..likelihood.densities import Scores
from ..variance.reduce import read_variance


def null_errors(context: ReduceContext, generator: GeneratorInfo) -> GroupValues | None:
    """The least squared errors of the null's images; None without a null audit."""
    frame = context.tables.read("null_fit", ["mse"])
    if frame is None:
        return None
    searched = context.tables.read("null_likelihood", ["mode_mse"])
    if searched is not None:
        key = ["generator", "image_id"]
        mine = searched[searched["group"] == context.null].set_index(key)["mode_mse"]
        frame = frame[frame.set_index(key).index.isin(mine.index)]
        found = mine.reindex(frame.set_index(key).index).to_numpy(np.float64)
        frame = frame.assign(mse=np.fmin(frame["mse"].to_numpy(np.float64), found))
    return null_values(context, frame, "mse", generator)


def reduce_null_audit(context: ReduceContext) -> list[SummaryRow]:
    """Errors of the null's images, their ratio to the control's, and how the data's differ."""
    errors = read_best_errors(context.tables)
    if errors is None:
        return []
    rows: list[SummaryRow] = []
    for generator in context.generators:
        null = null_errors(context, generator)
        if null is None or not len(null.own_values()):
            continue
        groups = group_values(context, errors, "mse", generator)
        own = OWN if null.conditional else None
        rows += group_rows(context, generator, null, own, null.own_values())
        for reference in context.with_role("generated"):
            if reference.name in groups:
                control = groups[reference.name]
                rows += ratio_rows(
                    generator, {null.group.name: null}, control, "reconstruction_ratio"
                )
        rows += _differences(context, generator, groups, null)
        rows += residual_rows(context, generator, groups)
        rows += latent_rows(context, generator, groups)
        scores = Scores("reconstruction", "mse", -1.0, None, errors)
        for outliers in context.with_role("outlier"):
            if outliers.name in groups:
                rows += pair_rows(generator, scores, null, groups[outliers.name])
    return rows


def _differences(
    context: ReduceContext,
    generator: GeneratorInfo,
    groups: dict[str, GroupValues],
    null: GroupValues,
) -> Iterator[SummaryRow]:
    """Whether the data's errors are distributed as the null's, by their logarithms.

    The null's noise has the variance that was fitted to the data, whose error shifts them all.
    """
    variance = read_variance(context, generator)
    shift = NO_SHIFT
    if variance is not None:
        shift = replace(variance.shift, standard_error=variance.log_standard_error)
    for group in context.with_role("train", "test"):
        if group.name not in groups:
            continue
        values = groups[group.name]
        mine, theirs = (np.log(np.fmax(each.own_values(), 1e-12)) for each in (values, null))
        if min(len(mine), len(theirs)) < 2:
            continue
        test = compare_samples(
            mine,
            theirs,
            context.seed_of("null errors", generator.name, group.name),
            shift=shift,
            failed=int(np.isnan(values.own).sum()),
        )
        yield summary_row(
            "reconstruction_p_null",
            exact(test.p_value, len(mine)),
            **_own_keys(generator, group.name),
            against=null.group.name,
        )


def residual_rows(
    context: ReduceContext, generator: GeneratorInfo, groups: dict[str, GroupValues]
) -> Iterator[SummaryRow]:
    """What the residuals of different images have in common: the data's against the null's.

    Noise has nothing; what all data have and the generator lacks is in all of them.
    """
    for name, mine, null in _against_null(context, generator, groups, "residual"):
        keys = _own_keys(generator, name)
        structure = common_structure(mine) * mine.shape[1]
        yield summary_row("residual_structure", exact(structure, len(mine)), **keys)
        if name != context.null:
            seed = context.seed_of("residuals", generator.name, name)
            p_value = exact(compare_structure(mine, null, seed), len(mine))
            yield summary_row("residual_p_null", p_value, **keys, against=context.null)


def latent_rows(
    context: ReduceContext, generator: GeneratorInfo, groups: dict[str, GroupValues]
) -> Iterator[SummaryRow]:
    """Are the latents that explain the data as long as those that explain the null?

    A generator whose latents do too little needs longer ones, which its prior calls unlikely.
    """
    for name, mine, null in _against_null(context, generator, groups, "latent"):
        keys = _own_keys(generator, name)
        length, other = (np.log((each**2).sum(axis=1) + 1e-12) for each in (mine, null))
        squared = exact(float((mine**2).sum(axis=1).mean() / mine.shape[1]), len(mine))
        yield summary_row("latent_square", squared, **keys)
        if name != context.null:
            test = compare_samples(length, other, context.seed_of("latents", generator.name, name))
            p_value = exact(test.p_value, len(mine))
            yield summary_row("latent_p_null", p_value, **keys, against=context.null)


def _own_keys(generator: GeneratorInfo, group: str) -> dict[str, str | None]:
    return {
        "generator": generator.name,
        "condition": OWN if generator.num_classes else None,
        "group": group,
    }


def _against_null(
    context: ReduceContext,
    generator: GeneratorInfo,
    groups: dict[str, GroupValues],
    column: str,
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Each data group's lists of a column beside the null's, and the null's beside themselves."""
    data = context.tables.read("inversion", [column])
    own = context.tables.read("null_fit", [column])
    if data is None or own is None or context.null is None:
        return
    null = _lists(own, column, generator, context.null)
    if len(null) < 2:
        return
    for group in context.with_role("train", "test"):
        if group.name in groups:
            mine = _lists(data, column, generator, group.name, groups[group.name])
            if len(mine) > 1:
                yield group.name, mine, null
    yield context.null, null, null


def _lists(
    frame: pd.DataFrame,
    column: str,
    generator: GeneratorInfo,
    group: str,
    values: GroupValues | None = None,
) -> np.ndarray:
    """A column's lists of a group's images [images, values], each under its own class."""
    good = succeeded(frame)
    mine = good[(good["generator"] == generator.name) & (good["group"] == group)]
    if values is not None and values.conditional:
        own = dict(zip(values.image_id, values.own_class, strict=True))
        mine = mine[mine["condition"] == mine["image_id"].map(own)]
    known = mine[column].dropna()
    return np.stack(known.to_list()).astype(np.float64) if len(known) else np.empty((0, 1))
