"""Runs in different places, held against each other row for row."""

import io

import pandas as pd
import pyarrow.parquet as pq
from offmanifold.cluster.locations import Location, open_storage
from offmanifold.cluster.s3_settings import BY_ENVIRONMENT
from offmanifold.cluster.storage import Storage
from offmanifold.jobs.record.run_directory import SUMMARY_FILE

from .registered import TABLES

_NAMES_OF_FILES = ("source", "nearest_source")


def table_of(storage: Storage, stage: str) -> pd.DataFrame:
    """A stage's rows, in an order of their own."""
    with storage.columns() as (files, folder):
        names = storage.list_names(stage)
        parts = [pq.read_table(f"{folder}/{stage}/{name}", filesystem=files) for name in names]
    frame = pd.concat([part.to_pandas() for part in parts])
    keys = ["generator", "group", "image_id", "condition", *TABLES[stage].repeated_by]
    return frame.sort_values(keys).reset_index(drop=True)


def assert_the_same_rows(
    run: Location, other: Location, stages: list[str], inputs: tuple[str, str]
) -> int:
    """Every value of both runs is equal, bit for bit; how many rows they have.

    The inputs of the one lie at ``inputs[0]``, those of the other at ``inputs[1]``, which is all
    that may tell their rows apart.
    """
    rows = 0
    here, there = open_storage(run, BY_ENVIRONMENT), open_storage(other, BY_ENVIRONMENT)
    for stage in stages:
        found, expected = table_of(here, stage), table_of(there, stage)
        for column in set(_NAMES_OF_FILES) & set(expected):
            expected[column] = expected[column].str.replace(inputs[1], inputs[0], regex=False)
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
        rows += len(found)
    return rows


def summary_of(run: Location) -> pd.DataFrame:
    """The summary of a finished run."""
    storage = open_storage(run, BY_ENVIRONMENT)
    return pq.read_table(io.BytesIO(storage.read(SUMMARY_FILE))).to_pandas()
