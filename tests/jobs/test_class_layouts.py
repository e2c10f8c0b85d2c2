"""The shipped digits in several layouts: whatever holds the images, the audit is the same."""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from numpy.typing import NDArray
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.jobs.audits.images.plan import dataset_settings
from offmanifold.jobs.audits.specs import gather_facts, load_spec
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.drive.driver import provenance_of
from offmanifold.jobs.plan.stage import AuditContext
from offmanifold.workers.datasets import open_dataset, shard_image_set
from offmanifold.workers.resources import Resources
from PIL import Image
from typer.testing import CliRunner, Result

from .conftest import SHORT_END

# Their sorted order is not that of the digits.
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
PER_CLASS = 2


@dataclass(frozen=True)
class Laid:
    """A few digits in order of class: their pixels [N, 1, 8, 8] and classes, and their files."""

    pixels: NDArray[np.uint8]
    labels: list[int]
    files: list[bytes]


@pytest.fixture(scope="module")
def digits() -> Laid:
    images, labels = open_dataset("digits", split="train").arrays()
    rows = [row for digit in range(10) for row in np.flatnonzero(labels == digit)[:PER_CLASS]]
    pixels = np.round(images[rows] * 255).astype(np.uint8)
    files = []
    for each in pixels:
        sink = io.BytesIO()
        Image.fromarray(each[0]).save(sink, "png")
        files.append(sink.getvalue())
    return Laid(pixels, labels[rows].tolist(), files)


Source = dict[str, Any]
MAP = {name: digit for digit, name in enumerate(NAMES)}


def write(place: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)


def archive(place: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(place / "set.zip", "w") as made:
        for name, content in files.items():
            made.writestr(name, content)


def numbered(digits: Laid, above: str = "") -> dict[str, bytes]:
    """A folder for each class, by its number."""
    pairs = enumerate(zip(digits.labels, digits.files, strict=True))
    return {f"{above}{label}/{rank:02d}.png": content for rank, (label, content) in pairs}


def tool(digits: Laid, labels: Any) -> dict[str, bytes]:
    """As StyleGAN's dataset_tool writes a set."""
    names = [f"00000/img{rank:08d}.png" for rank in range(len(digits.files))]
    listed = json.dumps({"labels": [list(pair) for pair in zip(names, labels, strict=True)]})
    return dict(zip(names, digits.files, strict=True)) | {"dataset.json": listed.encode()}


def as_numbered_folders(place: Path, digits: Laid) -> Source:
    write(place / "set", numbered(digits))
    return {"dataset": "folder", "path": "set"}


def as_a_mac_leaves_folders(place: Path, digits: Laid) -> Source:
    noise = dict.fromkeys(["set/3/._00.png", "set/.DS_Store", "set/1/notes.txt"], b"x")
    write(place, numbered(digits, "set/digits/") | noise)
    return {"dataset": "folder", "path": "set"}


def as_numbered_zip(place: Path, digits: Laid) -> Source:
    archive(place, numbered(digits, "digits/") | {"__MACOSX/digits/3/._00.png": b"x"})
    return {"dataset": "zip", "path": "set.zip"}


def as_tool_folder(place: Path, digits: Laid) -> Source:
    write(place / "set", tool(digits, digits.labels))
    return {"dataset": "folder", "path": "set"}


def as_tool_zip_of_names(place: Path, digits: Laid) -> Source:
    archive(place, tool(digits, [NAMES[label] for label in digits.labels]))
    return {"dataset": "zip", "path": "set.zip", "classes": MAP}


def as_tool_zip_of_vectors(place: Path, digits: Laid) -> Source:
    archive(place, tool(digits, np.eye(10)[digits.labels].tolist()))
    return {"dataset": "zip", "path": "set.zip"}


def as_tool_zip_from_one(place: Path, digits: Laid) -> Source:
    archive(place, tool(digits, [label + 1 for label in digits.labels]))
    one_based = {str(label + 1): label for label in range(10)}
    return {"dataset": "zip", "path": "set.zip", "classes": one_based}


def as_table(place: Path, digits: Laid) -> Source:
    files = {f"{rank:02d}.png": content for rank, content in enumerate(digits.files)}
    write(place / "set", files)
    lines = [f"{name},{label}" for name, label in zip(files, digits.labels, strict=True)]
    (place / "list.csv").write_text("\n".join(["file,digit", *lines[::-1]]))
    return {"dataset": "folder", "path": "set", "labels": "list.csv"}


def as_npz(place: Path, digits: Laid) -> Source:
    np.savez(place / "set.npz", digits.pixels.transpose(0, 2, 3, 1), np.array(digits.labels))
    return {"dataset": "npz", "path": "set.npz"}


def as_npz_of_names(place: Path, digits: Laid) -> Source:
    names = np.array([NAMES[label] for label in digits.labels])
    np.savez(place / "set.npz", digits.pixels.transpose(0, 2, 3, 1), names)
    return {"dataset": "npz", "path": "set.npz", "classes": MAP}


LAYOUTS: list[Callable[[Path, Laid], Source]] = [
    as_numbered_folders,
    as_a_mac_leaves_folders,
    as_numbered_zip,
    as_tool_folder,
    as_tool_zip_of_names,
    as_tool_zip_of_vectors,
    as_tool_zip_from_one,
    as_table,
    as_npz,
    as_npz_of_names,
]


def write_spec(source: Source, place: Path) -> Path:
    spec = {
        "name": "layouts",
        "generators": [{"name": "digits", "source": "shipped:digits"}],
        "groups": [{"name": "train", "role": "train", **source}],
        "stages": {
            "inversion": {"iterations": 6, "restarts": 1, "bank": 8, **SHORT_END},
            "variance": {"estimator": "profile"},
        },
        "cluster": {"executor": "serial"},
    }
    file = place / "audit.yaml"
    file.write_text(yaml.safe_dump(spec))
    return file


def command(verb: str, source: Source, place: Path) -> Result:
    file = write_spec(source, place)
    out = ["--out", str(place / "run")] if verb == "run" else []
    return CliRunner().invoke(app, [verb, str(file), *out])


def understood(source: Source, place: Path) -> tuple[NDArray[np.float32], list[int | None]]:
    """The images as a worker reads them, and their classes."""
    spec = load_spec(str(write_spec(source, place)))
    context = AuditContext(spec, gather_facts(spec))
    settings = dataset_settings(context, context.facts.groups["train"])
    resources = Resources(LocalStorage.create(place / "run"), torch.device("cpu"))
    images, labels = shard_image_set(settings, resources).arrays()
    return images, labels.tolist()


def audited(source: Source, place: Path) -> tuple[float, pd.DataFrame]:
    """The observation variance, and a row for each image: its class, and its inversion's error."""
    done = command("run", source, place)
    assert done.exit_code == 0, done.output
    images = pd.read_parquet(place / "run" / "images")
    errors = pd.read_parquet(place / "run" / "inversion")[["image_id", "condition", "mse"]]
    rows = images.merge(errors, on="image_id")
    assert (rows.label == rows.condition_y).all()
    variance = pd.read_parquet(place / "run" / "variance").variance
    rows["key"] = [tuple(pixels) for pixels in rows.pixels]
    return float(variance.iloc[0]), rows[["key", "image_id", "label", "mse"]]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_every_layout_has_the_same_images_and_classes(
    digits: Laid, tmp_path: Path, layout: Callable[[Path, Laid], Source]
) -> None:
    images, classes = understood(layout(tmp_path, digits), tmp_path)
    np.testing.assert_array_equal(images, digits.pixels.astype(np.float32) / np.float32(255))
    assert classes == digits.labels


@pytest.mark.slow
def test_the_same_images_give_the_same_audit_in_ten_layouts(digits: Laid, tmp_path: Path) -> None:
    found = {}
    for layout in LAYOUTS:
        place = tmp_path / layout.__name__
        place.mkdir()
        found[layout.__name__] = audited(layout(place, digits), place)
    expected, rows = found["as_numbered_folders"]
    assert rows.label.tolist() == digits.labels
    assert expected > 0
    for name, (variance, each) in found.items():
        assert variance == expected, name
        pd.testing.assert_frame_equal(each, rows)


def test_a_layout_that_lost_its_classes_is_refused(digits: Laid, tmp_path: Path) -> None:
    some = [label if rank else None for rank, label in enumerate(digits.labels)]
    none = {**tool(digits, some), "dataset.json": b'{"labels": null}'}
    bare = {name: content for name, content in none.items() if name != "dataset.json"}
    for reason, files in (
        ("has no class for 1 of the 20 images, such as 00000/img00000000.png", tool(digits, some)),
        ("dataset.json says that there are no classes", none),
        ("the folders only number the images", bare),
    ):
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        place.mkdir()
        archive(place, files)
        done = command("plan", {"dataset": "zip", "path": "set.zip"}, place)
        assert done.exit_code == 2
        assert reason in done.stderr
        assert "20 images, no class" in done.stderr


def test_plan_and_provenance_tell_what_was_read(digits: Laid, tmp_path: Path) -> None:
    source = as_a_mac_leaves_folders(tmp_path, digits)
    planned = command("plan", source, tmp_path)
    told = " ".join(planned.output.split())
    assert (
        "train: 20 images read, 3 left out: hidden, or of the system (2, such as .DS_Store)" in told
    )
    assert "no image by its suffix (1, such as 1/notes.txt); classes by folder" in told
    spec = load_spec(str(tmp_path / "audit.yaml"))
    kept = provenance_of(spec, gather_facts(spec))
    account = kept["datasets"]["train"]["account"]
    assert account["read"] == 20
    assert [each["count"] for each in account["left_out"]] == [2, 1]
