"""The whole demo under a real Ray with everything that it reads and writes in a bucket."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from offmanifold.cluster.locations import Location
from offmanifold.jobs.spec_loading import parse_spec
from offmanifold.jobs.stages.registry import stages_of

from ..object_store import BUCKET, ObjectStore
from ..stored_demo import demo_at, upload, write_inputs
from ..stored_runs import assert_the_same_rows, summary_of

FEW = {
    "train": 10,
    "test": 10,
    "generated": 4,
    "simulated": 4,
    "single_colour": 4,
    "natural_patches": 4,
}
OF_EACH_GROUP = {
    "convergence": {"images_per_group": 2},
    "sweep": {"images_per_group": 2},
    "sensing": {"images_per_group": 2},
}


def run_at(place: str, folder: Path, out: Location) -> list[str]:
    """Runs the demo with its inputs at ``place``, as a user does; the names of its stages."""
    text = yaml.safe_dump(demo_at(place, FEW, **OF_EACH_GROUP))
    (folder / "demo.yaml").write_text(text)
    cli = str(Path(sys.executable).with_name("offmanifold"))
    subprocess.run([cli, "run", "demo.yaml", "--out", str(out)], cwd=folder, check=True)
    return [stage.name for stage in stages_of(parse_spec(text, folder, (), "demo.yaml"))]


@pytest.mark.slow
def test_the_whole_demo_in_a_bucket_gives_the_rows_of_a_local_run(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store.use(monkeypatch)
    monkeypatch.setenv("OFFMANIFOLD_CACHE", str(tmp_path / "cache"))
    write_inputs(tmp_path / "inputs")
    here = str(tmp_path / "inputs")
    there = upload(tmp_path / "inputs", store, "demo/inputs")
    address = f"s3://{BUCKET}/demo/run"
    stages = run_at(here, tmp_path, tmp_path / "run")
    assert run_at(there, tmp_path, address) == stages
    assert len(stages) == 14
    assert assert_the_same_rows(address, tmp_path / "run", stages, (there, here)) > 0
    pd.testing.assert_frame_equal(summary_of(address), summary_of(tmp_path / "run"))
