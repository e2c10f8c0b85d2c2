"""What a bucket costs: the digits audit, reduced, with its run on a disk and on a local S3 service.

``.venv/bin/pytest tests/benchmarks/bench_storage.py -s --jaxtyping-packages=``
"""

import time
from pathlib import Path

import pytest
from offmanifold.jobs.driver import run_audit
from offmanifold.jobs.progress import Progress
from offmanifold.jobs.spec_loading import load_spec

from ..object_store import BUCKET, ObjectStore

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
