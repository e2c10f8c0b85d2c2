"""Pictures of any size, in folders, archives and lmdb; CelebA and its attributes."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest
from numpy.typing import NDArray
from offmanifold.workers.datasets import DatasetError, ImageError, open_dataset
from offmanifold.workers.datasets.resized import resize
from PIL import Image

RANDOM = np.random.default_rng(4)
SIZES = [(20, 30), (16, 16), (40, 24)]
PIXELS = [RANDOM.integers(0, 256, (*size, 3), dtype=np.uint8) for size in SIZES]
SHAPE = (3, 12, 12)


def encoded(pixels: NDArray[np.uint8], picture_format: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, picture_format, **options)
    return stream.getvalue()


def write_folder(path: Path) -> Path:
    path.mkdir()
    for index, pixels in enumerate(PIXELS):
        (path / f"{index}.png").write_bytes(encoded(pixels))
    return path


def write_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for index, pixels in enumerate(PIXELS):
            archive.writestr(f"{index}.png", encoded(pixels))
    return path


def write_lmdb(path: Path) -> Path:
    """Lossless WebP, so that its pixels are known; the keys are put in another order."""
    with lmdb.open(str(path), map_size=2**24) as database, database.begin(write=True) as writing:
        for index in reversed(range(len(PIXELS))):
            writing.put(f"{index}abc".encode(), encoded(PIXELS[index], "WEBP", lossless=True))
    return path


SETS: dict[str, Callable[[Path], Path]] = {
    "folder": write_folder,
    "zip": write_zip,
    "lmdb": write_lmdb,
}


@pytest.mark.parametrize("name", SETS)
def test_pictures_of_any_size_are_brought_to_one(name: str, tmp_path: Path) -> None:
    path = SETS[name](tmp_path / "set")
    images = open_dataset(name, path=path, image_shape=SHAPE, resize="lanczos")
    assert (images.length, images.labels()) == (3, None)
    for index, pixels in enumerate(PIXELS):
        original = pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
        np.testing.assert_array_equal(images.image(index)[0], resize(original, SHAPE))
    assert images.source(1).endswith(", lanczos 3x12x12")

    cropped = open_dataset(name, path=path, image_shape=SHAPE, resize="lanczos", crop=16)
    centre = PIXELS[0][2:18, 7:23].transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(cropped.image(0)[0], resize(centre, SHAPE))
    assert cropped.source(0).endswith(", crop 16, lanczos 3x12x12")
    with pytest.raises(ImageError, match="fewer than crop 17"):
        open_dataset(name, path=path, image_shape=SHAPE, resize="lanczos", crop=17).image(1)

    plain = open_dataset(name, path=path, image_shape=(3, 16, 16))
    np.testing.assert_array_equal(
        plain.image(1)[0], PIXELS[1].transpose(2, 0, 1).astype(np.float32) / 255
    )
    with pytest.raises(ImageError, match="add resize: lanczos"):
        plain.image(0)
    assert len({images.hash(), cropped.hash(), plain.hash()}) == 3
    assert len({images.fingerprint(), cropped.fingerprint(), plain.fingerprint()}) == 3


@pytest.mark.parametrize("name", SETS)
def test_a_copy_has_the_same_fingerprint_and_a_changed_set_another(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fingerprint(path: Path) -> str:
        return open_dataset(name, path=path, image_shape=SHAPE, resize="lanczos").fingerprint()

    first = fingerprint(SETS[name](tmp_path / "first"))
    assert fingerprint(SETS[name](tmp_path / "copy")) == first
    monkeypatch.setitem(globals(), "PIXELS", [PIXELS[0], PIXELS[1], PIXELS[0]])
    assert fingerprint(SETS[name](tmp_path / "other picture")) != first
    monkeypatch.setitem(globals(), "PIXELS", PIXELS[:2])
    assert fingerprint(SETS[name](tmp_path / "fewer")) != first


def test_a_picture_of_an_archive_that_keeps_its_size_changes_the_fingerprint(
    tmp_path: Path,
) -> None:
    found = set()
    for value in (3, 4):
        with zipfile.ZipFile(tmp_path / f"{value}.zip", "w") as archive:
            archive.writestr("a.png", encoded(np.full((12, 12, 3), value, np.uint8), "BMP"))
        images = open_dataset("zip", path=tmp_path / f"{value}.zip", image_shape=SHAPE)
        found.add(images.fingerprint())
    assert (tmp_path / "3.zip").stat().st_size == (tmp_path / "4.zip").stat().st_size
    assert len(found) == 2


def test_grey_pictures_and_arrays_become_colours(tmp_path: Path) -> None:
    grey = RANDOM.random((1, 15, 18), dtype=np.float32)
    np.save(tmp_path / "a.npy", grey)
    (tmp_path / "b.png").write_bytes(encoded((grey[0] * 255).astype(np.uint8)))
    images = open_dataset("folder", path=tmp_path, image_shape=SHAPE, resize="lanczos")
    for index in range(2):
        pixels, _ = images.image(index)
        np.testing.assert_array_equal(pixels[0], pixels[2])
        np.testing.assert_allclose(pixels, resize(grey, SHAPE), atol=1 / 255)


def test_a_picture_beyond_all_bounds_is_not_decoded(tmp_path: Path) -> None:
    """Of 400 million pixels, in 50 kilobytes."""
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        vast = Image.new("1", (20_000, 20_000))
        stream = io.BytesIO()
        vast.save(stream, "PNG")
        archive.writestr("vast.png", stream.getvalue())
    images = open_dataset("zip", path=tmp_path / "set.zip", image_shape=SHAPE, resize="lanczos")
    with pytest.raises(ImageError, match="too large"):
        images.image(0)


def test_two_sets_of_one_lmdb_are_open_at_once(tmp_path: Path) -> None:
    path = write_lmdb(tmp_path / "set")
    first, second = (
        open_dataset("lmdb", path=path, image_shape=SHAPE, resize="lanczos") for _ in range(2)
    )
    np.testing.assert_array_equal(first.image(2)[0], second.image(2)[0])
    assert first.hash() == second.hash()


def test_what_is_no_lmdb_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"has no data\.mdb"):
        open_dataset("lmdb", path=tmp_path, image_shape=SHAPE)
    (tmp_path / "data.mdb").write_bytes(b"no database" * 1000)
    with pytest.raises(DatasetError, match="not a whole lmdb"):
        open_dataset("lmdb", path=tmp_path, image_shape=SHAPE)


def test_an_lmdb_that_ends_early_is_refused(tmp_path: Path) -> None:
    data = write_lmdb(tmp_path / "set") / "data.mdb"
    whole = data.read_bytes()
    data.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"data\.mdb has .* bytes, but its header says"):
        open_dataset("lmdb", path=tmp_path / "set", image_shape=SHAPE)
    data.write_bytes(whole)
    assert open_dataset("lmdb", path=tmp_path / "set", image_shape=(3, 16, 16)).length == 3


ATTRIBUTES = """3
Bald Smiling Young
000001.jpg -1  1  1
000002.jpg  1 -1  1
000003.jpg -1  1 -1
"""


@pytest.fixture
def celeba(tmp_path: Path) -> Path:
    folder = tmp_path / "img_align_celeba"
    folder.mkdir()
    for index in range(1, 4):
        pixels = RANDOM.integers(0, 256, (218, 178, 3), dtype=np.uint8)
        (folder / f"00000{index}.jpg").write_bytes(encoded(pixels, "JPEG"))
    (tmp_path / "Anno").mkdir()
    (tmp_path / "Anno" / "list_attr_celeba.txt").write_text(ATTRIBUTES)
    partition = "000001.jpg 0\n000002.jpg 0\n000003.jpg 2\n"
    (tmp_path / "list_eval_partition.txt").write_text(partition)
    return tmp_path


def open_faces(path: Path, **options: Any) -> Any:
    options = {"image_shape": SHAPE, "resize": "lanczos", **options}
    return open_dataset("celeba", path=path, **options)


def test_celeba_by_split_and_attribute(celeba: Path) -> None:
    train = open_faces(celeba, split="train", attribute="Smiling", crop=108)
    assert (train.length, train.num_classes, train.labels().tolist()) == (2, 2, [1, 0])
    assert train.image(1)[1] == 0
    assert train.source(1).endswith("000002.jpg, crop 108, lanczos 3x12x12")
    test = open_faces(celeba, split="test", attribute="Young")
    assert test.labels().tolist() == [0]
    every = open_faces(celeba)
    assert (every.length, every.labels(), every.image(0)[1]) == (3, None, None)
    other = open_faces(celeba, attribute="Bald")
    assert other.hash() != open_faces(celeba, attribute="Young").hash() != every.hash()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attribute": "Sad"}, "no attribute 'Sad'; it has: Bald, Smiling, Young"),
        ({"split": "validation"}, "there is no split"),
        ({"image_shape": None, "resize": None}, "needs an image_shape"),
        ({"crop": 10, "resize": None}, "crop needs resize"),
    ],
)
def test_what_celeba_has_not_is_told(celeba: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        open_faces(celeba, **options)


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        (
            "list_attr_celeba.txt",
            "1\nBald\n000001.jpg 2",
            {"attribute": "Bald"},
            "values of 1 or -1",
        ),
        ("list_attr_celeba.txt", "1\nBald\nb.jpg 1", {"attribute": "Bald"}, "lacks 3 pictures"),
        ("list_attr_celeba.txt", "", {"attribute": "Bald"}, "is empty"),
        ("list_eval_partition.txt", "000001.jpg train", {"split": "train"}, "and 0, 1 or 2"),
        ("list_eval_partition.txt", "../../a.jpg 0", {"split": "train"}, "leads out of"),
        ("list_eval_partition.txt", "000001.jpg 0", {"split": "valid"}, "no pictures of split"),
    ],
)
def test_broken_lists_are_refused(
    celeba: Path, name: str, content: str, options: dict[str, Any], message: str
) -> None:
    (celeba / "Anno" / "list_attr_celeba.txt").unlink()
    (celeba / name).write_text(content)
    with pytest.raises(DatasetError, match=message):
        open_faces(celeba, **options)


def test_no_other_set_has_attributes(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="'folder' has no attributes"):
        open_dataset("folder", path=tmp_path, image_shape=SHAPE, attribute="Smiling")
    with pytest.raises(DatasetError, match="CelebA was not found"):
        open_faces(tmp_path)
