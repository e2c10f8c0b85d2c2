"""The audit of objects: areas of a segmenter made by hand, a generator that leaves one out."""

import html
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from offmanifold.jobs.audits.specs import gather_facts, load_spec
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.spec.loading import SpecError
from typer.testing import CliRunner

from .conftest import write_spec

IMAGES = 60
# A module is known by its name alone, so each test file has names of its own.
MODULE = """
import torch

def brightness():
    # dark, grey, bright, and one that no image has
    return lambda images: (images.mean(dim=1) * 2.999).long()

def random():
    return lambda images: torch.randint(0, 3, (len(images), 4, 4))

def logits():
    return lambda images: torch.zeros(len(images), 3, 8, 8)

def beyond():
    return lambda images: torch.full((len(images), 8, 8), 9)

def small():
    return lambda images: torch.zeros(len(images), dtype=torch.long)

def broken():
    def segment(images):
        raise RuntimeError("no weights")
    return segment

def seldom():
    def segment(images):
        if (images.mean(dim=(1, 2, 3)) > 0.95).any():
            return torch.full((len(images), 8, 8), 7)
        return torch.zeros(len(images), 8, 8, dtype=torch.long)
    return segment

def number():
    return 3
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("segments")
    rng = np.random.default_rng(0)
    real = rng.integers(0, 256, (IMAGES, 8, 8, 1)).astype(np.uint8)
    # Without bright pixels.
    made = rng.integers(0, 160, (IMAGES, 8, 8, 1)).astype(np.uint8)
    np.savez(place / "real.npz", real)
    np.savez(place / "made.npz", made)
    (place / "segments_by_hand.py").write_text(MODULE)
    return place


def spec_of(folder: Path, function: str = "brightness", **changes: Any) -> Path:
    spec = {
        "name": "segments",
        "generators": [
            {"name": name, "samples": {"dataset": "npz", "path": f"{name}.npz"}}
            for name in ("real", "made")
        ],
        "groups": [{"name": "generated", "role": "generated", "count": 2}],
        "segmenter": {
            "source": f"segments_by_hand:{function}",
            "objects": ["dark", "grey", "bright", "nothing"],
        },
        "stages": {
            "segments": {"dataset": "npz", "path": "real.npz", "split": None, "shard_items": 25}
        },
        "cluster": {"executor": "serial"},
        **changes,
    }
    return write_spec(folder, spec)


def pick(out: Path, metric: str, generator: str, group: str, condition: str) -> Any:
    rows = pd.read_parquet(out / "summary.parquet")
    keys = {"metric": metric, "generator": generator, "group": group, "condition": condition}
    found = rows[(rows[list(keys)] == pd.Series(keys)).all(axis=1)]
    assert len(found) == 1
    return found.iloc[0]


def test_areas_are_those_of_the_maps_and_what_is_left_out_shows(folder: Path) -> None:
    out = folder / "out"
    done = CliRunner().invoke(app, ["run", str(spec_of(folder)), "--out", str(out)])
    assert done.exit_code == 0, done.output
    made, real = (
        np.load(folder / f"{name}.npz")["arr_0"].reshape(IMAGES, -1) / np.float32(255)
        for name in ("made", "real")
    )
    for number, name in enumerate(("dark", "grey", "bright")):
        mine, theirs = (
            ((images * np.float32(2.999)).astype(int) == number).mean(axis=1)
            for images in (made, real)
        )
        area = pick(out, "object_area", "made", "generated", name)
        assert area.value == pytest.approx(mine.mean())
        assert pick(out, "object_area", "made", "real", name).value == pytest.approx(theirs.mean())
        ratio = pick(out, "object_area_ratio", "made", "generated", name)
        assert ratio.value == pytest.approx(mine.mean() / theirs.mean())
        honest = pick(out, "object_area_ratio", "real", "generated", name)
        assert honest.value == pytest.approx(1)
        assert honest.low < 1 < honest.high
    bright = pick(out, "object_presence_ratio", "made", "generated", "bright")
    assert (bright.value, bright.n) == (0, IMAGES)
    assert bright.high < 0.1
    assert pick(out, "object_area", "real", "real", "nothing").value == 0
    assert np.isnan(pick(out, "object_area_ratio", "real", "generated", "nothing").value)
    report = html.unescape((out / "report.html").read_text(encoding="utf-8"))
    assert "What does it leave out of its images?" in report
    assert "bright" in report


def test_an_image_without_a_map_fails_alone(folder: Path) -> None:
    images = np.load(folder / "real.npz")["arr_0"]
    images[7] = 255
    np.savez(folder / "white.npz", images)
    spec = spec_of(
        folder,
        "seldom",
        stages={"segments": {"dataset": "npz", "path": "white.npz", "split": None}},
    )
    out = folder / "white"
    done = CliRunner().invoke(app, ["run", str(spec), "--out", str(out)])
    assert done.exit_code == 3, done.output
    rows = pd.read_parquet(out / "segments")
    failed = rows[rows.status != "ok"]
    assert failed.image_id.tolist() == ["real-0000007"]
    assert "it returns class 7, but there are 4 classes" in failed.error.iloc[0]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("random", "gives other maps for the same images"),
        ("logits", "it returns torch.float32, expected whole numbers"),
        ("beyond", "it returns class 9, but there are 4 classes, 0 to 3"),
        ("small", r"it returns shape \[3\] for 3 images"),
        ("broken", "it raised RuntimeError: no weights"),
        ("number", "its function returned int"),
        ("absent", "has no function 'absent'"),
    ],
)
def test_what_is_no_segmenter_is_refused(function: str, message: str, folder: Path) -> None:
    with pytest.raises(SpecError, match=f"segmenter: .*{message}"):
        gather_facts(load_spec(str(spec_of(folder, function))))


def test_specs_that_do_not_fit_are_refused(folder: Path) -> None:
    source = "segments_by_hand:brightness"
    wrong: dict[str, dict[str, Any]] = {
        "stages.segments needs a segmenter": {"segmenter": None},
        "two classes are called 'a'": {"segmenter": {"source": source, "objects": ["a", "a"]}},
        "segmenter.objects: ": {"segmenter": {"source": source, "objects": []}},
        "segmenter.source: ": {"segmenter": {"source": "by_hand.py", "objects": ["a"]}},
    }
    for message, changes in wrong.items():
        with pytest.raises(SpecError, match=message):
            gather_facts(load_spec(str(spec_of(folder, **changes))))
