"""The audit of the support: unequal classes, samples that cannot be read."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.jobs.audits.specs import gather_facts, load_spec
from offmanifold.jobs.audits.support.plan import plan
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.plan.stage import PlanContext
from offmanifold.jobs.record.run_directory import RunDirectory
from offmanifold.jobs.spec.loading import SpecError
from offmanifold.workers.datasets import ImageError
from offmanifold.workers.outcome import Failure
from offmanifold.workers.resources import Resources
from offmanifold.workers.support import _threshold, compute
from PIL import Image
from typer.testing import CliRunner

from .conftest import write_spec

REAL, IMAGES, RARE = 600, 200, 0.03
# A module is known by its name alone, so each test file has names of its own.
MODULE = """
import torch

class Decoder:
    latent_dim, num_classes, image_shape = 16, 2, (1, 8, 8)

    def __init__(self):
        self.weight = torch.randn(16, 64, generator=torch.Generator().manual_seed(5))

    def __call__(self, latent, condition):
        # The images of class 1 are nearly all one.
        values = latent @ self.weight * torch.where(condition == 1, 0.01, 1.0)[:, None]
        return torch.sigmoid(values).view(-1, 1, 8, 8)

    def to(self, device):
        return self

def make():
    return Decoder()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real images of the law of the generator, few of which are of class 1."""
    place = tmp_path_factory.mktemp("support")
    (place / "support_decoder.py").write_text(MODULE)
    names: dict[str, Any] = {}
    exec(MODULE, names)
    draws = torch.Generator().manual_seed(0)
    labels = (torch.rand(REAL, generator=draws) < RARE).long()
    made = names["make"]()(torch.randn(REAL, 16, generator=draws), labels)
    pixels = (made * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    np.savez(place / "real.npz", pixels, labels.numpy())
    np.savez(place / "unlabelled.npz", pixels)
    np.savez(place / "more.npz", pixels, np.arange(REAL) % 3)
    return place


def spec_of(folder: Path, real: str = "real", **generator: Any) -> Path:
    return write_spec(
        folder,
        {
            "name": "support",
            "generators": [{"name": "made", "source": "support_decoder:make", **generator}],
            "groups": [{"name": "generated", "role": "generated", "count": 2}],
            "stages": {
                "support": {
                    "dataset": "npz",
                    "path": f"{real}.npz",
                    "split": None,
                    "images": IMAGES,
                }
            },
            "cluster": {"executor": "serial"},
        },
    )


def test_an_honest_generator_of_unequal_classes_is_left_alone(folder: Path) -> None:
    spec = spec_of(folder)
    done = CliRunner().invoke(app, ["run", str(spec), "--out", str(folder / "run")])
    assert done.exit_code == 0, done.output
    summary = pd.read_parquet(folder / "run" / "summary.parquet")
    p_values = summary[summary.metric == "support_p_more"].set_index("group").value
    assert p_values.min() > 0.05
    # With as many images of either class it would be convicted.
    loaded = load_spec(str(spec))
    storage = LocalStorage.create(folder / "shards")
    *_, shard = plan(PlanContext(loaded, gather_facts(loaded), RunDirectory(storage)))
    share = float(np.mean(shard.settings["classes"]))
    assert abs(share - RARE) < 4 * np.sqrt(2 * RARE / IMAGES)
    resources = Resources(storage, torch.device("cpu"))
    asked, turns = (
        compute(shard.items, {**shard.settings, "classes": classes}, resources)[0]
        for classes in (shard.settings["classes"], None)
    )
    assert not isinstance(asked, Failure)
    assert not isinstance(turns, Failure)
    assert len(turns["first"]) > 20 * len(asked["first"])


@pytest.mark.parametrize(
    ("real", "message"),
    [
        ("unlabelled", "npz has no classes, so that nothing says how often generator made"),
        ("more", "has images of class 2, under which generator made is not evaluated"),
    ],
)
def test_real_images_say_how_often_each_class_is_asked_for(
    folder: Path, real: str, message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        gather_facts(load_spec(str(spec_of(folder, real))))


def test_samples_that_cannot_be_read_fail_alone(folder: Path) -> None:
    pixels = np.load(folder / "real.npz")["arr_0"][:80, ..., 0]
    (folder / "made").mkdir()
    for number, each in enumerate(pixels):
        Image.fromarray(each).save(folder / "made" / f"img{number:04d}.png")
    pictures = {"dataset": "folder", "path": "made", "image_shape": [1, 8, 8]}
    spec = spec_of(folder, "unlabelled", source=None, samples=pictures)
    spec.write_text(spec.read_text().replace(f"images: {IMAGES}", "images: 80"))

    def made(damaged: int, out: str) -> tuple[pd.Series, pd.DataFrame, str]:
        for number in range(damaged):
            file = folder / "made" / f"img{number:04d}.png"
            file.write_bytes(file.read_bytes()[:-30])
        done = CliRunner().invoke(app, ["run", str(spec), "--out", str(folder / out)])
        rows = pd.read_parquet(folder / out / "support")
        single = rows[(rows.group == "generated image") & (rows.status != "ok")]
        return rows[rows.group == "generated"].iloc[0], single, done.output

    row, failed, output = made(2, "few-damaged")
    assert (row.status, row.n) == ("ok", 78)
    assert len(failed) == 2
    assert failed.error.str.contains(r"^ImageError: .*img000[01]\.png").all()
    assert "2 in support" in output
    row, failed, output = made(20, "many-damaged")
    assert (len(failed), row.error) == (20, "60 images can be used, at least 64 are needed")
    assert "21 in support" in output


def test_real_images_that_are_nearly_all_equal_calibrate_nothing() -> None:
    images = np.zeros((100, 4), np.float32)
    images[:3] = np.eye(4, dtype=np.float32)[:3]
    with pytest.raises(ImageError, match="of 100 real images 4 differ"):
        _threshold(images)
