"""Image sets in the files that their publishers offer, written here as they write them."""

import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from offmanifold.workers.datasets import DatasetError, ImageError, open_dataset
from offmanifold.workers.npz_file import read_npz
from PIL import Image
from scipy.io import savemat

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (60, 3, 32, 32), dtype=np.uint8)
LABELS = RANDOM.integers(0, 10, 60)
PARTS = [f"data_batch_{number}" for number in range(1, 6)]


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as Python 2 did when CIFAR-10 was published."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)

    def save_string(self, value: str | bytes) -> None:
        content = value if isinstance(value, bytes) else value.encode("latin1")
        pickler: Any = self
        pickler.write(b"T" + struct.pack("<i", len(content)) + content)
        pickler.memoize(value)

    dispatch[bytes] = dispatch[str] = save_string


def python2_pickle(value: Any) -> bytes:
    stream = io.BytesIO()
    Python2Pickler(stream, protocol=2).dump(value)
    # What numpy called its module then.
    return stream.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def rows_of(index: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    rows = slice(10 * index, 10 * (index + 1))
    return PIXELS[rows].reshape(10, -1), LABELS[rows]


def binary_files() -> dict[str, bytes]:
    files = {}
    for index, name in enumerate([*PARTS, "test_batch"]):
        pixels, labels = rows_of(index)
        files[f"{name}.bin"] = np.c_[labels.astype(np.uint8), pixels].tobytes()
    return files


def python_files() -> dict[str, bytes]:
    files = {}
    for index, name in enumerate([*PARTS, "test_batch"]):
        pixels, labels = rows_of(index)
        table = {"batch_label": name, "labels": labels.tolist(), "data": pixels}
        files[name] = python2_pickle(table)
    return files | {"batches.meta": python2_pickle({"label_names": ["airplane"]})}


def packed(path: Path, folder: str, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def put(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


LAYOUTS: dict[str, Callable[[Path], None]] = {
    "binary, packed": lambda path: packed(
        path / "cifar-10-binary.tar.gz", "cifar-10-batches-bin", binary_files()
    ),
    "python, packed": lambda path: packed(
        path / "cifar-10-python.tar.gz", "cifar-10-batches-py", python_files()
    ),
    "binary, unpacked": lambda path: put(path / "cifar-10-batches-bin", binary_files()),
    "python, unpacked": lambda path: put(path / "cifar-10-batches-py", python_files()),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_cifar10_in_every_form_it_is_published_in(tmp_path: Path, layout: str) -> None:
    LAYOUTS[layout](tmp_path)
    train = open_dataset("cifar10", split="train", path=tmp_path)
    test = open_dataset("cifar10", split="test", path=tmp_path)
    for images, rows in ((train, slice(0, 50)), (test, slice(50, 60))):
        pixels, labels = images.arrays()
        np.testing.assert_array_equal(pixels, PIXELS[rows].astype(np.float32) / 255)
        np.testing.assert_array_equal(labels, LABELS[rows])


def test_cifar10_is_found_where_the_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "cifar-10" / "cifar-10-batches-bin", binary_files())
    monkeypatch.setenv("OFFMANIFOLD_DATA", str(tmp_path))
    assert open_dataset("cifar10", split="test", image_shape=(3, 32, 32)).length == 10


class Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch payload-ran",)


class Vast:
    """An array of 8 TiB, if what it names were called."""

    def __reduce__(self) -> tuple[Any, ...]:
        return np.ndarray, ((1 << 40,), "f8")


TWICE_OVER: Any = [0]
for _ in range(60):
    TWICE_OVER = [TWICE_OVER, TWICE_OVER]


class Misshapen:
    """An array that claims to be larger than its bytes."""

    def __reduce__(self) -> tuple[Any, ...]:
        state = (1, (1 << 40,), np.dtype("u1"), False, b"\0" * 3072)
        return *PIXELS.__reduce__()[:2], state


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"test_batch": python2_pickle({"data": Payload(), "labels": [0]})}, "not hold images"),
        ({"test_batch": python2_pickle({"data": Vast(), "labels": [0]})}, "not hold images"),
        ({"test_batch": python2_pickle({"data": Misshapen(), "labels": [0]})}, "cannot reshape"),
        ({"test_batch": python2_pickle({"data": 1, "labels": TWICE_OVER})}, "not a list of whole"),
        ({"test_batch": b"\x80\x02"}, "not a part of CIFAR-10"),
        ({"test_batch": python2_pickle({"data": 1, "labels": [0]})}, "does not hold images"),
        ({"test_batch.bin": b"\x0a" * 3073}, "classes below 10"),
        ({"test_batch.bin": b"\x00" * 3072}, "rows of 3073 bytes"),
        ({"data_batch_1.bin": b"\x00" * 3073}, "was not found"),
    ],
)
def test_broken_and_hostile_cifar10_is_refused(
    tmp_path: Path, files: dict[str, bytes], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "set", files)
    with pytest.raises(DatasetError, match=words):
        open_dataset("cifar10", split="test", path=tmp_path / "set")
    assert not (tmp_path / "payload-ran").exists()


def test_an_incomplete_cifar10_names_what_it_lacks(tmp_path: Path) -> None:
    put(tmp_path / "set", {"data_batch_1.bin": b"\x00" * 3073})
    with pytest.raises(DatasetError, match=r"lacks data_batch_2, .*data_batch_5"):
        open_dataset("cifar10", split="train", path=tmp_path / "set")


def test_svhn_counts_its_tenth_class_as_zero(tmp_path: Path) -> None:
    labels = (LABELS % 10 + 1).reshape(-1, 1).astype(np.uint8)
    savemat(tmp_path / "test_32x32.mat", {"X": PIXELS.transpose(2, 3, 1, 0), "y": labels})
    pixels, classes = open_dataset("svhn", split="test", path=tmp_path).arrays()
    np.testing.assert_array_equal(pixels, PIXELS.astype(np.float32) / 255)
    np.testing.assert_array_equal(classes, labels.ravel() % 10)


def _matlab_bomb(shape: tuple[int, int]) -> bytes:
    """A small file whose compressed X says that it has this shape."""
    stream = io.BytesIO()
    savemat(stream, {"X": np.zeros((4, 5))})
    header, array = stream.getvalue()[:128], stream.getvalue()[128:]
    small = struct.pack("<2i", 4, 5)
    assert array.count(small) == 1
    compressed = zlib.compress(array.replace(small, struct.pack("<2i", *shape)))
    # The type of a compressed element, and its length.
    return header + struct.pack("<2I", 15, len(compressed)) + compressed


def test_broken_svhn_is_refused(tmp_path: Path) -> None:
    savemat(tmp_path / "train_32x32.mat", {"X": PIXELS, "y": LABELS})
    with pytest.raises(DatasetError, match="uint8"):
        open_dataset("svhn", split="train", path=tmp_path)
    (tmp_path / "train_32x32.mat").write_bytes(_matlab_bomb((2**14, 2**14 + 1)))
    with pytest.raises(
        DatasetError, match=r"mat: X has 2,147,614,720 bytes, but SVHN's has at most"
    ):
        open_dataset("svhn", split="train", path=tmp_path)
    (tmp_path / "train_32x32.mat").write_bytes(b"not MATLAB's")
    with pytest.raises(DatasetError, match="not a whole MATLAB file"):
        open_dataset("svhn", split="train", path=tmp_path)
    with pytest.raises(DatasetError, match=r"Put extra_32x32\.mat"):
        open_dataset("svhn", split="extra", path=tmp_path)


def stylegan_zip(path: Path, labels: Any, count: int = 3) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(count):
            stream = io.BytesIO()
            Image.fromarray(PIXELS[index].transpose(1, 2, 0)).save(stream, "PNG")
            archive.writestr(f"00000/img{index:08d}.png", stream.getvalue())
        if labels is not False:
            archive.writestr("dataset.json", json.dumps({"labels": labels}))
    return path


def test_stylegans_archive_with_and_without_classes(tmp_path: Path) -> None:
    names = [f"00000/img{index:08d}.png" for index in range(3)]
    listed = [[name, label] for name, label in zip(names, (4, 0, 2), strict=True)]
    path = stylegan_zip(tmp_path / "set.zip", listed[::-1])
    images = open_dataset("zip", path=path, image_shape=(3, 32, 32))
    pixels, labels = pickle.loads(pickle.dumps(images)).arrays()
    np.testing.assert_array_equal(pixels, PIXELS[:3].astype(np.float32) / 255)
    assert labels.tolist() == [4, 0, 2]
    assert images.num_classes == 5
    for nothing in (None, False):
        path = stylegan_zip(tmp_path / f"{nothing}.zip", nothing)
        unlabelled = open_dataset("zip", path=path, image_shape=(3, 32, 32))
        assert (unlabelled.labels(), unlabelled.image(1)[1]) == (None, None)


def test_a_name_that_leads_out_of_the_archive_leads_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    stream = io.BytesIO()
    Image.fromarray(PIXELS[0].transpose(1, 2, 0)).save(stream, "PNG")
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("../../out.png", "/out.png", "in.png"):
            archive.writestr(name, stream.getvalue())
    before = sorted(tmp_path.parent.iterdir())
    images = open_dataset("zip", path=path, image_shape=(3, 32, 32))
    assert images.length == 1
    assert "2 left out: a name that leads out of the set" in str(images.account)
    pixels, _ = images.image(0)
    np.testing.assert_array_equal(pixels, PIXELS[0].astype(np.float32) / 255)
    assert sorted(tmp_path.parent.iterdir()) == before
    assert sorted(tmp_path.iterdir()) == [path]


def test_one_bad_picture_of_an_archive_is_one_bad_image(tmp_path: Path) -> None:
    path = stylegan_zip(tmp_path / "set.zip", False)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a-bomb.png", b"\x00" * 2**25)
        archive.writestr("b-text.png", b"no picture")
    images = open_dataset("zip", path=path, image_shape=(3, 32, 32))
    assert images.length == 5
    with pytest.raises(ImageError, match="too large"):
        images.image(3)
    with pytest.raises(ImageError, match="not an image"):
        images.image(4)
    assert images.image(0)[0].shape == (3, 32, 32)


def test_a_list_of_classes_is_no_bomb(tmp_path: Path) -> None:
    for labels, words in (("[" * 200_000, "whole numbers"), (" " * (2**26 + 1), "larger than")):
        path = stylegan_zip(tmp_path / "set.zip", False)
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("dataset.json", labels)
        with pytest.raises(DatasetError, match=words):
            open_dataset("zip", path=path, image_shape=(3, 32, 32))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([[f"00000/img{index:08d}.png", "cat" if index else 1] for index in range(3)], "or names"),
        ([[f"00000/img{index:08d}.png", -1] for index in range(3)], "whole numbers from 0"),
        ([1, 2], "must be"),
    ],
)
def test_classes_that_do_not_fit_are_refused(tmp_path: Path, labels: Any, words: str) -> None:
    path = stylegan_zip(tmp_path / "set.zip", labels)
    with pytest.raises(DatasetError, match=words):
        open_dataset("zip", path=path, image_shape=(3, 32, 32))


@pytest.mark.parametrize(("name", "shape"), [("zip", (3, 32, 32)), ("npz", None)])
def test_what_is_no_archive_is_refused(tmp_path: Path, name: str, shape: Any) -> None:
    (tmp_path / "set").write_bytes(b"no archive")
    with pytest.raises(DatasetError, match="not a whole"):
        open_dataset(name, path=tmp_path / "set", image_shape=shape)
    with pytest.raises(DatasetError, match="cannot be read"):
        open_dataset(name, path=tmp_path / "absent", image_shape=shape)


def test_guided_diffusions_arrays(tmp_path: Path) -> None:
    rows = PIXELS.transpose(0, 2, 3, 1)
    np.savez(tmp_path / "labelled.npz", rows, LABELS)
    np.savez_compressed(tmp_path / "plain.npz", rows)
    pixels, labels = open_dataset("npz", path=tmp_path / "labelled.npz").arrays()
    np.testing.assert_array_equal(pixels, PIXELS.astype(np.float32) / 255)
    np.testing.assert_array_equal(labels, LABELS)
    plain = open_dataset("npz", path=tmp_path / "plain.npz")
    assert (plain.labels(), plain.num_classes, plain.image(3)[1]) == (None, 0, None)
    assert plain.arrays([3, 5])[1].tolist() == [-1, -1]


def test_two_files_of_one_format_are_two_sets(tmp_path: Path) -> None:
    for name in ("a", "b"):
        np.savez(tmp_path / f"{name}.npz", PIXELS.transpose(0, 2, 3, 1))
    first, second = (open_dataset("npz", path=tmp_path / f"{name}.npz") for name in "ab")
    assert first.source(0) != second.source(0)
    assert first.hash() == second.hash()


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"other": PIXELS}, "no array arr_0"),
        ({"arr_0": PIXELS.astype(np.float32)}, "must be uint8"),
        ({"arr_0": PIXELS[0]}, "must be uint8"),
        ({"arr_0": PIXELS.transpose(0, 2, 3, 1), "arr_1": LABELS[:5]}, "a class"),
        ({"arr_0": np.array([Payload()], dtype=object)}, "expected numbers"),
        (
            {"arr_0": PIXELS.transpose(0, 2, 3, 1), "arr_1": np.array(["a"] * 10, dtype=object)},
            r"expected numbers or text \(not Python objects\)",
        ),
        ({"arr_0": PIXELS}, "3x32x32"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, arrays: Any, words: str) -> None:
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(DatasetError, match=words):
        open_dataset("npz", path=tmp_path / "set.npz", image_shape=(3, 32, 32))


def npy(shape: tuple[int, ...]) -> bytes:
    """The header of an array of bytes, and eight of them."""
    stream = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + bytes(8)


def header(text: bytes) -> bytes:
    """A .npy header of that text, and nothing after it."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    "member",
    [
        header(b"{'descr': (((( "),
        header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 99999999999999999999)}"),
        header(b"{'descr': '<f16', 'fortran_order': False, 'shape': ()}") + bytes(16),
        b"\x93NUMPY\x01\x00",
    ],
)
def test_a_broken_header_is_told(tmp_path: Path, member: bytes) -> None:
    path = tmp_path / "set.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("arr_0.npy", member)
    with pytest.raises(DatasetError, match=r"set\.npz: arr_0 (is|has)"):
        open_dataset("npz", path=path)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_member_is_told(tmp_path: Path, method: int) -> None:
    path = tmp_path / "set.npz"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("arr_0.npy", npy((8,)))
        start = archive.getinfo("arr_0.npy").FileHeader()
    content = bytearray(path.read_bytes())
    for place in range(len(start) + 5, len(start) + 40):
        content[place] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"set\.npz: .*fetch"):
        open_dataset("npz", path=path)


def claiming(content: bytes, size: int) -> bytes:
    """A zip archive whose directory says that its first member expands to ``size`` bytes."""
    entry = content.index(b"PK\x01\x02")
    return content[: entry + 24] + struct.pack("<I", size) + content[entry + 28 :]


@pytest.mark.parametrize(
    ("name", "shape", "expands_to", "words"),
    [
        ("arr_0", (1 << 20, 1 << 10, 1 << 10, 3), None, "its header says 3,298,534,883,328"),
        ("arr_1", (1 << 40,), None, "its header says 1,099,511,627,776"),
        ("arr_1", (1 << 31,), 1 << 31, "would expand to 2,147,483,648 bytes"),
        ("arr_0", (2, 2, 2, 2), None, "does not hold the 16 bytes"),
        ("arr_0", (1, 2, 2, 1), None, "does not hold the 4 bytes"),
    ],
)
def test_arrays_that_claim_too_much_take_no_memory(
    tmp_path: Path, name: str, shape: tuple[int, ...], expands_to: int | None, words: str
) -> None:
    path = tmp_path / "set.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.npy", npy(shape))
    if expands_to:
        path.write_bytes(claiming(path.read_bytes(), expands_to))
    with pytest.raises(DatasetError, match=words):
        open_dataset("npz", path=path)


def test_uncompressed_arrays_stay_in_their_file(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    expected: dict[str, Any] = {
        "arr_0": np.arange(60, dtype=np.int16).reshape(3, 4, 5),
        "turned": np.asfortranarray(np.linspace(0, 1, 6).reshape(2, 3)),
        "empty": np.zeros((0, 3)),
    }
    np.savez(path, **expected)
    found = read_npz(path)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
    assert [isinstance(array, np.memmap) for array in found.values()] == [True, True, False]
    np.savez_compressed(path, **expected)
    packed = read_npz(path)
    assert not any(isinstance(array, np.memmap) for array in packed.values())
    np.testing.assert_array_equal(packed["turned"], expected["turned"])
