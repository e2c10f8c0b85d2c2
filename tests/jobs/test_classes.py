"""Classes in a spec: whatever the layout, an image's class is what its makers called it."""

import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from offmanifold.jobs.commands.cli import app
from PIL import Image
from typer.testing import CliRunner, Result

from ..object_store import BUCKET, ObjectStore
from .conftest import forget_decoder

DECODER = """
    import torch

    class Decoder:
        latent_dim, num_classes, image_shape = 2, {classes}, (1, 8, 8)

        def __call__(self, latent, condition):
            return torch.sigmoid(latent.sum(1))[:, None, None, None].expand(-1, 1, 8, 8)

        def to(self, device):
            return self

    def make():
        return Decoder()
"""
# Out of order, as a file system may list them.
TEN = ["shirt", "bag", "coat", "top", "boot", "dress", "sandal", "trouser", "sneaker", "pullover"]

# The name of a picture in its layout, and its grey level, which says which picture it is.
Pictures = Mapping[str, int]
Layout = Callable[[Path, Pictures], dict[str, str]]


def picture(level: int) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(np.full((8, 8), level, np.uint8)).save(sink, "png")
    return sink.getvalue()


def as_folder(place: Path, pictures: Pictures) -> dict[str, str]:
    for name, level in pictures.items():
        file = place / "set" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture(level))
    return {"dataset": "folder", "path": "set"}


def as_zip(place: Path, pictures: Pictures) -> dict[str, str]:
    with zipfile.ZipFile(place / "set.zip", "w") as archive:
        for name, level in pictures.items():
            archive.writestr(name, picture(level))
    return {"dataset": "zip", "path": "set.zip"}


@pytest.fixture(params=["folder", "zip", "bucket"])
def lay(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Layout:
    if request.param != "bucket":
        return as_folder if request.param == "folder" else as_zip
    store: ObjectStore = request.getfixturevalue("store")
    store.use(monkeypatch)
    monkeypatch.setenv("OFFMANIFOLD_CACHE", str(tmp_path / "cache"))

    def as_bucket(place: Path, pictures: Pictures) -> dict[str, str]:
        prefix = f"classes/{place.parent.name}-{len(pictures)}"
        for name, level in pictures.items():
            key = f"{prefix}/{name}"
            store.client().put_object(Bucket=BUCKET, Key=key, Body=picture(level))
        return {"dataset": "folder", "path": f"s3://{BUCKET}/{prefix}"}

    return as_bucket


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "audit"
    folder.mkdir()
    yield folder
    forget_decoder(folder)


def command(place: Path, verb: str, classes: int, *groups: dict[str, Any], **stages: Any) -> Result:
    """Runs or plans an audit of these groups, of a generator with so many classes."""
    sys.modules.pop("decoder", None)
    (place / "decoder.py").write_text(dedent(DECODER).format(classes=classes))
    spec = {
        "name": "classes",
        "generators": [{"name": "decoder", "source": "decoder:make"}],
        "groups": list(groups),
        "stages": {"local_variation": {}, **stages},
        "cluster": {"executor": "serial"},
    }
    (place / "audit.yaml").write_text(yaml.safe_dump(spec))
    arguments = [verb, str(place / "audit.yaml")]
    return CliRunner().invoke(
        app, arguments + (["--out", str(place / "run")] if verb == "run" else [])
    )


def group(source: Mapping[str, Any], name: str = "train", **keys: Any) -> dict[str, Any]:
    return {"name": name, "role": "train", **source, **keys}


def classes_of(place: Path, classes: int, *groups: dict[str, Any]) -> dict[int, int | None]:
    """The class of each picture, by its grey level, as the run's images have it."""
    done = command(place, "run", classes, *groups)
    assert done.exit_code == 0, done.output
    rows = pd.read_parquet(place / "run" / "images", columns=["label", "pixels"])
    levels = [round(pixels[0] * 255) for pixels in rows.pixels]
    labels = [None if pd.isna(label) else int(label) for label in rows.label]
    return dict(zip(levels, labels, strict=True))


def refused(result: Result) -> str:
    assert result.exit_code == 2, result.output
    return result.stderr


def test_numbers_as_folder_names_mean_those_numbers(place: Path, lay: Layout) -> None:
    pictures = {"7/a.png": 70, "3/a.png": 30, "3/b.png": 31, "10/a.png": 100}
    found = classes_of(place, 12, group(lay(place, pictures)))
    assert found == {70: 7, 30: 3, 31: 3, 100: 10}


def test_as_many_names_as_classes_count_in_sorted_order(place: Path, lay: Layout) -> None:
    pictures = {f"{name}/{n}.png": 20 * n + 1 for n, name in enumerate(TEN)}
    found = classes_of(place, 10, group(lay(place, pictures)))
    assert found == {20 * n + 1: sorted(TEN).index(name) for n, name in enumerate(TEN)}


@pytest.mark.parametrize("names", [[*TEN, "attic"], TEN[:4]])
def test_any_other_count_is_refused_with_the_map_to_write(
    place: Path, lay: Layout, names: list[str]
) -> None:
    source = lay(place, {f"{name}/0.png": n for n, name in enumerate(names)})
    said = refused(command(place, "plan", 10, group(source)))
    assert f"groups.train: {source['dataset']} in " in said
    assert f"{len(names)} classes found by name, expected 10" in said
    block = said[said.index("classes:\n") :].replace("?", "0")
    stated = {name: n for n, name in enumerate(TEN)} | {"attic": 4}
    assert set(yaml.safe_load(block)["classes"]) == set(names)
    found = classes_of(place, 10, group(source, classes=stated))
    assert found == {n: stated[name] for n, name in enumerate(names)}


@pytest.mark.parametrize("lay", ["folder", "bucket"], indirect=True)
def test_a_folder_without_images_is_no_class_that_could_shift_others(
    place: Path, lay: Layout, request: pytest.FixtureRequest
) -> None:
    named = {f"{name}/{n}.png": n for n, name in enumerate(TEN)}
    numbered = {f"{n}/{n}.png": n for n in range(1, 10)}
    for pictures in (named, numbered):
        source = lay(place, pictures)
        if source["path"] == "set":
            (place / "set" / "0").mkdir()
        else:
            store: ObjectStore = request.getfixturevalue("store")
            key = source["path"].removeprefix(f"s3://{BUCKET}/") + "/0/notes.txt"
            store.client().put_object(Bucket=BUCKET, Key=key, Body=b"x")
        if pictures is named:
            said = refused(command(place, "plan", 10, group(source)))
            assert "1 without an image, such as '0'" in said
            for file in place.glob("set/*/*.png"):
                file.unlink()
            for folder in place.glob("set/*"):
                folder.rmdir()
        else:
            assert classes_of(place, 10, group(source)) == {n: n for n in range(1, 10)}


@pytest.mark.parametrize(("name", "start"), [("classes.json", ""), ("classes.yaml", "# the map\n")])
def test_a_map_can_be_in_a_file(place: Path, lay: Layout, name: str, start: str) -> None:
    source = lay(place, {"n04285008/a.png": 1, "n02009912/a.png": 2})
    (place / name).write_text(
        start + json.dumps({"n02009912": 9, "n04285008": 817, "n01440764": 0})
    )
    train = group(source, classes=name)
    planned = command(place, "plan", 1000, train)
    assert "train: 2 classes, n02009912 → 9, n04285008 → 817" in " ".join(planned.output.split())
    assert classes_of(place, 1000, train) == {1: 817, 2: 9}
    kept = json.loads((place / "run" / "provenance.json").read_text())["datasets"]["train"]
    facts = json.loads((place / "run" / "facts.json").read_text())["groups"]["train"]
    assert kept["classes"] == facts["classes"] == {"n02009912": 9, "n04285008": 817}


def test_a_map_can_be_in_a_bucket(
    place: Path, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.use(monkeypatch)
    store.client().put_object(Bucket=BUCKET, Key="maps/classes.yaml", Body=b"{ape: 3, '7': 4}")
    source = as_folder(place, {"ape/a.png": 1, "7/a.png": 2})
    train = group(source, classes=f"s3://{BUCKET}/maps/classes.yaml")
    assert classes_of(place, 10, train) == {1: 3, 2: 4}


@pytest.mark.parametrize("content", ["[1, 2]", '{"a": "b"}', "{", '{"a": -1}'])
def test_a_file_without_a_map_is_refused(place: Path, content: str) -> None:
    source = as_folder(place, {"a/a.png": 1})
    (place / "classes.json").write_text(content)
    assert "classes.json" in refused(
        command(place, "plan", 2, group(source, classes="classes.json"))
    )


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([["a.png", 7], ["b.png", 3]], {1: 7, 2: 3}),
        ([["b.png", "dog"], ["a.png", "cat"]], {1: 4, 2: 9}),
    ],
)
def test_the_labels_of_a_dataset_json(
    place: Path, labels: list[Any], expected: dict[int, int]
) -> None:
    source = as_zip(place, {"a.png": 1, "b.png": 2})
    with zipfile.ZipFile(place / "set.zip", "a") as archive:
        archive.writestr("dataset.json", json.dumps({"labels": labels}))
    stated = {"cat": 4, "dog": 9} if labels[0][1] == "dog" else None
    assert classes_of(place, 10, group(source, classes=stated)) == expected


def test_a_map_says_what_numbers_are(place: Path, lay: Layout) -> None:
    source = lay(place, {f"{n}/0.png": n for n in range(1, 4)})
    said = refused(command(place, "plan", 3, group(source)))
    assert "class 3 cannot be generated: generator decoder has 3 classes, 0 to 2" in said
    found = classes_of(place, 3, group(source, classes={1: 0, 2: 1, 3: 2}))
    assert found == {1: 0, 2: 1, 3: 2}


def test_a_map_that_lacks_a_class_is_refused(place: Path) -> None:
    source = as_folder(place, {"a/a.png": 1, "b/a.png": 2})
    said = refused(command(place, "plan", 5, group(source, classes={"a": 1, "c": 2})))
    assert "classes says nothing of 1 of the 2 classes" in said
    assert '"b": ?' in said


def test_images_without_a_class_are_refused_unless_the_spec_says_what_they_are(
    place: Path, lay: Layout
) -> None:
    source = lay(place, {"a.png": 1, "b.png": 2, "c.png": 3})
    said = refused(command(place, "plan", 10, group(source)))
    assert f"groups.train: {source['dataset']} in " in said
    assert source["path"] in said
    assert "3 images, no class" in said
    for remedy in ("class: N", "conditions: all", "conditions: in_turn", "subfolder"):
        assert remedy in said
    planned = command(place, "plan", 10, group(source, conditions="in_turn"))
    assert "train: classes in turn" in planned.output
    assert "no question is answered by these images" in " ".join(planned.output.split())
    assert command(place, "plan", 10, group(source, conditions="all")).exit_code == 0
    assert classes_of(place, 10, {**group(source), "class": 7}) == {1: 7, 2: 7, 3: 7}
    assert command(place, "plan", 0, group(source)).exit_code == 0


def test_classes_in_turn_leave_out_the_labels(place: Path) -> None:
    source = as_folder(place, {"attic/a.png": 1, "barn/b.png": 2})
    found = classes_of(place, 10, group(source, conditions="in_turn"))
    assert found == {1: None, 2: None}
    rows = pd.read_parquet(place / "run" / "images")
    assert len(rows) == 2


def test_outliers_need_no_class(place: Path) -> None:
    source = as_folder(place, {"a.png": 1, "b.png": 2})
    outliers = {**group(source, "odd"), "role": "outlier"}
    assert command(place, "plan", 10, outliers).exit_code == 0
    assert "remove class, classes and labels" in refused(
        command(place, "plan", 10, {**outliers, "class": 3})
    )


def test_a_map_is_written_once_for_all_sets(place: Path) -> None:
    source = as_folder(place, {"cat/a.png": 1, "dog/a.png": 2, "wild/a.png": 3})
    reference = {**source, "split": None}
    train = group(source, classes={"cat": 5, "dog": 3, "wild": 8})
    planned = command(place, "plan", 10, train, neighbours=reference)
    assert planned.exit_code == 0, planned.output
    said = " ".join(planned.output.split())
    assert "reference set of neighbours: 3 classes, dog → 3, cat → 5, wild → 8" in said


def test_two_sets_in_order_must_have_the_same_names(place: Path) -> None:
    for folder, names in (("one", "ab"), ("two", "bc")):
        (place / folder).mkdir()
        as_folder(place / folder, {f"{name}/0.png": 1 for name in names})
    groups = [
        group({"dataset": "folder", "path": f"{folder}/set"}, folder) for folder in ("one", "two")
    ]
    said = refused(command(place, "plan", 2, *groups))
    assert "groups.one and groups.two: class 'b' cannot be told" in said


def test_without_classes_in_the_generator_a_name_means_the_same_in_all_sets(place: Path) -> None:
    for folder, names in (("one", "bc"), ("two", "abc")):
        (place / folder).mkdir()
        as_folder(place / folder, {f"{name}/0.png": ord(name) for name in names})
    groups = [
        group({"dataset": "folder", "path": f"{folder}/set"}, folder) for folder in ("one", "two")
    ]
    assert classes_of(place, 0, *groups) == {ord("a"): 0, ord("b"): 1, ord("c"): 2}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"class": 1, "classes": {"a": 1}}, "not both"),
        ({"class": 1, "conditions": "in_turn"}, "remove conditions: in_turn"),
        ({"class": -1}, "class"),
        ({"classes": {"a": -1}}, "classes"),
        ({"classes": {"a": True}}, "classes"),
        ({"class": 1}, "2 classes of their own"),
        ({"klass": 1}, "did you mean 'class'"),
    ],
)
def test_what_a_spec_says_of_classes_must_fit(
    place: Path, keys: dict[str, Any], message: str
) -> None:
    source = as_folder(place, {"a/a.png": 1, "b/a.png": 2})
    assert message in refused(command(place, "plan", 5, group(source, **keys)))


def test_a_map_names_a_class_in_either_form_of_its_accents(place: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    source = as_folder(place, {"ape/0.png": 10, f"{decomposed}/1.png": 20})
    stated = {"ape": 2, composed: 5}
    assert classes_of(place, 9, group(source, classes=stated)) == {10: 2, 20: 5}
    both = {**stated, decomposed: 6}
    refused = command(place, "plan", 9, group(source, classes=both))
    assert refused.exit_code == 2
    assert "with its accents in two forms, as 6 and as 5" in " ".join(refused.output.split())
