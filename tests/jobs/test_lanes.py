"""Workers with GPUs and workers on CPUs go through the stages at the same time."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from offmanifold.jobs.audits import STAGES
from offmanifold.jobs.drive import execution
from offmanifold.jobs.drive.devices import Devices
from offmanifold.jobs.drive.lanes import (
    Lane,
    LaneStoppedError,
    Stages,
    all_needs,
    calls_networks,
    calls_none,
    run_lanes,
)
from offmanifold.jobs.plan.stage import Stage
from offmanifold.jobs.spec.audit import ClusterSpec

from .conftest import small_spec, write_spec

ROOT = Path(__file__).parents[2]
BY_NAME = {stage.name: stage for stage in STAGES}
SECONDS = 20.0
NONE: Any = None
GPU, CPU = Lane(NONE, NONE, calls_networks), Lane(NONE, NONE, calls_none)
LANES = [GPU, CPU]


def some(*names: str) -> list[Stage]:
    return [stage for stage in STAGES if stage.name in names]


def test_each_lane_has_a_part_in_the_stages_that_may_be_its_own() -> None:
    only_on_cpus = {stage.name for stage in STAGES if not GPU.has_part(stage)}
    assert only_on_cpus == {
        "variance",
        "null_variance",
        "ppca",
        "pca",
        "patch_fit",
        "distances",
    }
    both = {stage.name for stage in STAGES if GPU.has_part(stage) and CPU.has_part(stage)}
    assert both == {
        "images",
        "neighbours",
        "copies",
        "feature_copies",
        "support",
        "features",
        "patch_gmm",
        "local_variation",
        "code_lengths",
    }


def test_what_a_stage_needs_is_followed_through_stages_that_are_not_asked_for() -> None:
    assert all_needs(BY_NAME["variance"]) == {"images", "inversion", "variance_fit"}
    stages = Stages(some("images", "variance"), [Lane(NONE, NONE)])
    first = stages.begin(0)
    assert first is BY_NAME["images"]
    assert stages.begin(0) is None
    assert not stages.all_begun(0)
    stages.finished(first)
    assert stages.begin(0) is BY_NAME["variance"]
    assert stages.all_begun(0)


def goes_through(stages: Stages, run: Callable[[Stage, Lane], None]) -> Callable[[int], None]:
    """What a lane does, one stage after the other."""

    def go(lane: int) -> None:
        while not stages.all_begun(lane):
            stage = stages.begin(lane)
            if stage is None:
                threading.Event().wait(0.01)
                continue
            run(stage, LANES[lane])
            stages.finished(stage)

    return go


def test_lanes_overlap_where_needs_allow() -> None:
    """Would never end if either lane waited for a stage that it does not need."""
    begun: dict[tuple[str, str], threading.Event] = {
        (stage.name, lane): threading.Event() for stage in STAGES for lane in ("gpu", "cpu")
    }
    order = []

    def run(stage: Stage, lane: Lane) -> None:
        name = "gpu" if lane is GPU else "cpu"
        order.append((stage.name, name))
        begun[stage.name, name].set()
        waits_for = {
            # The neighbours in pixels are looked for while the GPU inverts, and the other way.
            ("inversion", "gpu"): ("neighbours", "cpu"),
            ("neighbours", "cpu"): ("inversion", "gpu"),
            ("likelihood", "gpu"): ("patch_gmm", "cpu"),
        }.get((stage.name, name))
        if waits_for is not None:
            assert begun[waits_for].wait(SECONDS)

    names = ("images", "neighbours", "inversion", "variance_fit", "variance", "likelihood")
    stages = Stages(some(*names, "patch_fit", "patch_gmm"), LANES)
    run_lanes(stages, 2, goes_through(stages, run))
    assert order.index(("variance", "cpu")) < order.index(("likelihood", "gpu"))
    assert ("variance", "gpu") not in order
    assert ("inversion", "cpu") not in order
    assert {name for name, _ in order} == {*names, "patch_fit", "patch_gmm"}


@pytest.mark.parametrize("failing", LANES)
@pytest.mark.parametrize("error", [ArithmeticError("a bug"), KeyboardInterrupt()])
def test_a_lane_that_fails_ends_the_other_in_its_work_or_its_waiting(
    failing: Lane, error: BaseException
) -> None:
    stages = Stages(some("images", "inversion", "variance", "patch_fit"), LANES)
    stopped = []

    def run(stage: Stage, lane: Lane) -> None:
        if stage.name == "images":
            return
        if lane is failing:
            raise error
        try:
            # As an executor does, which tells of its progress.
            while True:
                stages.check()
                threading.Event().wait(0.01)
        except LaneStoppedError:
            stopped.append(lane)
            raise

    with pytest.raises(type(error)):
        run_lanes(stages, 2, goes_through(stages, run))
    assert len(stopped) <= 1


@pytest.mark.parametrize(
    ("cluster", "nodes", "workers"),
    [
        ({"gpus_per_worker": 1}, [{"CPU": 16, "GPU": 4}], 12),
        ({"gpus_per_worker": 0.25}, [{"CPU": 16, "GPU": 1}], 12),
        ({"gpus_per_worker": 0.25}, [{"CPU": 4, "GPU": 1}], None),
        ({"gpus_per_worker": 1}, [{"CPU": 1, "GPU": 1}, {"CPU": 8}], 8),
        ({"gpus_per_worker": 1, "workers": 2}, [{"CPU": 16, "GPU": 4}], 2),
        ({"gpus_per_worker": 1, "max_workers": 3}, [{"CPU": 16, "GPU": 4}], 3),
        ({"gpus_per_worker": 1, "cpus_per_worker": 4}, [{"CPU": 16, "GPU": 2}], 2),
        ({"gpus_per_worker": 1, "memory_per_worker": "8GiB"}, [{"CPU": 16, "GPU": 1}], None),
        ({"gpus_per_worker": 0}, [{"CPU": 16, "GPU": 1}], None),
    ],
)
def test_there_are_workers_beside_where_there_is_room(
    cluster: dict[str, Any], nodes: Sequence[dict[str, float]], workers: int | None
) -> None:
    spec = ClusterSpec.model_validate(cluster)
    resources = execution._resources(spec, Devices(spec.gpus_per_worker or 0, ""))
    beside = execution._workers_beside(spec, resources, dict(zip("ab", nodes, strict=False)))
    assert (None if beside is None else beside.workers) == workers
    assert beside is None or (beside.gpus_per_worker, beside.min_workers) == (0, 0)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.xdist_group("ray")
def test_no_shard_that_calls_no_network_holds_a_gpu(audit_folder: Path) -> None:
    content = small_spec()
    content["groups"] = [each for each in content["groups"] if each["role"] != "simulated"]
    stages = ("inversion", "variance", "neighbours", "patch_gmm", "local_variation")
    content["stages"] = {name: content["stages"][name] for name in stages}
    content["stages"]["inversion"] |= {"iterations": 400, "shard_items": 20}
    content["cluster"] = {"executor": "ray"}
    spec = write_spec(audit_folder, content)
    command = [sys.executable, "-m", "tests.jobs.told_gpu", str(spec), str(audit_folder / "run")]
    # Ray reads a token once in a process, so that this one is by itself.
    (audit_folder / "home").mkdir()
    environment = {**os.environ, "HOME": str(audit_folder / "home")}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = done.stderr
    assert "computing on a GPU; a worker on CPUs beside" in told
    logs = (audit_folder / "run" / "_log").glob("*.jsonl")
    lines = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    on_gpu = {line["stage"]: set[bool]() for line in lines}
    for line in lines:
        on_gpu[line["stage"]].add(line["place"].startswith("GPU "))
    assert on_gpu == {
        "images": {True, False},
        "inversion": {True},
        "variance_fit": {True},
        "variance": {False},
        "neighbours": {False},
        "patch_fit": {False},
        "patch_gmm": {False},
        "local_variation": {False},
    }
    # At the same time, by the order in which they are told of.
    assert told.index("neighbours: ") < told.index("inversion: finished")
