"""Nearest neighbours among 50,000, 60,000 and a million images: a worker's memory, and the time.

Ordinary test runs do not collect this file. Run it with

    OMP_NUM_THREADS=1 pytest tests/benchmarks/bench_neighbours.py -s

It needs Fashion-MNIST (`apt-get install dataset-fashion-mnist`). Times are of the processor, with
one thread; the LPIPS backbone has random weights, which cost what the published ones do.
"""

import json
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from offmanifold.core.statistics.neighbours import nearest
from offmanifold.workers.datasets import open_dataset
from sklearn.neighbors import NearestNeighbors
from torchvision.models import squeezenet1_1

GIB = 2**30
SHAPE = (1, 28, 28)
ROUNDS = 3
MILLION = 1_000_000

# Plans the two stages and computes their shards as a worker does; no other process takes part.
WORKER = """
import json, resource, sys, time
from pathlib import Path
import torch
operators = torch.library.Library("torchvision", "FRAGMENT")
try:
    import torchvision
except RuntimeError:
    # As in the tests' set-up: a torchvision that was built for another torch.
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from offmanifold.jobs.drive.devices import Devices
from offmanifold.jobs.drive.execution import worker_factory
from offmanifold.jobs.record.run_directory import RunDirectory
from offmanifold.jobs.audits.specs import load_spec
from offmanifold.jobs.audits import stages_of
from offmanifold.jobs.plan.stage import PlanContext
from offmanifold.jobs.audits.specs import gather_facts

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

root = Path(sys.argv[1])
spec = load_spec(str(root / "audit.yaml"))
(root / "run").mkdir()
run = RunDirectory.at(root / "run")
context = PlanContext(spec, gather_facts(spec), run)
worker = worker_factory(context, Devices(0, ""))()
found = {"before": peak()}
for stage in stages_of(spec):
    context.plans[stage.name] = stage.shards(context)
    began = time.process_time()
    reports = [worker.compute(shard, 0, len(shard.items)) for shard in context.plans[stage.name]]
    assert not any(report.failed for report in reports)
    found[stage.name] = {"seconds": time.process_time() - began, "shards": len(reports)}
found["peak"] = peak()
print(json.dumps(found))
"""


def worker_run(folder: Path, queries: int, neighbours: dict[str, Any], **spec: Any) -> Any:
    """A worker's seconds by stage and its peak memory, in a process of its own."""
    group = {"name": "test", "role": "test", "dataset": "fashion_mnist", "split": "test"}
    content = {
        "name": "bench",
        "generators": [{"name": "fashion", "source": "shipped:fashion"}],
        "groups": [{**group, "count": queries}],
        "stages": {"neighbours": neighbours},
        **spec,
    }
    (folder / "audit.yaml").write_text(yaml.safe_dump(content))
    command = [sys.executable, "-c", WORKER, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def cpu_seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def describe(name: str, found: Any) -> str:
    return (
        f"\n{name}: {found['neighbours']['seconds']:.1f} s in {found['neighbours']['shards']} "
        f"shards; peak {found['peak'] / GIB:.2f} GiB, {found['before'] / GIB:.2f} before any shard"
    )


@pytest.mark.parametrize("block_mib", [256, 64])
def test_a_worker_stays_below_two_gib(tmp_path: Path, block_mib: int) -> None:
    reference = {"dataset": "fashion_mnist", "split": "train", "block_mib": block_mib}
    found = worker_run(tmp_path, 2000, reference)
    print(describe(f"pixels, 2,000 x 60,000, blocks of {block_mib} MiB", found))
    assert found["peak"] < 2 * GIB


def write_images(folder: Path, count: int) -> None:
    """Fashion-MNIST's training images as IDX files; over and over, with noise, beyond 60,000."""
    references, labels = open_dataset("fashion_mnist", split="train", image_shape=SHAPE).arrays()
    levels = np.rint(255 * references.reshape(len(references), -1)).astype(np.int16)
    random = np.random.default_rng(0)
    with (folder / "train-images-idx3-ubyte").open("wb") as file:
        file.write(struct.pack(">4i", 2051, count, 28, 28))
        for start in range(0, count, len(levels)):
            noise = random.integers(-16, 17, levels.shape, dtype=np.int16)
            made = levels + noise if count > len(levels) else levels
            file.write(made[: count - start].clip(0, 255).astype(np.uint8).tobytes())
    repeated = np.resize(labels, count).astype(np.uint8)
    header = struct.pack(">2i", 2049, count)
    (folder / "train-labels-idx1-ubyte").write_bytes(header + repeated.tobytes())


def test_ten_thousand_among_a_million_stay_below_two_gib(tmp_path: Path) -> None:
    write_images(tmp_path, MILLION)
    reference = {"dataset": "fashion_mnist", "split": "train", "path": ".", "block_mib": 128}
    found = worker_run(tmp_path, 10_000, reference)
    print(describe("pixels, 10,000 x 1,000,000, blocks of 128 MiB", found))
    assert found["peak"] < 2 * GIB


def killed_and_resumed(spec: Path, out: Path, parts: int) -> None:
    """The whole command in one process, killed once so many parts are there, and run again."""
    code = "from offmanifold.jobs.commands.cli import app; app()"
    command = [sys.executable, "-c", code, "run", str(spec), "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        while len(list((out / "neighbours").glob("part-*"))) < parts:
            assert running.poll() is None, "it ended before it was killed"
            time.sleep(0.1)
        running.kill()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def test_fifty_thousand_among_themselves(tmp_path: Path) -> None:
    """Each among the others: memory, time beside scikit-learn's, and the same after a kill."""
    count = 50_000
    write_images(tmp_path, count)
    group = {"name": "train", "role": "train", "dataset": "fashion_mnist", "split": "train"}
    found = worker_run(
        tmp_path,
        count,
        {"dataset": "fashion_mnist", "split": "train", "path": "."},
        groups=[{**group, "path": ".", "count": count}],
        cluster={"executor": "serial"},
    )
    print(describe(f"pixels, {count:,} x {count:,}, blocks of 256 MiB", found))
    assert found["peak"] < 2 * GIB

    images, _ = open_dataset(
        "fashion_mnist", split="train", path=str(tmp_path), image_shape=SHAPE
    ).arrays()
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(images.reshape(count, -1))
    began = time.process_time()
    distance, _ = search.kneighbors()
    brute = time.process_time() - began
    columns = ["image_id", "distance", "nearest_index", "class_distance"]
    whole = pd.read_parquet(tmp_path / "run" / "neighbours", columns=columns)
    np.testing.assert_allclose(np.sort(whole.distance), np.sort(distance[:, 0]), rtol=1e-5)
    ours = found["neighbours"]["seconds"]
    print(f"scikit-learn {brute:.1f} s; ratio {ours / brute:.2f}")

    killed_and_resumed(tmp_path / "audit.yaml", tmp_path / "killed", parts=15)
    again = pd.read_parquet(tmp_path / "killed" / "neighbours", columns=columns)
    whole, again = (each.sort_values("image_id", ignore_index=True) for each in (whole, again))
    pd.testing.assert_frame_equal(whole, again, check_exact=True)


def test_lpips_stays_below_two_gib(tmp_path: Path) -> None:
    torch.save(squeezenet1_1(weights=None).state_dict(), tmp_path / "squeeze.pth")
    reference = {"dataset": "fashion_mnist", "split": "test", "spaces": ["lpips"]}
    backbone = {"network": "squeeze", "weights": "squeeze.pth"}
    found = worker_run(tmp_path, 200, reference, perceptual=backbone)
    print(describe("LPIPS, 200 x 10,000, blocks of 256 MiB", found))
    assert found["peak"] < 2 * GIB


def test_time_against_brute_force_of_scikit_learn() -> None:
    references, labels = open_dataset("fashion_mnist", split="train", image_shape=SHAPE).arrays()
    queries, _ = open_dataset("fashion_mnist", split="test", image_shape=SHAPE).arrays(range(2000))
    references, queries = (images.reshape(len(images), -1) for images in (references, queries))
    exclude = np.full(len(queries), -1)

    def ours() -> Any:
        return nearest(queries, references, labels, 10, exclude)

    def theirs() -> Any:
        search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(references)
        return search.kneighbors(queries)

    found, (distance, index) = ours(), theirs()
    np.testing.assert_allclose(found.distance, distance[:, 0], rtol=1e-5)
    # Interleaved, so that a busy machine disturbs the ratio little.
    rounds = [(cpu_seconds(ours), cpu_seconds(theirs)) for _ in range(ROUNDS)]
    mine, brute = (min(column) for column in zip(*rounds, strict=True))
    print(
        f"\n2,000 x 60,000 in pixels: {mine:.2f} s, with the nearest of each of ten classes; "
        f"scikit-learn {brute:.2f} s; ratio {mine / brute:.2f}; "
        f"the same image for {np.mean(index[:, 0] == found.index):.2%}"
    )
