"""Image sets in a bucket: the same images, hashes and refusals as of files on a disk."""

import gzip
import io
import zipfile
from pathlib import Path

import lmdb
import numpy as np
import pytest
from offmanifold.workers.datasets import DatasetError, ImageError, open_dataset
from offmanifold.workers.datasets.image_set import UnfitError
from offmanifold.workers.datasets.survey import survey
from PIL import Image

from ..object_store import BUCKET, ObjectStore

SHAPE = (1, 8, 8)


@pytest.fixture(autouse=True)
def _service(store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store.use(monkeypatch)
    monkeypatch.setenv("OFFMANIFOLD_CACHE", str(tmp_path / "cache"))


def picture(value: int, size: int = 8) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(np.full((size, size), value, np.uint8)).save(sink, "png")
    return sink.getvalue()


def lay(store: ObjectStore, folder: Path, prefix: str, files: dict[str, bytes]) -> str:
    """The files in a folder and under a prefix, whose address this is."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        store.client().put_object(Bucket=BUCKET, Key=f"{prefix}/{name}", Body=content)
    return f"s3://{BUCKET}/{prefix}"


def test_a_folder_of_classes_and_a_split(store: ObjectStore, tmp_path: Path) -> None:
    files = {f"train/{label}/{index}.png": picture(index) for label in "ab" for index in range(3)}
    address = lay(store, tmp_path / "set", "sets/classes", {**files, "train/notes.txt": b"x"})
    here = open_dataset("folder", split="train", path=tmp_path / "set", image_shape=SHAPE)
    there = open_dataset("folder", split="train", path=address, image_shape=SHAPE)
    assert there.hash() == here.hash()
    assert there.source(4) == f"folder:{address}/train/b/1.png"
    for found, expected in zip(there.arrays(), here.arrays(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_kinds_of_pictures_are_read_and_refused_alike(store: ObjectStore, tmp_path: Path) -> None:
    deep = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 999).save(deep, "png")
    clear = io.BytesIO()
    Image.new("LA", (8, 8), (9, 128)).save(clear, "png")
    files = {"0.png": deep.getvalue(), "1.png": picture(3), "2.png": clear.getvalue()}
    address = lay(store, tmp_path / "set", "sets/kinds", files)
    with pytest.raises(UnfitError, match=rf"^{address}/2.png has 64 of 64 pixels .* not opaque"):
        survey(open_dataset("folder", path=address, image_shape=SHAPE))
    here, there = (
        open_dataset("folder", path=place, image_shape=SHAPE, alpha="white")
        for place in (tmp_path / "set", address)
    )
    assert survey(there) == survey(here) == ("1 with an alpha channel",)
    np.testing.assert_array_equal(there.arrays()[0], here.arrays()[0])
    np.testing.assert_allclose(there.image(0)[0].ravel() * 65535, np.arange(64) * 999, rtol=1e-6)


def test_a_bad_image_is_named_by_its_address(store: ObjectStore, tmp_path: Path) -> None:
    files = {"0.png": picture(1), "1.png": picture(1, size=9), "2.png": b"no picture"}
    address = lay(store, tmp_path / "set", "sets/bad", {**files, "3.png": bytes(17 * 2**20)})
    images = open_dataset("folder", path=address, image_shape=SHAPE)
    for index, problem in ((1, "has shape 1x9x9"), (2, "is not an image"), (3, "is too large")):
        with pytest.raises(ImageError, match=rf"^{address}/{index}.png {problem}"):
            images.image(index)
    assert images.hash() == open_dataset("folder", path=tmp_path / "set", image_shape=SHAPE).hash()


def test_a_file_that_keeps_its_size_changes_a_folders_fingerprint(
    store: ObjectStore, tmp_path: Path
) -> None:
    found = set()
    for value in (b"one", b"two"):
        address = lay(store, tmp_path / "set", "sets/fingerprint", {"0.png": value})
        found.add(open_dataset("folder", path=address, image_shape=SHAPE).fingerprint())
    assert len(found) == 2


def test_idx_files(store: ObjectStore, tmp_path: Path) -> None:
    pixels = np.arange(2 * 28 * 28, dtype=np.uint8).tobytes()
    header = b"".join(size.to_bytes(4, "big") for size in (2051, 2, 28, 28))
    labels = b"".join(size.to_bytes(4, "big") for size in (2049, 2)) + b"\x03\x04"
    files = {
        "train-images-idx3-ubyte.gz": gzip.compress(header + pixels),
        "train-labels-idx1-ubyte": labels,
    }
    address = lay(store, tmp_path / "set", "sets/idx", files)
    here = open_dataset("mnist", split="train", path=tmp_path / "set")
    there = open_dataset("mnist", split="train", path=address)
    assert there.hash() == here.hash()
    assert there.source(1) == here.source(1)
    with pytest.raises(DatasetError, match=f"MNIST was not found in {address}"):
        open_dataset("mnist", split="test", path=address)


def test_archives(store: ObjectStore, tmp_path: Path) -> None:
    archive, arrays = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for index in range(2):
            file.writestr(f"{index}.png", picture(index))
        file.writestr("2.png", b"no picture")
    np.savez(arrays, arr_0=np.zeros((2, 8, 8, 1), np.uint8))
    files = {"set.zip": archive.getvalue(), "set.npz": arrays.getvalue()}
    address = lay(store, tmp_path / "set", "sets/archives", files)
    for name in ("zip", "npz"):
        here = open_dataset(name, path=tmp_path / "set" / f"set.{name}", image_shape=SHAPE)
        there = open_dataset(name, path=f"{address}/set.{name}", image_shape=SHAPE)
        assert there.hash() == here.hash()
        assert there.source(1).startswith(f"{name}:{address}/set.{name}:")
    images = open_dataset("zip", path=f"{address}/set.zip", image_shape=SHAPE)
    with pytest.raises(ImageError, match=rf"^{address}/set.zip, 2.png is not an image"):
        images.image(2)
    with pytest.raises(DatasetError, match="there is no object s3://audits/sets/archives/none"):
        open_dataset("zip", path=f"{address}/none.zip", image_shape=SHAPE)


def test_pictures_of_another_size(store: ObjectStore, tmp_path: Path) -> None:
    address = lay(store, tmp_path / "set", "sets/sizes", {"0.png": picture(1, size=9)})
    here, there = (
        open_dataset("folder", path=path, image_shape=SHAPE, resize="lanczos")
        for path in (tmp_path / "set", address)
    )
    assert there.hash() == here.hash()
    assert there.source(0) == f"folder:{address}/0.png, lanczos 1x8x8"
    np.testing.assert_array_equal(there.image(0)[0], here.image(0)[0])


def test_an_lmdb(store: ObjectStore, tmp_path: Path) -> None:
    made = str(tmp_path / "made")
    with lmdb.open(made, map_size=2**20) as database, database.begin(write=True) as writing:
        writing.put(b"key", picture(1))
    files = {"data.mdb": (tmp_path / "made" / "data.mdb").read_bytes()}
    address = lay(store, tmp_path / "set", "sets/lmdb", files)
    images = open_dataset("lmdb", path=address, image_shape=SHAPE)
    assert images.source(0) == f"lmdb:{address}:key"
    here = open_dataset("lmdb", path=tmp_path / "set", image_shape=SHAPE)
    np.testing.assert_array_equal(images.image(0)[0], here.image(0)[0])


def test_a_set_without_files_takes_no_address() -> None:
    with pytest.raises(
        DatasetError, match="'digits' is not read from a bucket: remove the path s3://"
    ):
        open_dataset("digits", split="train", path=f"s3://{BUCKET}/sets")
