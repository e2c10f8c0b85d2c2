"""What Ray and a bucket cost: the digits audit in one process and under Ray, on a disk and on S3.

First reduced, by every way in turn; then whole, with images and checkpoint in the bucket as well;
and what it takes to read the parts of a stage from a bucket that answers late.

``.venv/bin/pytest tests/benchmarks/bench_storage.py -s``
"""

import io
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from offmanifold.cluster.locations import open_storage
from offmanifold.cluster.s3_settings import S3Settings
from offmanifold.jobs.audits import TABLES, stages_of
from offmanifold.jobs.audits.specs import load_spec
from offmanifold.jobs.drive.driver import run_audit
from offmanifold.jobs.drive.progress import Progress
from offmanifold.jobs.record.run_directory import RunDirectory
from offmanifold.jobs.reduce.tables import RunTables
from offmanifold.workers.inversion import INVERSION_TABLE
from offmanifold.workers.schema import STATUS_OK

from ..faulty_proxy import Request, faulty_proxy
from ..object_store import BUCKET, ObjectStore
from ..stored_demo import demo_at, upload, write_inputs
from ..stored_runs import assert_the_same_rows, summary_of

GROUPS = ("train", "test", "generated", "simulated", "single_colour", "natural_patches")
SETTINGS = (
    *(f"groups.{group}.count=20" for group in GROUPS[:4]),
    *(f"groups.{group}.count=10" for group in GROUPS[4:]),
    "stages.comparison=null",
    "stages.convergence=null",
    "stages.sweep=null",
)
# Enough to import, and to compile, all that a run does once in a process.
LEAST = tuple(f"groups.{group}.count=2" for group in GROUPS)
EXECUTORS = {
    "in-process": ("cluster.executor=serial",),
    "one worker": ("cluster.executor=ray", "cluster.workers=1"),
}
TURNS = 2


def seconds(executor: str, out: str, *settings: str) -> float:
    """Of a whole audit, the start and the end of its Ray included."""
    spec = load_spec("digits", (*SETTINGS, *EXECUTORS[executor], *settings))
    began = time.perf_counter()
    run_audit(spec, out, Progress())
    return time.perf_counter() - began


def test_ray_against_one_process_and_a_bucket_against_a_disk(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store.use(monkeypatch)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    places = {"disk": str(tmp_path), "bucket": f"s3://{BUCKET}/bench"}
    ways = [(executor, place) for executor in EXECUTORS for place in places]
    seconds("in-process", f"{places['disk']}/warm", *LEAST)
    found: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
    for turn in range(TURNS):
        for executor, place in ways:
            out = f"{places[place]}/{executor.split()[0]}-{turn}"
            found[executor, place].append(seconds(executor, out))
    base = sum(found["in-process", "disk"])
    for (executor, place), taken in found.items():
        each = ", ".join(f"{each:.1f}" for each in taken)
        print(f"\n{executor}, {place}: {each} s; ratio {sum(taken) / base:.3f}")


def seconds_of_the_demo(place: str, folder: Path, out: str) -> float:
    (folder / "demo.yaml").write_text(yaml.safe_dump(demo_at(place, {})))
    cli = str(Path(sys.executable).with_name("offmanifold"))
    began = time.perf_counter()
    subprocess.run([cli, "run", "demo.yaml", "--out", out], cwd=folder, check=True)
    return time.perf_counter() - began


def test_the_whole_demo_in_a_bucket_against_one_on_a_disk(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store.use(monkeypatch)
    monkeypatch.setenv("OFFMANIFOLD_CACHE", str(tmp_path / "cache"))
    write_inputs(tmp_path / "inputs")
    places = (upload(tmp_path / "inputs", store, "demo/inputs"), str(tmp_path / "inputs"))
    runs = (f"s3://{BUCKET}/demo/run", str(tmp_path / "run"))
    remote, local = (
        seconds_of_the_demo(place, tmp_path, run) for place, run in zip(places, runs, strict=True)
    )
    stages = [stage.name for stage in stages_of(load_spec(str(tmp_path / "demo.yaml")))]
    rows = assert_the_same_rows(*runs, stages, places)
    pd.testing.assert_frame_equal(summary_of(runs[0]), summary_of(runs[1]))
    print(
        f"\nbucket {remote:.0f} s, disk {local:.0f} s, ratio {remote / local:.3f}: {rows:,} equal "
        f"rows of {len(stages)} stages, and equal summaries"
    )


LATE_SECONDS = 0.03
PARTS = 200


def part_of(index: int) -> bytes:
    rows = [
        {
            "generator": "digits",
            "condition": condition,
            "group": "train",
            "image_id": f"train-{index:06d}",
            "status": STATUS_OK,
            "mse": 0.1,
            "latent": [0.1] * 16,
        }
        for condition in range(32)
    ]
    sink = io.BytesIO()
    table = pa.Table.from_pylist(rows, schema=INVERSION_TABLE.arrow)
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def by_reducer(run: RunDirectory) -> int:
    frame = RunTables(run.storage, TABLES).read("inversion", ["mse"])
    assert frame is not None
    return len(frame)


def by_reducers(run: RunDirectory) -> int:
    tables = RunTables(run.storage, TABLES)
    rows = 0
    for columns in [["mse"], ["psnr"], ["latent"], ["mse", "latent"]]:
        frame = tables.read("inversion", columns)
        assert frame is not None
        rows = len(frame)
    return rows


def by_part(run: RunDirectory) -> int:
    return run.read(INVERSION_TABLE, run.finished(INVERSION_TABLE.name), ["status"]).num_rows


def test_reading_a_stage_from_a_service_that_answers_late(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.use(monkeypatch)
    address = f"s3://{BUCKET}/bench/late"
    near = open_storage(address, S3Settings())
    for index in range(PARTS):
        near.publish(f"inversion/part-{index:016x}.parquet", part_of(index))

    def late(_: Request) -> None:
        time.sleep(LATE_SECONDS)

    with faulty_proxy(store.endpoint, late) as proxy:
        run = RunDirectory.at(address, S3Settings(proxy.endpoint))
        for name, read in (
            ("the reducer's table", by_reducer),
            ("four reducers' tables, two with latents", by_reducers),
            ("part by part", by_part),
        ):
            proxy.met.clear()
            began = time.perf_counter()
            assert read(run) == 32 * PARTS
            elapsed, requests = time.perf_counter() - began, sum(proxy.met.values())
            print(f"\n{name}: {PARTS} parts in {elapsed:.1f} s, {requests} requests")
