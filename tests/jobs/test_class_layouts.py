"""The shipped digits in several layouts: whatever holds the images, the audit is the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from offmanifold.jobs.commands.cli import app
from offmanifold.workers.datasets import open_dataset
from PIL import Image
from typer.testing import CliRunner

# Their sorted order is not that of the digits.
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
PER_CLASS = 2


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The same digits as numbered folders, as named ones with a map, and each so in an archive."""
    place = tmp_path_factory.mktemp("layouts")
    images, labels = open_dataset("digits", split="train").arrays()
    found: dict[str, dict[str, Any]] = {}
    for layout, names in (("numbered", [str(digit) for digit in range(10)]), ("named", NAMES)):
        order = sorted(range(10), key=names.__getitem__)
        rows = [row for digit in order for row in np.flatnonzero(labels == digit)[:PER_CLASS]]
        pixels = np.round(images[rows] * 255).astype(np.uint8)
        for rank, digit in enumerate(labels[rows]):
            file = place / layout / names[digit] / f"{rank:02d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[rank, 0]).save(file)
        found[layout] = {"dataset": "folder", "path": str(place / layout)}
        # An image's searches start from its place in the set, so the archive has the same order.
        archive = place / f"{layout}.npz"
        np.savez(archive, pixels.transpose(0, 2, 3, 1), labels[rows])
        found[f"{layout} npz"] = {"dataset": "npz", "path": str(archive)}
    found["named"]["classes"] = {name: digit for digit, name in enumerate(NAMES)}
    return found


def audited(source: dict[str, Any], place: Path) -> tuple[float, pd.DataFrame]:
    """The observation variance, and a row for each image: its class, and its inversion's error."""
    spec = {
        "name": "layouts",
        "generators": [{"name": "digits", "source": "shipped:digits"}],
        "groups": [{"name": "train", "role": "train", **source}],
        "stages": {
            "inversion": {"iterations": 30, "restarts": 2, "candidates": 8},
            "variance": {},
        },
        "cluster": {"executor": "serial"},
    }
    (place / "audit.yaml").write_text(yaml.safe_dump(spec))
    done = CliRunner().invoke(app, ["run", str(place / "audit.yaml"), "--out", str(place / "run")])
    assert done.exit_code == 0, done.output
    images = pd.read_parquet(place / "run" / "images")
    errors = pd.read_parquet(place / "run" / "inversion")[["image_id", "condition", "mse"]]
    rows = images.merge(errors, on="image_id")
    assert (rows.label == rows.condition_y).all()
    rows["key"] = [tuple(pixels) for pixels in rows.pixels]
    variance = pd.read_parquet(place / "run" / "variance").variance
    kept = rows.sort_values("key")[["key", "image_id", "label", "mse"]].reset_index(drop=True)
    return float(variance.iloc[0]), kept


def test_the_same_images_give_the_same_audit_in_every_layout(
    layouts: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    found = {}
    for name, source in layouts.items():
        (tmp_path / name).mkdir()
        found[name] = audited(source, tmp_path / name)
    for layout in ("numbered", "named"):
        variance, rows = found[layout]
        expected, expected_rows = found[f"{layout} npz"]
        assert variance == expected
        pd.testing.assert_frame_equal(rows, expected_rows)
        assert sorted(rows.label) == sorted(list(range(10)) * PER_CLASS)
    # From other starts, the same searches end near the same errors.
    assert found["named"][0] == pytest.approx(found["numbered"][0], rel=0.3)
    for column in ("key", "label"):
        assert list(found["named"][1][column]) == list(found["numbered"][1][column])
