"""What workers compute on, by the spec, the machine or cluster, and the generators' sizes."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
import torch
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.cluster.ray_errors import ClusterError
from offmanifold.jobs.audits.specs import gather_facts, load_spec
from offmanifold.jobs.drive import devices
from offmanifold.jobs.drive.devices import joined_devices, local_devices, require_movable
from offmanifold.jobs.drive.driver import run_audit
from offmanifold.jobs.drive.progress import Progress
from offmanifold.jobs.spec.audit import ClusterSpec
from offmanifold.workers.gpu_problem import Gpu, gpus
from offmanifold.workers.runner import WorkerFactory
from rich.console import Console

from .conftest import small_spec, write_spec

GIB = 2**30
H200 = Gpu("NVIDIA H200", 139 * GIB)
FACTS: Any = SimpleNamespace(generators={})
no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def chosen(cluster: ClusterSpec, found: tuple[Gpu, ...], need: int = GIB, cpus: int = 16) -> float:
    with (
        patch.object(devices, "gpus", lambda: found),
        patch.object(devices, "available_cpus", lambda: cpus),
        patch.object(devices, "_bytes_of_a_worker", lambda *_: need),
    ):
        return local_devices(cluster, FACTS).gpus_per_worker


@pytest.mark.parametrize(
    ("settings", "need", "expected"),
    [
        ({}, GIB, 1 / 4),
        ({}, 60 * GIB, 1 / 2),
        ({}, 70 * GIB, 1),
        ({}, 1000 * GIB, 1),
        ({"device": "gpu"}, GIB, 1 / 4),
        ({"device": "cpu"}, GIB, 0),
        ({"gpus_per_worker": 0}, GIB, 0),
        ({"gpus_per_worker": 0.1}, GIB, 0.1),
        ({"executor": "serial"}, GIB, 1),
        ({"workers": 1}, GIB, 1),
        ({"workers": 3}, GIB, 1 / 3),
        ({"max_workers": 2}, GIB, 1 / 2),
        ({"cpus_per_worker": 8}, GIB, 1 / 2),
    ],
)
def test_a_gpu_is_used_where_there_is_one(
    settings: dict[str, Any], need: int, expected: float
) -> None:
    assert chosen(ClusterSpec(**settings), (H200,), need) == expected


def test_several_gpus_share_the_machines_cpus_and_the_smallest_decides() -> None:
    assert chosen(ClusterSpec(), (H200,) * 8) == 1 / 2
    assert chosen(ClusterSpec(), (H200,) * 32) == 1
    assert chosen(ClusterSpec(), (H200, Gpu("small", 2 * GIB)), need=GIB) == 1 / 2
    assert chosen(ClusterSpec(workers=3), (H200,) * 2) == 1 / 2


def test_what_a_worker_needs_grows_with_its_generator() -> None:
    spec = load_spec("digits")
    small = devices._bytes_of_a_worker(spec.cluster, gather_facts(spec))
    large = load_spec("fashion", ("generators=[{name: a, source: shipped:fashion}]",))
    assert GIB < small < devices._bytes_of_a_worker(large.cluster, gather_facts(large)) < 2 * GIB


def test_a_joined_cluster_is_asked_what_its_nodes_have() -> None:
    cpus, gpu = {"CPU": 8.0}, {"CPU": 8.0, "GPU": 4.0}
    auto = ClusterSpec(address="auto")
    assert joined_devices(auto, [cpus], FACTS).gpus_per_worker == 0
    assert joined_devices(auto, [cpus, gpu], FACTS).gpus_per_worker == 1
    on_cpus = auto.model_copy(update={"device": "cpu"})
    assert joined_devices(on_cpus, [gpu], FACTS).gpus_per_worker == 0
    asked = auto.model_copy(update={"device": "gpu"})
    assert joined_devices(asked, [cpus], FACTS).gpus_per_worker == 1
    half = auto.model_copy(update={"gpus_per_worker": 0.5})
    assert "2 workers on each" in joined_devices(half, [gpu], FACTS).told


def test_what_is_told_names_the_gpus() -> None:
    found = SimpleNamespace(name="NVIDIA H200", total_memory=139 * GIB)
    with (
        patch("torch.cuda.is_available", lambda: True),
        patch("torch.cuda.device_count", lambda: 2),
        patch("torch.cuda.get_device_properties", lambda _: found),
    ):
        assert gpus() == (H200, H200)
        told = local_devices(ClusterSpec(executor="serial"), FACTS).told
    assert told == "computing on 2 GPUs (NVIDIA H200), one worker on each"


@no_gpu
def test_a_worker_that_was_given_a_gpu_it_cannot_use_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"a worker on \S+ has a GPU, but torch"):
        WorkerFactory(LocalStorage(tmp_path), 1, gpu_share=1)()


@no_gpu
def test_run_and_provenance_say_what_was_computed_on(audit_folder: Path) -> None:
    content = small_spec()
    content["groups"] = [each for each in content["groups"] if each["role"] != "simulated"]
    content["stages"] = {"neighbours": content["stages"]["neighbours"]}
    content["cluster"] = {"executor": "serial"}
    write_spec(audit_folder, content)
    console = Console(record=True, width=200, stderr=True)
    run_audit(
        load_spec(str(audit_folder / "audit.yaml")), str(audit_folder / "run"), Progress(console)
    )
    assert "computing on CPUs: torch" in console.export_text()
    assert '"CPU (' in (audit_folder / "run" / "provenance.json").read_text()


def test_a_generator_that_is_bound_to_the_cpu_keeps_an_audit_there() -> None:
    bound: Any = SimpleNamespace(
        generators={"mine": SimpleNamespace(only_on_cpu=("linspace", "a constant"), samples=None)}
    )
    with patch.object(devices, "gpus", lambda: (H200,)):
        found = local_devices(ClusterSpec(), bound)
    assert found.gpus_per_worker == 0
    assert "generator mine makes tensors on the CPU, wherever it is (linspace, a cons" in found.told
    joined = ClusterSpec(address="auto")
    assert joined_devices(joined, [{"CPU": 8.0, "GPU": 1.0}], bound).gpus_per_worker == 0
    require_movable(ClusterSpec(), bound)
    require_movable(ClusterSpec(device="cpu"), bound)
    for asked in (ClusterSpec(device="gpu"), ClusterSpec(gpus_per_worker=1)):
        with pytest.raises(ClusterError, match=r"register_buffer.*set cluster.device to cpu"):
            require_movable(asked, bound)
