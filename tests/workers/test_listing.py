"""The one rule by which a folder, an archive and a bucket have images, and classes."""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from offmanifold.workers.datasets import DatasetError, ImageError, ImageSet, open_dataset
from offmanifold.workers.datasets.listing import list_images
from PIL import Image

from ..object_store import BUCKET, ObjectStore

Files = Mapping[str, bytes]
# Objects take a service's time, so most of what the rule decides is tried without.
PLACES = ["folder", "zip"]


def picture(level: int = 0, suffix: str = ".png") -> bytes:
    kinds = {".jpg": "jpeg", ".tif": "tiff"}
    sink = io.BytesIO()
    kind = kinds.get(suffix.lower(), suffix.lower().removeprefix("."))
    options = {"lossless": True} if kind == "webp" else {}
    Image.fromarray(np.full((8, 8), level, np.uint8)).save(sink, kind, **options)
    return sink.getvalue()


def pictures(*names: str) -> dict[str, bytes]:
    """A file for each name, whose grey level is its position."""
    return {name: picture(level) for level, name in enumerate(names)}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opened(
    request: pytest.FixtureRequest, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Opens files as a set, in each kind of place."""

    def opens(files: Files, **options: Any) -> ImageSet:
        where = tmp_path / str(len(list(tmp_path.iterdir())))
        where.mkdir()
        path, kind = str(where), "folder"
        if place == "folder":
            for name, content in files.items():
                (where / name).parent.mkdir(parents=True, exist_ok=True)
                (where / name).write_bytes(content)
        elif place == "zip":
            path, kind = str(where / "set.zip"), "zip"
            with zipfile.ZipFile(path, "w") as archive:
                for name, content in files.items():
                    archive.writestr(name, content)
        else:
            store: ObjectStore = request.getfixturevalue("store")
            store.use(monkeypatch)
            monkeypatch.setenv("OFFMANIFOLD_CACHE", str(tmp_path / "cache"))
            path = f"s3://{BUCKET}/listing/{tmp_path.name}/{where.name}"
            for name, content in files.items():
                key = path.removeprefix(f"s3://{BUCKET}/") + f"/{name}"
                store.client().put_object(Bucket=BUCKET, Key=key, Body=content)
        return open_dataset(kind, path=path, image_shape=(1, 8, 8), **options)

    return opens


def classes_of(images: ImageSet) -> dict[int, str] | None:
    """What the set calls the class of each image, by the image's grey level."""
    labels = images.labels()
    if labels is None:
        return None
    pixels, stored = images.arrays()
    assert stored.tolist() == labels.tolist()
    names = images.class_names
    named = [str(label) if names is None else names[label] for label in labels]
    levels = np.round(pixels[:, 0, 0, 0] * 255).astype(int).tolist()
    return dict(zip(levels, named, strict=True))


def unclassed(images: ImageSet) -> str:
    assert images.labels() is None
    assert images.account is not None
    return str(images.account.unclassed)


def labels_json(labels: Any) -> dict[str, bytes]:
    return {"dataset.json": json.dumps({"labels": labels}).encode()}


@pytest.mark.parametrize("place", [*PLACES, "bucket"])
def test_what_lies_beside_the_images_is_left_out_and_told(opened: Any) -> None:
    noise = [
        "._a.png",
        ".DS_Store",
        "__MACOSX/cat/._a.png",
        "cat/Thumbs.db",
        "cat/desktop.ini",
        ".ipynb_checkpoints/a-checkpoint.png",
        "cat/notes.txt",
    ]
    images = opened(pictures("cat/a.png", "dog/b.PNG") | dict.fromkeys(noise, b"x"))
    assert classes_of(images) == {0: "cat", 1: "dog"}
    told = str(images.account)
    assert told.startswith("2 images read, ")
    assert "hidden, or of the system (" in told
    assert "no image by its suffix (1, such as cat/notes.txt)" in told
    assert told.endswith("; classes by folder")


def test_every_suffix_in_either_case(opened: Any) -> None:
    suffixes = [".png", ".bmp", ".tif", ".TIFF", ".PNG", ".Bmp", ".JPG"]
    files = {f"{n}{s}": picture(10 * n, s) for n, s in enumerate(suffixes)}
    sink = io.BytesIO()
    np.save(sink, np.full((1, 8, 8), 70 / 255))
    images = opened({**files, "7.npy": sink.getvalue()})
    pixels, _ = images.arrays()
    levels = np.round(pixels[:, 0, 0, 0] * 255)
    assert sorted(levels.tolist()) == [10 * n for n in range(8)]


def test_every_place_has_the_same_hash(tmp_path: Path) -> None:
    files = pictures("cat/a.png", "dog/b.png")
    for name, content in files.items():
        (tmp_path / "set" / name).parent.mkdir(parents=True)
        (tmp_path / "set" / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(f"set/{name}", content)
    shape = (1, 8, 8)
    here = open_dataset("folder", path=tmp_path / "set", image_shape=shape)
    there = open_dataset("zip", path=tmp_path / "set.zip", image_shape=shape, split="set")
    assert here.hash() == there.hash()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.png", "b.png"], None),
        (["cat/a.png", "dog/a.png"], {0: "cat", 1: "dog"}),
        (["only/a.png"], {0: "only"}),
        (["set/cat/a.png", "set/dog/a.png"], {0: "cat", 1: "dog"}),
        (["a/b/7/x.png", "a/b/3/x.png"], {0: "7", 1: "3"}),
        (["cat/one/a.png", "cat/a.png", "dog/two/a.png"], {0: "cat", 1: "cat", 2: "dog"}),
    ],
)
def test_the_classes_of_folders(
    opened: Any, names: list[str], expected: dict[int, str] | None
) -> None:
    assert classes_of(opened(pictures(*names))) == expected


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["a.png", "cat/a.png"], "beside the folders as well as inside"),
        (["set/a.png", "set/cat/a.png"], "beside the folders as well as inside"),
        (["train/cat/a.png", "test/cat/a.png"], "name one with split"),
        (["train/a.png", "val/a.png"], "name one with split"),
        (["x/cat/a.png", "x/dog/a.png", "y/cat/a.png", "y/dog/a.png"], "labels: FILE"),
        (["00000/img00000000.png", "00001/img00001003.png"], "only number the images"),
        (["00000/00017.png", "03000/03999.png"], "only number the images"),
    ],
)
def test_folders_that_say_nothing_of_classes(opened: Any, names: list[str], reason: str) -> None:
    images = opened(pictures(*names))
    assert images.length == len(names)
    assert reason in unclassed(images)


@pytest.mark.parametrize("place", [*PLACES, "bucket"])
def test_a_split_is_a_folder_in_every_place(opened: Any) -> None:
    labels = labels_json([["cat/a.png", 7], ["dog/a.png", 3]])
    files = {f"train/{name}": content for name, content in labels.items()}
    files |= pictures("train/cat/a.png", "train/dog/a.png", "test/cat/a.png")
    assert classes_of(opened(files, split="train")) == {0: "7", 1: "3"}
    assert classes_of(opened(files, split="test")) == {2: "cat"}
    with pytest.raises(DatasetError, match=r"no folder|holds no image files"):
        opened(files, split="absent")


TOOL = ["00000/img00000000.png", "00000/img00000001.png", "00001/img00001000.png"]


@pytest.mark.parametrize("above", ["", "set/"])
@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([4, 0, 2], ["4", "0", "2"]),
        ([1, 2, 3], ["1", "2", "3"]),
        ([2.0, 0.0, 1.0], ["2", "0", "1"]),
        ([[0, 0, 1], [1, 0, 0], [0, 1, 0]], ["2", "0", "1"]),
        ([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]], ["1", "0", "1"]),
        (["dog", "cat", "dog"], ["dog", "cat", "dog"]),
    ],
)
def test_the_labels_of_dataset_tool(
    opened: Any, above: str, labels: list[Any], expected: list[str]
) -> None:
    listed = [[name, label] for name, label in zip(TOOL, labels, strict=True)]
    files = pictures(*TOOL) | labels_json(listed[::-1])
    images = opened({f"{above}{name}": content for name, content in files.items()})
    assert classes_of(images) == dict(enumerate(expected))
    assert "dataset.json" in str(images.account)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (None, "says that there are no classes"),
        (
            [[TOOL[0], 1], [TOOL[1], None]],
            "no class for 2 of the 3 images, such as 00000/img",
        ),
        ([[TOOL[0], 1]], "no class for 2 of the 3 images"),
    ],
)
def test_images_without_a_label_leave_the_set_without_classes(
    opened: Any, labels: Any, reason: str
) -> None:
    assert reason in unclassed(opened(pictures(*TOOL) | labels_json(labels)))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[TOOL[0], 1], [TOOL[1], "a"], [TOOL[2], 1]], "expected whole numbers from 0"),
        ([[TOOL[0], True], [TOOL[1], 1], [TOOL[2], 1]], "found the class True"),
        ([[TOOL[0], 1.5], [TOOL[1], 1], [TOOL[2], 1]], "found the class 1.5"),
        ([[TOOL[0], [1, 1]], [TOOL[1], [0, 1]], [TOOL[2], [1, 0]]], "not one-hot"),
        ([[TOOL[0], [1]], [TOOL[1], [0, 1]], [TOOL[2], [1, 0]]], "not one-hot"),
        ([[TOOL[0], 1], [TOOL[0], 2]], "twice"),
        ([["elsewhere.png", 1]], "has a class for none of the 3 images: it has 'elsewhere.png'"),
    ],
)
def test_labels_that_cannot_be_meant_are_refused(opened: Any, labels: Any, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        opened(pictures(*TOOL) | labels_json(labels))


def test_labels_of_files_that_are_gone_are_told(opened: Any) -> None:
    images = opened(pictures("a.png") | labels_json([["a.png", 3], ["b.png", 4]]))
    assert classes_of(images) == {0: "3"}
    assert "which also lists 1 that are not there" in str(images.account)


CELEBA = """3
Bald Smiling
000001.jpg -1  1
000002.jpg  1 -1
000003.jpg -1  1
"""
KAGGLE = "image_id,Bald,Smiling\n000001.jpg,-1,1\n000002.jpg,1,-1\n000003.jpg,-1,1\n"
FACES = ["000001.png", "000002.png", "000003.png"]


@pytest.mark.parametrize(
    ("name", "text", "attribute", "expected"),
    [
        ("list_attr_celeba.txt", CELEBA, "Smiling", ["1", "0", "1"]),
        ("list_attr_celeba.csv", KAGGLE, "Bald", ["0", "1", "0"]),
        (
            "labels.csv",
            "\ufefffile,kind\n000003.png,cat\n000001.png,dog\n000002.png,cat\n",
            None,
            ["dog", "cat", "cat"],
        ),
        ("labels.csv", "000001.png,3\n000002.png,1\n000003.png,3\n", None, ["3", "1", "3"]),
        (
            "labels.tsv",
            ",id,breed\n0,000001,3.0\n1,000002,1.0\n2,000003,3.0\n".replace(",", "\t"),
            None,
            ["3", "1", "3"],
        ),
        ("identity.txt", "000001.png 20\n000002.png 10\n000003.png 20\n", None, ["20", "10", "20"]),
        (
            "map.json",
            '{"labels": {"faces/000001.png": 1, "faces/000002.png": 2, "faces/000003.png": 0}}',
            None,
            ["1", "2", "0"],
        ),
    ],
)
def test_a_list_of_the_users(
    opened: Any, tmp_path: Path, name: str, text: str, attribute: str | None, expected: list[str]
) -> None:
    (tmp_path / name).write_text(text)
    images = opened(pictures(*FACES), labels=str(tmp_path / name), attribute=attribute)
    assert classes_of(images) == dict(enumerate(expected))


@pytest.mark.parametrize("place", ["folder"])
@pytest.mark.parametrize(
    ("text", "attribute", "message"),
    [
        (KAGGLE, None, "2 columns of classes; name one of them with attribute: Bald, Smiling"),
        (KAGGLE, "Sad", "no attribute 'Sad'; it has: Bald, Smiling"),
        ("", None, "is empty"),
        ("a.png,1\nb.png\n", None, "line 2: has 1 values, expected 2"),
        ("a.png,1\nb.png,2\n", None, "has a class for none of the 3 images"),
        ("000001.png,1\n000001.png,2\n", None, "twice"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(
    opened: Any, tmp_path: Path, text: str, attribute: str | None, message: str
) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        opened(pictures(*FACES), labels=str(tmp_path / "list.csv"), attribute=attribute)


@pytest.mark.parametrize("place", ["folder"])
def test_a_list_belongs_to_files(opened: Any, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        opened(pictures("a.png"), labels=str(tmp_path / "absent.csv"))
    with pytest.raises(DatasetError, match="name the list that has it: labels: FILE"):
        opened(pictures("a.png"), attribute="Smiling")
    with pytest.raises(DatasetError, match="only folder and zip do"):
        open_dataset("digits", split="train", labels="list.csv")


def test_names_that_differ_only_in_case_are_told(opened: Any) -> None:
    images = opened(pictures("a.PNG", "a.png", "b.png"))
    assert images.length == 3
    assert "1 with the name of another but for upper and lower case" in str(images.account)


def test_an_archive_with_a_file_twice(tmp_path: Path) -> None:
    archive = zipfile.ZipFile(tmp_path / "set.zip", "w")
    archive.writestr("a.png", picture(1))
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("a.png", picture(1))
    archive.close()
    images = open_dataset("zip", path=tmp_path / "set.zip", image_shape=(1, 8, 8))
    assert images.length == 1
    archive = zipfile.ZipFile(tmp_path / "set.zip", "a")
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("a.png", picture(2))
    archive.close()
    with pytest.raises(DatasetError, match=r"holds a\.png twice, with different contents"):
        open_dataset("zip", path=tmp_path / "set.zip", image_shape=(1, 8, 8))


def test_an_archive_of_windows_has_folders_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("cat\\a.png", picture(0))
        archive.writestr("dog\\a.png", picture(1))
    images = open_dataset("zip", path=tmp_path / "set.zip", image_shape=(1, 8, 8))
    assert classes_of(images) == {0: "cat", 1: "dog"}


def test_a_folder_that_links_to_itself_ends(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "again").symlink_to(tmp_path / "cat")
    with pytest.raises(DatasetError, match="a folder that it is in"):
        open_dataset("folder", path=tmp_path, image_shape=(1, 8, 8))


def test_a_link_to_itself_is_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(0))
    for name in ("b.png", "notes"):
        (tmp_path / name).symlink_to(tmp_path / name)
    images = open_dataset("folder", path=tmp_path, image_shape=(1, 8, 8))
    assert images.length == 2
    images.image(0)
    with pytest.raises(ImageError, match="cannot be read"):
        images.image(1)


def test_the_order_of_the_files_is_that_of_their_parts() -> None:
    listing = list_images(["b/x.png", "a-b/x.png", "a/z.png", "a/y.png"])
    assert listing.pictures == ("a/y.png", "a/z.png", "a-b/x.png", "b/x.png")
