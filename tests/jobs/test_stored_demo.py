"""The whole demo: in one process, and under a real Ray with all that it reads in a bucket.

The rows of the one are those of the other.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from offmanifold.cluster.locations import Location
from offmanifold.jobs.audits import stages_of
from offmanifold.jobs.audits.specs import parse_spec
from offmanifold.jobs.commands.cli import app
from typer.testing import CliRunner

from ..object_store import BUCKET, ObjectStore
from ..stored_demo import demo_at, upload, write_inputs
from ..stored_runs import assert_the_same_rows, summary_of
from .conftest import SHORT_END

# How many images of each group, other settings of stages, and how many digits of each split.
Size = tuple[dict[str, int], dict[str, dict[str, Any]], int | None]
GROUPS = ("train", "test", "generated", "simulated", "null", "single_colour", "natural_patches")
# Every stage, at few images, iterations and transitions.
SHORT_COUNTS = dict.fromkeys(GROUPS, 2)
SHORT: dict[str, dict[str, Any]] = {
    "inversion": {"bank": 256, "restarts": 4, "iterations": 30, **SHORT_END},
    "likelihood": {
        "transitions": 5,
        "restarts": 4,
        "bank": 100,
        "iterations": 20,
        "finalists": 2,
        "final_iterations": 5,
        "polish": 1,
    },
    "comparison": {"transitions": 10},
    "convergence": {"images_per_group": 2},
    "sweep": {"transitions": [5, 10], "images_per_group": 2},
    "sensing": {"images_per_group": 2, "bank": 256, "iterations": 20, "restarts": 4, **SHORT_END},
    "annotator": {"most_rounds": 2},
    "diversity": {"factors": [1, 2], "most_rounds": 2},
}
COUNTS = dict.fromkeys(GROUPS, 4) | {"train": 10, "test": 10}
AS_IT_IS = {stage: {"images_per_group": 2} for stage in ("convergence", "sweep", "sensing")}


def write_demo(place: str, folder: Path, size: Size) -> list[str]:
    """Writes the demo with its inputs at ``place`` as demo.yaml; the names of its stages."""
    counts, settings, _ = size
    text = yaml.safe_dump(demo_at(place, counts, **settings))
    (folder / "demo.yaml").write_text(text)
    return [stage.name for stage in stages_of(parse_spec(text, folder, (), "demo.yaml"))]


def run_at(place: str, folder: Path, out: Location, size: Size, *options: str) -> list[str]:
    """Runs the demo with its inputs at ``place``, as a user does; the names of its stages."""
    stages = write_demo(place, folder, size)
    cli = str(Path(sys.executable).with_name("offmanifold"))
    subprocess.run([cli, "run", "demo.yaml", "--out", str(out), *options], cwd=folder, check=True)
    return stages


@pytest.mark.slow
@pytest.mark.ci
def test_a_short_demo_ends_in_a_report(tmp_path: Path) -> None:
    """CI's part of the demo: in this process, and on a disk."""
    size: Size = (SHORT_COUNTS, SHORT, 300)
    write_inputs(tmp_path / "inputs", size[2])
    run = tmp_path / "run"
    stages = write_demo(str(tmp_path / "inputs"), tmp_path, size)
    assert len(stages) == 21
    options = ("--out", str(run), "--set", "cluster.executor=serial")
    done = CliRunner().invoke(app, ["run", str(tmp_path / "demo.yaml"), *options])
    assert done.exit_code == 0, done.output
    for stage in stages:
        assert (pd.read_parquet(run / stage, columns=["status"]).status == "ok").all(), stage
    assert (run / "report.html").stat().st_size > 0


# It starts a Ray, and two cores are too few for two at once.
@pytest.mark.xdist_group("ray")
@pytest.mark.slow
@pytest.mark.parametrize(
    "size",
    [
        pytest.param((SHORT_COUNTS, SHORT, 300), id="short"),
        pytest.param((COUNTS, AS_IT_IS, None), id="as it is"),
    ],
)
def test_the_whole_demo_in_a_bucket_gives_the_rows_of_a_local_run(
    size: Size, store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store.use(monkeypatch)
    monkeypatch.setenv("OFFMANIFOLD_CACHE", str(tmp_path / "cache"))
    # As many threads in-process as a worker has: sums round by how they are divided.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_inputs(tmp_path / "inputs", size[2])
    here = str(tmp_path / "inputs")
    prefix = tmp_path.name
    there = upload(tmp_path / "inputs", store, f"{prefix}/inputs")
    address = f"s3://{BUCKET}/{prefix}/run"
    in_process = ("--set", "cluster.executor=serial")
    stages = run_at(here, tmp_path, tmp_path / "run", size, *in_process)
    assert run_at(there, tmp_path, address, size) == stages
    assert len(stages) == 21
    assert assert_the_same_rows(address, tmp_path / "run", stages, (there, here)) > 0
    pd.testing.assert_frame_equal(summary_of(address), summary_of(tmp_path / "run"))
