"""What a bucket costs: the digits audit with its run on a disk and on a local S3 service.

First reduced and in one process, then whole, under Ray, with images and checkpoint in the bucket.

``.venv/bin/pytest tests/benchmarks/bench_storage.py -s --jaxtyping-packages=``
"""

import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from offmanifold.jobs.driver import run_audit
from offmanifold.jobs.progress import Progress
from offmanifold.jobs.spec_loading import load_spec
from offmanifold.jobs.stages.registry import stages_of

from ..object_store import BUCKET, ObjectStore
from ..stored_demo import demo_at, upload, write_inputs
from ..stored_runs import assert_the_same_rows, summary_of

GROUPS = ("train", "test", "generated", "simulated", "single_colour", "natural_patches")
SETTINGS = (
    "cluster.executor=serial",
    *(f"groups.{group}.count=8" for group in GROUPS),
    "stages.comparison=null",
    "stages.convergence=null",
    "stages.sweep=null",
)


def seconds(out: str) -> float:
    spec = load_spec("digits", SETTINGS)
    began = time.perf_counter()
    run_audit(spec, out, Progress())
    return time.perf_counter() - began


def test_a_run_in_a_bucket_against_one_on_a_disk(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store.use(monkeypatch)
    seconds(str(tmp_path / "warm"))
    local, remote = [], []
    for repeat in range(2):
        local.append(seconds(str(tmp_path / f"run-{repeat}")))
        remote.append(seconds(f"s3://{BUCKET}/bench/run-{repeat}"))
    print(f"\ndisk {local}, bucket {remote} seconds; ratio {sum(remote) / sum(local):.3f}")


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
