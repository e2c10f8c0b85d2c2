"""`offmanifold nearest`: the training images that given ones are nearest to, and their p-values."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from offmanifold.jobs.audits.copies import query
from offmanifold.jobs.commands.cli import app
from PIL import Image
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits
from typer.testing import CliRunner, Result

from .conftest import write_spec

TRAINING, HELD_OUT, OTHERS = 300, 250, 30
COPIES = {"plain": 0, "mirrored": 1, "darker": 2}
NPZ = {"dataset": "npz", "split": None}
COPIES_STAGE = {
    **NPZ,
    "path": "training.npz",
    "held_out": {**NPZ, "path": "held_out.npz"},
    "images": HELD_OUT,
}


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """Grey levels from 0 to 240 [images, 8, 8]: training ones, held-out ones and others."""
    images = (load_digits().images * 15).astype(np.uint8)
    chosen: np.ndarray = images[np.random.default_rng(3).permutation(len(images))]
    return chosen[: TRAINING + HELD_OUT + OTHERS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, digits: np.ndarray) -> Path:
    place = tmp_path_factory.mktemp("nearest")
    training, held_out, others = np.split(digits, [TRAINING, TRAINING + HELD_OUT])
    np.savez(place / "training.npz", training[..., None])
    np.savez(place / "held_out.npz", held_out[..., None])
    Image.new("L", (16, 16)).save(place / "large.png")
    asked = place / "asked"
    asked.mkdir()
    for number, pixels in enumerate(others):
        Image.fromarray(pixels).save(asked / f"other-{number:02d}.png")
    Image.fromarray(training[COPIES["plain"]]).save(asked / "plain.png")
    Image.fromarray(training[COPIES["mirrored"]][:, ::-1].copy()).save(asked / "mirrored.png")
    Image.fromarray(training[COPIES["darker"]] // 2).save(asked / "darker.png")
    (asked / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return place


def spec_of(folder: Path, stages: dict[str, Any]) -> str:
    spec = {
        "name": "asked",
        "generators": [{"name": "gan", "samples": {"dataset": "npz", "path": "held_out.npz"}}],
        "groups": [{"name": "generated", "role": "generated", "count": 2}],
        "stages": stages,
        "cluster": {"executor": "serial"},
    }
    return str(write_spec(folder, spec))


def ask(folder: Path, images: str, stages: dict[str, Any], *options: str) -> Result:
    spec = spec_of(folder, stages)
    return CliRunner().invoke(app, ["nearest", str(folder / images), "--spec", spec, *options])


def answered(done: Result) -> dict[str, Any]:
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    named = {Path(each["source"]).stem: each for each in found["images"]}
    return {**found, "images": named}


def test_changed_copies_are_found_in_their_view_and_others_are_not(folder: Path) -> None:
    stages = {"copies": COPIES_STAGE}
    page = folder / "page.html"
    found = answered(ask(folder, "asked", stages, "--json", "--out", str(page)))
    images = found["images"]
    assert len(images) == OTHERS + len(COPIES)
    views = {"plain": "pixels", "mirrored": "flip", "darker": "brightness"}
    least = 1 / (1 + HELD_OUT)
    for name, place in COPIES.items():
        assert images[name]["view"] == views[name]
        assert images[name]["neighbours"][0]["index"] == place
        assert images[name]["p_value"] == pytest.approx(least)
        assert images[name]["found"]
        assert images[name]["is_copy"] or images[name]["placebo"] <= 0.05
    assert images["plain"]["neighbours"][0]["distance"] == 0
    assert [each["nearness"] for each in found["images"].values()] == sorted(
        each["nearness"] for each in images.values()
    )
    others = np.array([images[name]["p_value"] for name in images if name not in COPIES])
    # 30 exchangeable images: more than 6 of them at 5% have a chance below 0.1%.
    assert np.sum(others <= 0.05) <= 6
    assert found["held_out"] == {
        "held_out": HELD_OUT,
        "placebo": HELD_OUT // 2,
        "placebo_p": found["held_out"]["placebo_p"],
    }
    assert found["held_out"]["placebo_p"] > 0.05
    (reason,) = found["unusable"]
    assert "broken.png" in reason
    text = page.read_text()
    assert "data:image/png" in text
    assert "broken.png" in text
    table = page.with_suffix(".csv").read_text().splitlines()
    assert len(table) == 1 + len(images)


def test_pixels_are_compared_as_all_pairs_are(folder: Path, digits: np.ndarray) -> None:
    """And in pixels alone nothing is left of a mirrored copy."""
    found = answered(ask(folder, "asked", {"copies": COPIES_STAGE}, "--json", "--space", "pixels"))
    vectors = digits.reshape(len(digits), -1) / 255
    distance = cdist(vectors[TRAINING + HELD_OUT :], vectors[:TRAINING])
    ordered = np.sort(distance, axis=1)
    for number in range(OTHERS):
        mine = found["images"][f"other-{number:02d}"]
        assert [each["index"] for each in mine["neighbours"]] == np.argsort(
            distance[number], kind="stable"
        )[:5].tolist()
        assert mine["nearness"] == pytest.approx(
            ordered[number, 0] / ordered[number, :50].mean(), rel=1e-5
        )
    assert not found["images"]["mirrored"]["found"]


def test_without_held_out_images_there_is_no_p_value_and_it_says_why(folder: Path) -> None:
    stages = {"neighbours": {**NPZ, "path": "training.npz"}}
    found = answered(ask(folder, "asked/plain.png", stages, "--json"))
    assert list(found["images"]) == ["plain"]
    assert found["images"]["plain"]["source"] == f"folder:{folder}/asked/plain.png"
    assert found["images"]["plain"]["p_value"] is None
    assert found["held_out"] is None
    assert "no p-values: the spec names no held-out images" in " ".join(found["notes"])
    shown = ask(folder, "asked/plain.png", stages)
    assert "no p-values" in " ".join(shown.output.split())


def test_what_else_went_wrong_is_told_with_its_text(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A space whose features are no numbers is not a set of training images that are unusable."""

    def not_finite(*_: object, **__: object) -> None:
        raise ValueError("an image holds a pixel that is not finite: leave it out first")

    monkeypatch.setattr(query, "nearest_training", not_finite)
    done = ask(folder, "asked", {"copies": COPIES_STAGE})
    assert done.exit_code != 0
    told = " ".join(done.output.split())
    assert "could not be compared: an image holds a pixel that is not finite" in told
    assert "can be used" not in told


def test_features_of_the_annotator_are_a_space(folder: Path) -> None:
    digits = {"dataset": "digits"}
    stages = {
        "annotator": {**digits, "split": "train", "architecture": "linear", "most_rounds": 2},
        "class_shares": {**digits, "split": "test"},
        "copies": COPIES_STAGE,
    }
    found = answered(ask(folder, "asked/plain.png", stages, "--json", "--space", "annotator"))
    mine = found["images"]["plain"]
    assert (mine["view"], mine["neighbours"][0]["index"]) == ("annotator", COPIES["plain"])


REFUSED = {
    "no training images": ({"images": {}}, "asked", "none says what the training images are"),
    "no annotator": ({"copies": COPIES_STAGE}, "asked", "the spec has no annotator"),
    "no such folder": ({"copies": COPIES_STAGE}, "nowhere", "there is no folder"),
    "no picture": ({"copies": COPIES_STAGE}, "audit.yaml", "no image by its suffix"),
    "another size": ({"copies": COPIES_STAGE}, "large.png", "or add --resize lanczos"),
    "nothing usable": ({"copies": COPIES_STAGE}, "asked/broken.png", "none of these images"),
}


@pytest.mark.parametrize(("stages", "images", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_answered_is_refused(
    folder: Path, stages: dict[str, Any], images: str, message: str
) -> None:
    options = ("--space", "annotator") if "annotator" in message else ()
    done = ask(folder, images, stages, *options)
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())
