"""The images of a finished run as the image set of another audit."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from offmanifold.jobs.cli import app
from offmanifold.workers.datasets import DatasetError, open_dataset
from typer.testing import CliRunner

from .conftest import small_spec, write_spec


def test_a_group_of_a_run_is_an_image_set(audit_folder: Path) -> None:
    spec = small_spec()
    spec["stages"] = {"local_variation": {}}
    spec["groups"] = [group for group in spec["groups"] if group["role"] != "simulated"]
    write_spec(audit_folder, spec)
    run = audit_folder / "run"
    done = CliRunner().invoke(app, ["run", str(audit_folder / "audit.yaml"), "--out", str(run)])
    assert done.exit_code == 0, done.output
    rows = pd.read_parquet(run / "images").sort_values("image_id")
    for group, labelled in (("train", True), ("plain", False)):
        expected = rows[rows.group == group]
        images = open_dataset("run", split=group, path=run, image_shape=(1, 8, 8))
        pixels, labels = images.arrays()
        np.testing.assert_array_equal(
            pixels.reshape(len(pixels), -1), np.stack(list(expected.pixels))
        )
        assert labels.tolist() == (expected.label.tolist() if labelled else [-1] * len(labels))
    with pytest.raises(DatasetError, match=r"there are .*plain.*train"):
        open_dataset("run", split="absent", path=run)
    with pytest.raises(DatasetError, match="1x8x8"):
        open_dataset("run", split="train", path=run, image_shape=(3, 8, 8))
    with pytest.raises(DatasetError, match="name a run directory"):
        open_dataset("run", split="train", path=audit_folder)
