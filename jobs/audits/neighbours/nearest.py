"""The nearest reference image of each image: the least of its blocks, by (distance, index)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...reduce.tables import NO_CLASS, RunTables, succeeded


@dataclass(frozen=True)
class Baseline:
    """A nearest-neighbour baseline: the end of its metrics' names, and what readers call it."""

    method: str
    words: str


# By the space in which the neighbours are the nearest: a value of the column ``space``.
BASELINES = {
    "pixels": Baseline("neighbours", "1-NN in pixels"),
    "lpips": Baseline("neighbours_lpips", "1-NN in LPIPS"),
}


def read_neighbours(tables: RunTables) -> list[tuple[Baseline, pd.DataFrame]]:
    """Each baseline of the run with one row an image: its group, label and nearest image.

    Columns: ``image_id, group, label, nearest_index, nearest_label`` (-1 for none) and
    ``distance``, in order of ids. An image with a block that failed is left out: its nearest image
    may lie there.

    Raises:
        RunTableError: as :func:`~offmanifold.jobs.reduce.tables.RunTables.read`.
    """
    columns = ["space", "block", "blocks", "nearest_index", "nearest_label", "distance"]
    frame = tables.read("neighbours", columns)
    if frame is None:
        return []
    frame["nearest_label"] = frame["nearest_label"].fillna(NO_CLASS).astype(np.int64)
    by_space = dict(list(succeeded(frame).groupby("space")))
    return [
        (baseline, nearest_over_blocks(by_space[space]).astype({"nearest_index": np.int64}))
        for space, baseline in BASELINES.items()
        if space in by_space
    ]


def nearest_over_blocks(rows: pd.DataFrame) -> pd.DataFrame:
    """The row of the least (distance, block) of each image that has all its blocks.

    Blocks follow each other in the reference set, so of equal distances the lower index wins.
    """
    there = rows.groupby("image_id")["block"].transform("size")
    whole = rows[(there == rows["blocks"]) & rows["distance"].notna()]
    ordered = whole.sort_values(["image_id", "distance", "block"])
    return ordered.drop_duplicates("image_id").reset_index(drop=True)


def distances_by_group(nearest: pd.DataFrame) -> dict[str, np.ndarray]:
    """Distances to the nearest reference image, by group."""
    return {
        str(name): rows["distance"].to_numpy(np.float64) for name, rows in nearest.groupby("group")
    }


def failed_by_group(tables: RunTables, nearest: pd.DataFrame) -> dict[str, int]:
    """How many images of each group lack their nearest one, of those that it was searched for."""
    frame = tables.read("neighbours")
    if frame is None:
        return {}
    lost = frame[~frame["image_id"].isin(nearest["image_id"])]
    return {str(name): rows["image_id"].nunique() for name, rows in lost.groupby("group")}


def hits(nearest: pd.DataFrame) -> pd.DataFrame:
    """Of images with a label whose nearest one has one too: ``group`` and ``hit``, by image id.

    ``hit`` is 1.0 where both labels agree, else 0.0.
    """
    labelled = nearest[(nearest["label"] >= 0) & (nearest["nearest_label"] >= 0)]
    hit = (labelled["nearest_label"] == labelled["label"]).to_numpy(np.float64)
    return pd.DataFrame(
        {"group": labelled["group"].to_numpy(), "hit": hit}, index=pd.Index(labelled["image_id"])
    )
