"""On what parts were computed: in their metadata and the provenance, told where it is mixed."""

import json
import logging
import platform
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.spec.audit import ClusterSpec
from offmanifold.workers import runner
from offmanifold.workers.computed_on import COMPUTED_ON_KEY, in_metadata, in_words, read_from
from offmanifold.workers.runner import WorkerFactory
from pydantic import ValidationError
from typer.testing import CliRunner

from .conftest import lean_spec, write_spec

HERE = f"CPU ({platform.machine()}), torch {torch.__version__}, float32"
H200 = {"device": "NVIDIA H200", "torch": "2.11.0", "cuda": "13.0", "precision": "float32"}


def run(folder: Path) -> Any:
    given = ["run", str(folder / "audit.yaml"), "--out", str(folder / "run")]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    return json.loads((folder / "run" / "provenance.json").read_text())["computed_on"]


def test_a_resumed_run_that_mixes_devices_says_so(
    audit_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_spec(audit_folder, lean_spec())
    with caplog.at_level(logging.WARNING):
        alone = run(audit_folder)
    assert list(alone) == [HERE]
    assert not [line for line in caplog.messages if "different devices" in line]
    parts = sorted((audit_folder / "run" / "inversion").glob("part-*"))
    assert alone[HERE]["inversion"] == len(parts)
    parts[0].unlink()
    monkeypatch.setattr(runner, "computed_on", lambda *_, **__: H200)
    with caplog.at_level(logging.WARNING):
        mixed = run(audit_folder)
    words = "NVIDIA H200, torch 2.11.0, CUDA 13.0, float32"
    assert mixed[words]["inversion"] == 1
    assert mixed[HERE].get("inversion", 0) == len(parts) - 1
    (told,) = [line for line in caplog.messages if "different devices" in line]
    assert words in told
    assert HERE in told
    assert read_from(pq.read_table(parts[0])) == [H200]
    page = (audit_folder / "run" / "report.html").read_text()
    assert words in page


def test_a_part_of_unknown_origin_may_say_anything() -> None:
    for said in ("", "1", "[1]", "{}", '["1"]', '[["device"]]', '["device"]', '[{"device": [1]}]'):
        table = pa.table({"a": [1]}).replace_schema_metadata({COMPUTED_ON_KEY: said})
        assert all(isinstance(in_words(each), str) for each in read_from(table))
    assert read_from(pa.table({"a": [1]})) == []


def test_each_is_kept_once_and_rocm_is_named_as_what_it_is() -> None:
    amd = {**H200, "device": "AMD", "cuda": "ROCm 6.4"}
    table = pa.table({"a": [1]})
    table = table.replace_schema_metadata({COMPUTED_ON_KEY: in_metadata([H200, amd, dict(H200)])})
    assert [in_words(each) for each in read_from(table)] == [
        "NVIDIA H200, torch 2.11.0, CUDA 13.0, float32",
        "AMD, torch 2.11.0, ROCm 6.4, float32",
    ]


def test_tf32_is_off_unless_the_spec_asks_for_it(tmp_path: Path) -> None:
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    try:
        for tf32 in (True, False):
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = not tf32
            WorkerFactory(LocalStorage(tmp_path), 1, gpu_share=0, tf32=tf32)()
            assert torch.backends.cudnn.allow_tf32 is tf32
            assert torch.backends.cuda.matmul.allow_tf32 is tf32
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
    assert ClusterSpec(gpus_per_worker=0.5, tf32=True).tf32
    assert not ClusterSpec(gpus_per_worker=1).tf32
    for none in (ClusterSpec(device="cpu"), ClusterSpec(gpus_per_worker=0)):
        with pytest.raises(ValidationError, match="only GPUs have it"):
            ClusterSpec.model_validate({**none.model_dump(), "tf32": True})
