"""A path given with the wrong kind of image set is told from one that is missing or damaged."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from offmanifold.workers.datasets import DatasetError
from offmanifold.workers.datasets.kind_of_path import kind_of_path
from offmanifold.workers.datasets.opening import open_dataset
from PIL import Image

SHAPE = (1, 4, 4)


def make(kind: str, folder: Path) -> Path:
    """Files that look like a set of that kind."""
    pictures = folder / "pictures" / "cats"
    pictures.mkdir(parents=True)
    for name in ("0.png", "1.png"):
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(pictures / name)
    if kind == "folder":
        return folder / "pictures"
    path = folder / f"set.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(pictures / "0.png", "cats/0.png")
    elif kind == "npz":
        np.savez(path, arr_0=np.zeros((2, 4, 4, 1), np.uint8))
    else:
        path.mkdir()
        entry = {"lmdb": "data.mdb", "run": "audit.yaml", "mnist": "train-images-idx3-ubyte.gz"}
        (path / entry[kind]).write_bytes(b"")
    return path


@pytest.mark.parametrize("kind", ["folder", "zip", "npz", "lmdb", "run", "mnist"])
def test_the_kind_of_a_path_is_named_to_who_gave_another(kind: str, tmp_path: Path) -> None:
    path = make(kind, tmp_path)
    assert kind_of_path(path) == kind
    pytest.importorskip("lmdb")
    for other in {"folder", "zip", "npz", "lmdb", "run", "cifar10", "celeba"} - {kind}:
        if (kind, other) == ("npz", "zip"):
            # Which opens: an .npy may be a picture.
            continue
        split = "train" if other in ("cifar10", "celeba") else ""
        with pytest.raises(DatasetError, match=f"did you mean dataset: {kind}\\?"):
            open_dataset(other, split=split, path=path, image_shape=SHAPE)


def test_nothing_is_guessed_of_what_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    for path in (tmp_path, tmp_path / "notes.txt", tmp_path / "absent"):
        assert kind_of_path(path) is None
    with pytest.raises(DatasetError) as caught:
        open_dataset("fashion_mnist", split="train", path=make("mnist", tmp_path), image_shape=None)
    assert "did you mean" not in str(caught.value)
