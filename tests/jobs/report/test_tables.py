"""A run's tables: read once, kept within bounds, and every reader's own."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from offmanifold.jobs.audits import TABLES
from offmanifold.jobs.reduce.parts import RunTableError, StageParts
from offmanifold.jobs.reduce.tables import RunTables
from offmanifold.jobs.results.reduction import reduce_run

from .conftest import report_of
from .counting_storage import CountingStorage

IMAGES = 12
LISTS = {"latent": 6, "restart_latent": 6, "residual": 6, "restart_distance": 12}


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, str]]:
    """How often each column was read of all parts of its stage."""
    counts: Counter[tuple[str, str]] = Counter()
    read = StageParts.read

    def counted(
        parts: StageParts, columns: Sequence[str], positions: Sequence[int] | None = None
    ) -> Iterator[pa.Table]:
        if positions is None:
            counts.update((parts.table.name, column) for column in columns)
        return read(parts, columns, positions)

    monkeypatch.setattr(StageParts, "read", counted)
    return counts


def test_a_report_reads_every_table_once(
    synthetic_run: Callable[..., Any], scans: Counter[tuple[str, str]]
) -> None:
    run = synthetic_run("own")
    storage = CountingStorage(run.run_dir)
    context = replace(run.write(), tables=RunTables(storage, TABLES))
    report_of(context, summary=reduce_run(context))
    assert storage.listings == dict.fromkeys((table.name for table in TABLES), 1)
    parts = {str(path) for path in run.run_dir.glob("*/part-*.parquet")}
    assert storage.footers == dict.fromkeys(parts, 1)
    assert set(scans.values()) == {1}
    assert ("images", "pixels") not in scans
    assert ("inversion", "restart_latent") not in scans


@pytest.fixture
def storage(tmp_path: Path, part_writer: Callable[..., Path]) -> CountingStorage:
    """Three parts of four images, whose lists hold their own number."""
    rows = [
        {
            "generator": "g",
            "group": "test",
            "image_id": f"test-{index:06d}",
            "mse": 0.1 * index,
            **{column: [float(index)] * length for column, length in LISTS.items()},
        }
        for index in range(IMAGES)
    ]
    # The parts' names are in no order of their rows.
    for part, start in (("c", 0), ("a", 4), ("b", 8)):
        part_writer(tmp_path, "inversion", rows[start : start + 4], part)
    return CountingStorage(tmp_path)


def firsts(lists: Iterable[Any]) -> list[float]:
    return [float(entries[0]) for entries in lists]


def test_a_frame_is_its_readers_own(storage: CountingStorage) -> None:
    tables = RunTables(storage, TABLES)
    for _ in range(2):
        frame = tables.read("inversion", ["mse", "latent"])
        assert frame is not None
        assert frame["mse"].tolist() == [0.1 * index for index in range(IMAGES)]
        assert firsts(frame["latent"]) == list(range(IMAGES))
        frame.loc[:, "mse"] = -1.0
        frame.loc[0, "image_id"] = "another"
        for entries in frame["latent"]:
            entries[:] = -1.0


def test_lists_are_kept_within_a_bound_and_the_oldest_go_first(
    storage: CountingStorage, scans: Counter[tuple[str, str]]
) -> None:
    tables = RunTables(storage, TABLES, 1000)
    asked = ["latent", "restart_latent", "latent", "residual", "latent", "restart_latent"]
    for column in [*asked, "restart_distance", "restart_distance", "restart_latent"]:
        assert tables.read("inversion", [column]) is not None
    # Two of 300 bytes fit, of which the one goes that was not asked for longest; and one that does
    # not fit by itself takes no other's place.
    assert [scans["inversion", column] for column in LISTS] == [1, 2, 1, 2]
    assert scans["inversion", "mse"] == 1
    assert set(storage.footers.values()) == {1}


@pytest.mark.parametrize("whole", [False, True])
def test_a_few_images_come_from_the_parts_that_hold_them(
    storage: CountingStorage, whole: bool
) -> None:
    tables = RunTables(storage, TABLES)
    tables.read("inversion", ["latent"] if whole else [])
    storage.opened.clear()
    chosen = ["test-000009", "test-000002", "test-000011"]
    found = tables.read_images("inversion", chosen, ["latent", "mse"])
    assert found["image_id"].tolist() == sorted(chosen)
    assert firsts(found["latent"]) == [2, 9, 11]
    np.testing.assert_allclose(found["mse"], [0.2, 0.9, 1.1])
    opened = {Path(path).name for path in storage.opened}
    assert opened == (set() if whole else {"part-b.parquet", "part-c.parquet"})
    assert tables.read_images("inversion", ["stranger"], ["latent"]).empty


def test_a_stage_without_parts_has_no_table(storage: CountingStorage) -> None:
    tables = RunTables(storage, TABLES)
    assert tables.has("inversion")
    assert not tables.has("likelihood")
    assert tables.read("likelihood") is None
    assert list(tables.read_parts("likelihood", ["status"])) == []
    with pytest.raises(RunTableError, match="likelihood has no part"):
        tables.read_images("likelihood", ["test-000000"], [])
