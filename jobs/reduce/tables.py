"""Reads a stage's parts, only the columns that are needed, and checks them against each other."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from ...workers.schema import KEY_COLUMNS, SCHEMAS, STATUS_OK, schema_version

NO_CLASS = -1

# An item is an image under a condition, and in these tables, what was done to it.
_ITEM = ("generator", "condition", "image_id")
REPEATED_BY: dict[str, tuple[str, ...]] = {
    "convergence": ("estimator", "varied"),
    "sweep": ("estimator", "transitions"),
    "sensing": ("measurements",),
    "neighbours": ("space", "block"),
}


class RunTableError(ValueError):
    """A run's tables contradict themselves, the spec or this version's schema."""


def stage_dataset(run_dir: Path, stage: str) -> ds.Dataset | None:
    """The stage's parts as one dataset; None where the stage has none.

    Raises:
        RunTableError: a part of another schema version or of another stage.
    """
    parts = sorted((run_dir / stage).glob("part-*.parquet"))
    for part in parts:
        _check_part(part, stage)
    if not parts:
        return None
    return ds.dataset([str(part) for part in parts], schema=SCHEMAS[stage], format="parquet")


def read_stage(run_dir: Path, stage: str, columns: Sequence[str] = ()) -> pd.DataFrame | None:
    """Key columns, ``status`` and ``columns`` of a stage, one row an item; None if it has none.

    A missing ``condition`` or ``label`` is -1; a column of lists holds arrays. ``convergence``,
    ``sweep``, ``neighbours`` and ``sensing`` have several rows an item and bring the columns that
    tell them apart: ``estimator`` with ``varied`` or ``transitions``, ``space`` with ``block``, and
    ``measurements``.

    Raises:
        RunTableError: parts that do not belong, or an item that is there twice.
    """
    dataset = stage_dataset(run_dir, stage)
    if dataset is None:
        return None
    repeated_by = REPEATED_BY.get(stage, ())
    wanted = dict.fromkeys([*KEY_COLUMNS, "status", *repeated_by, *columns])
    table = dataset.to_table(columns=list(wanted))
    frame: pd.DataFrame = table.to_pandas()
    for key in ("condition", "label"):
        frame[key] = frame[key].fillna(NO_CLASS).astype(np.int64)
    _refuse_duplicates(frame, repeated_by, run_dir / stage)
    return frame


def succeeded(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows whose computation succeeded."""
    return frame[frame["status"] == STATUS_OK]


def list_means(lists: "pd.Series[float]") -> np.ndarray:
    """Mean of each row's list: [rows]."""
    return np.array([np.mean(entries) for entries in lists], dtype=np.float64)


def _check_part(part: Path, stage: str) -> None:
    metadata = pq.read_schema(part).metadata or {}
    version = metadata.get(b"offmanifold.schema_version", b"none").decode()
    expected = str(schema_version(stage))
    if version != expected:
        raise RunTableError(
            f"{part} has schema version {version}, this version of offmanifold reads "
            f"{expected}: run the stage again or use the version that wrote it"
        )
    owner = metadata.get(b"offmanifold.stage", b"none").decode()
    if owner != stage:
        raise RunTableError(f"{part} holds rows of stage {owner}, expected {stage}")


def _refuse_duplicates(frame: pd.DataFrame, repeated_by: tuple[str, ...], folder: Path) -> None:
    # A row that failed does not say which of an item's repetitions it is.
    told_apart = frame.dropna(subset=list(repeated_by)) if repeated_by else frame
    twice = told_apart[told_apart.duplicated([*_ITEM, *repeated_by])]
    if len(twice):
        first = twice.iloc[0]
        raise RunTableError(
            f"{folder}: {len(twice)} rows are there twice, the first for image "
            f"{first['image_id']} under generator {first['generator']}, condition "
            f"{first['condition']}: every item has exactly one row"
        )
