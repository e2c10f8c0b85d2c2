"""A small audit on disk: a user's own generator in a module, and a folder of real digits."""

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any, BinaryIO

import numpy as np
import pytest
import yaml
from matplotlib.figure import Figure as Canvas
from offmanifold.jobs.report import figure
from PIL import Image
from sklearn.datasets import load_digits

GENERATOR_MODULE = """
    import torch

    class TwoClassDecoder:
        latent_dim, num_classes, image_shape = 3, 2, (1, 8, 8)

        def __init__(self):
            draws = torch.Generator().manual_seed(5)
            self.weight = torch.randn(2, 3, 64, generator=draws)
            self.offset = torch.randn(2, 1, 64, generator=draws)

        def __call__(self, latent, condition):
            values = torch.bmm(latent[:, None], self.weight[condition]) + self.offset[condition]
            return torch.sigmoid(values).view(-1, 1, 8, 8)

        def to(self, device):
            return self

    def make():
        return TwoClassDecoder()
"""

# How a search of images ends: of itself it goes on for 200 steps more, which no test rests on.
SHORT_END = {"final_iterations": 5, "polish": 1}

STAGES = [
    "images",
    "neighbours",
    "inversion",
    "variance_fit",
    "variance",
    "tuning",
    "likelihood",
    "comparison",
    "convergence",
    "patch_fit",
    "patch_gmm",
    "local_variation",
    "ppca",
    "sensing",
]


@pytest.fixture(autouse=True)
def _timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan takes the time of everything once: of rounds of it tests/workers/test_timing tells."""
    monkeypatch.setattr("offmanifold.workers.timing._ENOUGH_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def _painted_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are painted, but neither laid out nor written, which is half of a report's time.

    Whole are those of tests/jobs/report, of what a module makes once, and of other processes.
    """

    def leave_blank(_: Canvas, file: BinaryIO, **__: Any) -> None:
        file.write(b"<svg/>")

    monkeypatch.setattr(figure, "_lay_out", lambda _: None)
    monkeypatch.setattr(Canvas, "savefig", leave_blank)


@pytest.fixture
def audit_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with decoder.py, images/{zero,one}/*.png and a spec that audits them."""
    folder = tmp_path / "audit"
    fill_audit_folder(folder)
    yield folder
    forget_decoder(folder)


def fill_audit_folder(folder: Path) -> None:
    """Makes the folder, with its module, its images and its spec."""
    folder.mkdir()
    (folder / "decoder.py").write_text(dedent(GENERATOR_MODULE))
    digits = load_digits()
    for label, name in enumerate(("zero", "one")):
        (folder / "images" / name).mkdir(parents=True)
        for index, pixels in enumerate(digits.images[digits.target == label][:6]):
            grey = np.round(pixels / 16 * 255).astype(np.uint8)
            Image.fromarray(grey).save(folder / "images" / name / f"{index}.png")
    write_spec(folder, small_spec())


def forget_decoder(folder: Path) -> None:
    """Undoes what opening the folder's generator left in this process."""
    sys.modules.pop("decoder", None)
    sys.path[:] = [path for path in sys.path if path != str(folder)]


def small_spec() -> dict[str, Any]:
    """A spec of every stage, at sizes that run in seconds."""
    images = {"dataset": "folder", "path": "images", "conditions": "all"}
    return {
        "name": "small",
        "generators": [{"name": "decoder", "source": "decoder:make"}],
        "groups": [
            {"name": "train", "role": "train", **images},
            {"name": "test", "role": "test", **images},
            {"name": "generated", "role": "generated", "count": 6, "conditions": "all"},
            {"name": "simulated", "role": "simulated", "count": 6, "conditions": "all"},
            {
                "name": "plain",
                "role": "outlier",
                "dataset": "single_colour",
                "count": 4,
                "conditions": "all",
            },
        ],
        "stages": {
            "inversion": {
                "iterations": 20,
                "restarts": 2,
                "bank": 64,
                "shard_items": 10,
                **SHORT_END,
            },
            "variance": {},
            "likelihood": {
                "transitions": 3,
                "leapfrog_steps": 2,
                "restarts": 2,
                "candidates": 2,
                "bank": 16,
                "iterations": 5,
                "finalists": 1,
                "final_iterations": 3,
                "polish": 1,
                "shard_items": 10,
            },
            "comparison": {
                "estimator": "classical",
                "transitions": 10,
                "leapfrog_steps": 2,
                "pilots": 2,
                "shard_items": 10,
            },
            "convergence": {"images_per_group": 2},
            "neighbours": {"dataset": "folder", "path": "images", "split": None},
            "patch_gmm": {"dataset": "folder", "path": "images", "split": None, "components": 2},
            "local_variation": {},
            "sensing": {
                "dataset": "folder",
                "path": "images",
                "split": None,
                "measurements": [32, 4],
                "components": 5,
                "images_per_group": 3,
                "iterations": 20,
                "restarts": 2,
                "bank": 64,
                "shard_items": 10,
                **SHORT_END,
            },
        },
        "cluster": {"executor": "serial"},
    }


def lean_spec() -> dict[str, Any]:
    """That spec with the stages alone that lead to a density: half of the time."""
    spec = small_spec()
    lead = ("inversion", "variance", "likelihood")
    spec["stages"] = {stage: spec["stages"][stage] for stage in lead}
    # The marginal fit takes as long as the rest.
    spec["stages"]["variance"] = {"estimator": "profile"}
    return spec


def write_spec(folder: Path, spec: dict[str, Any]) -> Path:
    """Writes the spec as audit.yaml in the folder."""
    path = folder / "audit.yaml"
    path.write_text(yaml.safe_dump(spec))
    return path
