"""Chains that are to be compiled: refused where they cannot be, and told where they are."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.core.compilation import Compilation
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.drive import devices
from offmanifold.jobs.drive.devices import local_compile_problem
from offmanifold.jobs.spec.audit import ClusterSpec
from offmanifold.workers import runner
from offmanifold.workers.compiler_problem import compiler_problem
from offmanifold.workers.generators import open_generator
from offmanifold.workers.gpu_problem import Gpu
from offmanifold.workers.row_memory import limited
from offmanifold.workers.runner import WorkerFactory
from pydantic import ValidationError
from typer.testing import CliRunner

from .conftest import lean_spec, write_spec

COMPILED = ClusterSpec(compile=True)
CPU = torch.device("cpu")


def test_a_compiler_that_is_not_there_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "compiler"
    compiler.touch(mode=0o755)
    monkeypatch.setenv("CXX", f"{compiler} -O2")
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    no_header = compiler_problem()
    assert no_header is not None
    assert str(tmp_path / "Python.h") in no_header
    (tmp_path / "Python.h").touch()
    assert compiler_problem() is None
    for missing in (str(tmp_path / "other"), ""):
        monkeypatch.setenv("CXX", missing)
        problem = compiler_problem()
        assert problem is not None
        assert repr(missing) in problem
        assert "cluster.compile" in problem


@pytest.mark.parametrize("command", ["run", pytest.param("plan", marks=pytest.mark.slow)])
def test_it_is_told_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    out = tmp_path / "run"
    asked = ["--set", "cluster.compile=true", "--set", "cluster.device=cpu"]
    where = ["--out", str(out)] if command == "run" else []
    done = CliRunner().invoke(app, [command, "digits", *asked, *where])
    told = " ".join((done.stderr if command == "run" else done.stdout).split())
    assert "cluster.compile is true, but the C++ compiler 'no-such-compiler'" in told
    assert done.exit_code == (7 if command == "run" else 0)
    assert not out.exists()


def test_gpus_are_not_compiled_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for asked in ({"device": "gpu"}, {"gpus_per_worker": 1}):
        with pytest.raises(ValidationError, match="compiled on CPUs alone"):
            ClusterSpec.model_validate({**asked, "compile": True})
    monkeypatch.setattr(devices, "compiler_problem", lambda: "none")
    monkeypatch.setattr(devices, "gpus", lambda: (Gpu("H200", 1),))
    problem = local_compile_problem(COMPILED)
    assert problem is not None
    assert "cluster.device to cpu" in problem
    on_cpus = COMPILED.model_copy(update={"device": "cpu"})
    assert local_compile_problem(on_cpus) == "none"
    assert local_compile_problem(ClusterSpec()) is None
    assert local_compile_problem(COMPILED.model_copy(update={"address": "auto"})) is None


def test_a_worker_without_a_compiler_computes_as_without_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    factory = WorkerFactory(LocalStorage(tmp_path), 1, gpu_share=0, compiles=True)
    told: list[Mapping[str, Any]] = []
    monkeypatch.setattr(runner, "ShardWorker", lambda *_, **options: told.append(options))
    monkeypatch.setattr(runner, "compiler_problem", lambda: None)
    factory()
    replace(factory, compiles=False)()
    assert not caplog.messages
    monkeypatch.setattr(runner, "compiler_problem", lambda: "there is none")
    with caplog.at_level(logging.WARNING):
        factory()
    assert [each["compiles"] for each in told] == [True, False, False]
    assert len(caplog.messages) == 1
    assert "no chains are compiled: there is none" in caplog.messages[0]


def test_generators_that_graphs_do_not_make_faster_are_not_compiled() -> None:
    told: list[str] = []
    digits = limited(
        open_generator("shipped:digits").generator, CPU, None, Compilation(told.append)
    )
    assert digits.compilation is not None
    assert digits.compilation.active
    assert not told
    fashion = open_generator("shipped:fashion").generator
    compilation = Compilation(told.append)
    limited(fashion, CPU, None, compilation)
    assert not compilation.active
    assert "KiB" in told.pop()


@pytest.mark.slow
def test_a_run_says_that_chains_were_compiled(
    audit_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spec = lean_spec()
    spec["cluster"] = {**spec.get("cluster", {}), "compile": True, "device": "cpu"}
    write_spec(audit_folder, spec)
    given = ["run", str(audit_folder / "audit.yaml"), "--out", str(audit_folder / "run")]
    with (
        patch("torch.compile", partial(torch.compile, backend="eager")),
        patch.object(devices, "compiler_problem", lambda: None),
        patch.object(runner, "compiler_problem", lambda: None),
        caplog.at_level(logging.WARNING),
    ):
        result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    assert not [line for line in caplog.messages if "compiled" in line or "different" in line]
    found = json.loads((audit_folder / "run" / "provenance.json").read_text())["computed_on"]
    (words,) = found
    assert words.endswith("float32, chains compiled for small generators")
