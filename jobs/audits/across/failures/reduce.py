"""What failed: rows by stage, and the images that leave a comparison because of them."""

from collections import Counter

import pandas as pd

from .....workers.schema import STATUS_OK
from ....reduce.context import ReduceContext
from ....reduce.emitter import emitter
from ....reduce.schema import SummaryRow
from ...likelihood.densities import each_score

_INCOMPLETE = {
    "likelihood": "incomplete_images_likelihood",
    "reconstruction": "incomplete_images_inversion",
    "reconstruction_lpips": "incomplete_images_perceptual",
}


def reduce_quarantine(context: ReduceContext) -> list[SummaryRow]:
    """Failed rows by stage, generator and group, ``n`` being all rows, and incomplete images."""
    rows = []
    for stage in context.tables.names:
        frame = context.tables.read(stage)
        if frame is not None:
            rows += _failed(context, stage, frame)
    for emit, scores, generator in each_score(context):
        for name, values in scores.groups(context, generator).items():
            if values.conditional and values.has_every_class:
                metric, n = _INCOMPLETE[scores.method], len(values.image_id)
                rows.append(emit.at(group=name).exact(metric, values.incomplete, n))
    return rows


def _failed(context: ReduceContext, stage: str, frame: pd.DataFrame) -> list[SummaryRow]:
    keys = list(zip(_names(frame["generator"]), _names(frame["group"]), strict=True))
    planned = Counter(keys)
    failed = Counter(
        key for key, status in zip(keys, frame["status"], strict=True) if status != STATUS_OK
    )
    return [
        emitter(context, generator=generator, group=group).exact(
            f"failed_rows_{stage}", failed[generator, group], n
        )
        for (generator, group), n in planned.items()
    ]


def _names(column: "pd.Series[str]") -> list[str | None]:
    return [name if isinstance(name, str) else None for name in column]
