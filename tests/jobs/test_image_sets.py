"""Image sets in a spec: the images of a finished run, and sets brought to the generator's size."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from offmanifold.jobs.commands.cli import app
from offmanifold.workers.datasets import DatasetError, open_dataset
from PIL import Image
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
    with pytest.raises(DatasetError, match=r"split can be .*plain.*train"):
        open_dataset("run", split="absent", path=run)
    with pytest.raises(DatasetError, match="1x8x8"):
        open_dataset("run", split="train", path=run, image_shape=(3, 8, 8))
    with pytest.raises(DatasetError, match="name a run directory"):
        open_dataset("run", split="train", path=audit_folder)


def test_outliers_are_rescaled_where_the_spec_says_so(audit_folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 12, 12, 1), dtype=np.uint8)
    np.savez(audit_folder / "large.npz", pixels)
    outliers = {"name": "large", "role": "outlier", "dataset": "npz", "path": "large.npz"}
    spec = small_spec()
    spec["stages"] = {"local_variation": {}}
    spec["groups"] = [outliers]
    command = ["run", str(audit_folder / "audit.yaml"), "--out", str(audit_folder / "run")]
    write_spec(audit_folder, spec)
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 2
    assert "1x12x12" in refused.stderr
    spec["groups"] = [outliers | {"resize": "lanczos"}]
    write_spec(audit_folder, spec)
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    rows = pd.read_parquet(audit_folder / "run" / "images")
    assert (rows.height == 8).all()
    assert rows.source.str.endswith(", lanczos 1x8x8").all()


def test_pictures_are_cropped_and_labelled_where_the_spec_says_so(audit_folder: Path) -> None:
    faces = audit_folder / "celeba" / "img_align_celeba"
    faces.mkdir(parents=True)
    lines = ["3", "Bald Smiling"]
    for index, smiling in enumerate(("1", "-1", "1")):
        pixels = np.random.default_rng(index).integers(0, 256, (21, 17), dtype=np.uint8)
        Image.fromarray(pixels).save(faces / f"{index}.jpg")
        lines.append(f"{index}.jpg -1 {smiling}")
    (faces.parent / "list_attr_celeba.txt").write_text("\n".join(lines))
    spec = small_spec()
    spec["stages"] = {"local_variation": {}}
    group = {"name": "faces", "role": "test", "dataset": "celeba", "path": "celeba"}
    spec["groups"] = [group | {"attribute": "Smiling", "resize": "lanczos", "crop": 16}]
    write_spec(audit_folder, spec)
    command = ["run", str(audit_folder / "audit.yaml"), "--out", str(audit_folder / "run")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    rows = pd.read_parquet(audit_folder / "run" / "images").sort_values("image_id")
    assert rows.label.tolist() == [1, 0, 1]
    assert rows.source.str.endswith(".jpg, crop 16, lanczos 1x8x8").all()
    spec["groups"] = [group | {"crop": 16}]
    write_spec(audit_folder, spec)
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 2
    assert "crop needs resize" in refused.stderr
