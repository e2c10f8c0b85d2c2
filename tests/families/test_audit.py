"""An audit of a published checkpoint, from the file to the report, in-process."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from offmanifold.jobs.commands.cli import app
from offmanifold.workers.checkpoints.opening import open_checkpoint
from PIL import Image
from typer.testing import CliRunner

from .recorded import write_checkpoint
from .theano_files import ali_arrays, improved_arrays, save

SETTINGS = {"restarts": 1, "bank": 8, "iterations": 3, "final_iterations": 2, "polish": 1}


def small_spec(generator: dict[str, Any]) -> dict[str, Any]:
    """Two training images and a generated one, in the fewest steps."""
    return {
        "name": "published",
        "generators": [{"name": "gan", **generator}],
        "groups": [
            {"name": "train", "role": "train", "dataset": "folder", "path": "images"},
            {"name": "generated", "role": "generated", "count": 1},
        ],
        "stages": {
            "inversion": SETTINGS,
            # The marginal fit would take most of the time, on a grid of variances.
            "variance": {"estimator": "profile"},
            "likelihood": {"transitions": 2, "leapfrog_steps": 1, **SETTINGS},
        },
        "cluster": {"executor": "serial"},
    }


def write_images(folder: Path, image_shape: list[int], classes: int) -> None:
    """Two random images, of different classes where there are any."""
    random = np.random.default_rng(0)
    for index in range(2):
        place = folder / "images" / (str(index) if classes else "all")
        place.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (*image_shape[1:], 3), np.uint8)
        Image.fromarray(pixels).save(place / f"{index}.png")


def write_ali(folder: Path) -> Path:
    """A decoder of SVHN's, whose names hold characters that no file's name may."""
    save(folder / "ali.npz", ali_arrays("svhn", stored=True))
    return folder / "ali.npz"


def write_improved_gan(folder: Path) -> Path:
    np.savez(folder / "gen_params.npz", *improved_arrays([6, 5, 4, 3], 9))
    return folder / "gen_params.npz"


# Files of the families without a recording of upstream's class.
WRITTEN: dict[str, Callable[[Path], Path]] = {
    "ali": write_ali,
    "improved-gan": write_improved_gan,
}
SLOW = (
    "studiogan-biggan-deep",
    "studiogan-resnet",
    "studiogan-dcgan",
    "biggan-diffaugment",
    "biggan-deep",
    "stylegan2-ada",
    "stylegan3-t",
    "stylegan3-r",
    "stylegan-xl",
    "stylegan-xl-superresolution",
    "r3gan",
    "began",
    "wgan",
    "ali",
)


@pytest.mark.parametrize(
    "case",
    [
        "studiogan-biggan",
        "dcgan",
        "improved-gan",
        *(pytest.param(case, marks=pytest.mark.slow) for case in SLOW),
    ],
)
def test_a_checkpoint_is_audited_from_file_to_report(case: str, tmp_path: Path) -> None:
    path = WRITTEN[case](tmp_path) if case in WRITTEN else write_checkpoint(case, tmp_path)
    opened = open_checkpoint(path)
    arguments = opened.arguments
    write_images(tmp_path, arguments["image_shape"], arguments["num_classes"])
    spec = tmp_path / "audit.yaml"
    spec.write_text(yaml.safe_dump(small_spec({"family": opened.family, "weights": path.name})))
    run = tmp_path / "run"
    result = CliRunner().invoke(app, ["run", str(spec), "--out", str(run)])
    assert result.exit_code == 0, result.output
    for stage, count in (("inversion", 3), ("likelihood", 3)):
        table = pd.read_parquet(run / stage)
        assert (table.status == "ok").all(), table.error.dropna().tolist()
        assert len(table) == count
    provenance = json.loads((run / "provenance.json").read_text())["generators"]["gan"]
    assert provenance["family"] == opened.family
    assert provenance["notes"]
    assert "<html" in (run / "report.html").read_text()


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        ({"weights": "checkpoint.pth"}, "weights need a family"),
        ({"family": "studiogan-biggan"}, "give one of source"),
        ({"family": "studiogan-bigan", "weights": "checkpoint.pth"}, "did you mean"),
        ({"source": "shipped:digits", "family": "studiogan-biggan"}, "need weights"),
        ({"family": "studiogan-dcgan", "weights": "checkpoint.pth"}, "it looks like studiogan-big"),
        ({"family": "studiogan-biggan", "weights": "none.pth"}, "generators.gan.weights"),
    ],
)
def test_a_wrong_entry_is_refused_before_any_work(
    tmp_path: Path, generator: dict[str, Any], message: str
) -> None:
    write_checkpoint("studiogan-biggan", tmp_path)
    spec = tmp_path / "audit.yaml"
    spec.write_text(yaml.safe_dump(small_spec(generator)))
    result = CliRunner().invoke(app, ["run", str(spec), "--out", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "run").exists()
