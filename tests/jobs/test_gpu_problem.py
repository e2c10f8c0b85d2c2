"""GPUs that cannot be had are told before the work: why, and what to do."""

from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.drive.devices import local_gpu_problem
from offmanifold.jobs.spec.audit import ClusterSpec
from offmanifold.workers.gpu_problem import gpu_problem
from typer.testing import CliRunner

NO_DRIVER = "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU."
TOO_OLD = "The NVIDIA driver on your system is too old (found version 12040). Please update."
no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


@pytest.mark.parametrize("said", [NO_DRIVER, TOO_OLD, "No CUDA GPUs are available"])
def test_the_reason_is_torchs(said: str) -> None:
    with (
        patch("torch.cuda.is_available", lambda: False),
        patch("torch.version.cuda", "13.0"),
        patch("torch.cuda.init", side_effect=RuntimeError(said)),
    ):
        problem = gpu_problem()
    assert problem is not None
    assert said.rstrip(".") in problem
    assert "CUDA 13.0" in problem
    assert "gpus_per_worker" in problem


@pytest.mark.parametrize("mps", [False, True])
def test_a_build_without_cuda_is_one_whatever_else_it_has(mps: bool) -> None:
    with (
        patch("torch.cuda.is_available", lambda: False),
        patch("torch.version.cuda", None),
        patch("torch.version.hip", None),
        patch("torch.backends.mps.is_available", lambda: mps),
    ):
        problem = gpu_problem()
    assert problem is not None
    assert "built without CUDA" in problem
    assert ("MPS" in problem) == mps


def test_rocm_is_named_as_what_it_is() -> None:
    with (
        patch("torch.cuda.is_available", lambda: False),
        patch("torch.version.cuda", None),
        patch("torch.version.hip", "6.4"),
        patch("torch.cuda.init", side_effect=RuntimeError("No HIP GPUs are available")),
    ):
        problem = gpu_problem()
    assert problem is not None
    assert "ROCm 6.4" in problem
    assert "No HIP GPUs" in problem


def test_nothing_is_said_of_gpus_that_are_there_or_not_asked_for_or_elsewhere() -> None:
    with patch("torch.cuda.is_available", lambda: True):
        assert gpu_problem() is None
    assert local_gpu_problem(ClusterSpec()) is None
    assert local_gpu_problem(ClusterSpec(gpus_per_worker=1, address="auto")) is None
    assert local_gpu_problem(ClusterSpec(device="gpu", address="auto")) is None


@no_gpu
@pytest.mark.parametrize("executor", ["ray", "serial"])
@pytest.mark.parametrize("asked", ["gpus_per_worker=1", "device=gpu"])
def test_run_refuses_before_any_work(tmp_path: Path, executor: str, asked: str) -> None:
    out = tmp_path / "run"
    sets = ["--set", f"cluster.{asked}", "--set", f"cluster.executor={executor}"]
    done = CliRunner().invoke(app, ["run", "digits", "--out", str(out), *sets])
    told = " ".join(done.stderr.split())
    assert done.exit_code == 7, told
    assert f"cluster.{asked.replace('=', ' is ')}, but torch" in told
    assert not out.exists()


@no_gpu
def test_plan_notes_what_run_would_refuse_and_idle_gpus() -> None:
    done = CliRunner().invoke(app, ["plan", "digits", "--set", "cluster.gpus_per_worker=2"])
    told = " ".join(done.output.split())
    assert done.exit_code == 0, told
    assert "`run` would refuse to start: torch" in told
    assert "computes on one GPU" in told
