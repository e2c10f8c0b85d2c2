"""What failed: rows by stage, and the images that leave a comparison because of them."""

from collections import Counter

import pandas as pd

from .....workers.schema import SCHEMAS, STATUS_OK
from ....reduce.context import ReduceContext
from ....reduce.groups import group_values
from ....reduce.schema import SummaryRow, exact, summary_row
from ...likelihood.densities import read_scores

_INCOMPLETE = {
    "likelihood": "incomplete_images_likelihood",
    "reconstruction": "incomplete_images_inversion",
    "reconstruction_lpips": "incomplete_images_perceptual",
}


def reduce_quarantine(context: ReduceContext) -> list[SummaryRow]:
    """Failed rows by stage, generator and group, ``n`` being all rows, and incomplete images."""
    rows = []
    for stage in SCHEMAS:
        frame = context.tables.read(stage)
        if frame is not None:
            rows += _failed(stage, frame)
    for scores in read_scores(context.tables):
        for generator in context.generators:
            for values in group_values(context, scores.frame, scores.column, generator).values():
                if values.conditional and values.has_every_class:
                    rows.append(
                        summary_row(
                            _INCOMPLETE[scores.method],
                            exact(values.incomplete, len(values.image_id)),
                            generator=generator.name,
                            group=values.group.name,
                            estimator=scores.estimator,
                        )
                    )
    return rows


def _failed(stage: str, frame: pd.DataFrame) -> list[SummaryRow]:
    keys = list(zip(_names(frame["generator"]), _names(frame["group"]), strict=True))
    planned = Counter(keys)
    failed = Counter(
        key for key, status in zip(keys, frame["status"], strict=True) if status != STATUS_OK
    )
    return [
        summary_row(
            f"failed_rows_{stage}",
            exact(failed[key], planned[key]),
            generator=key[0],
            group=key[1],
        )
        for key in planned
    ]


def _names(column: "pd.Series[str]") -> list[str | None]:
    return [name if isinstance(name, str) else None for name in column]
