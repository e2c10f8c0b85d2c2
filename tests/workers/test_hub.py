"""Weights and images in repositories of the hub, from its cache, without a network."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import offmanifold
import pytest
from offmanifold.cluster.locations import HubAddress, LocationError, absolute
from offmanifold.cluster.storage import StorageError
from offmanifold.workers.datasets import DatasetError, open_dataset
from offmanifold.workers.generators import GeneratorError, describe_generator, open_generator
from offmanifold.workers.hub import hub_file, hub_folder
from sklearn.datasets import load_digits

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def store(cache: Path, repository: str, path: str, content: bytes) -> None:
    """As the library keeps what it downloaded: a snapshot of links to blobs, and the branch."""
    folder = cache / repository
    blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
    link = folder / "snapshots" / COMMIT / path
    for each in (blob, link, folder / "refs" / "main"):
        each.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(content)
    (folder / "refs" / "main").write_text(COMMIT)
    link.symlink_to(Path("../" * (2 + path.count("/"))) / "blobs" / blob.name)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    cache = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("OFFMANIFOLD_CACHE", str(tmp_path / "own"))
    return cache


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hf://o/n/a/b.pt", ("model", "o/n", None, "a/b.pt")),
        ("hf://datasets/o/n@v1.0/images/", ("dataset", "o/n", "v1.0", "images")),
        ("hf://o/n@refs%2Fpr%2F1", ("model", "o/n", "refs/pr/1", "")),
    ],
)
def test_an_address(text: str, parts: tuple[str, str, str | None, str]) -> None:
    found = HubAddress.of(text)
    assert (found.kind, found.repository, found.revision, found.path) == parts
    assert absolute(text, Path("/elsewhere")) == text.rstrip("/")


@pytest.mark.parametrize(
    "text",
    [
        "hf://",
        "hf://o",
        "hf://datasets/o",
        "hf://o/n@/x",
        "hf://o/n/../x",
        "hf:///n/x",
        "hf:/o/n/x",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(LocationError, match="expected "):
        absolute(text)


def test_a_generator_is_that_of_its_files(cache: Path) -> None:
    shipped = Path(offmanifold.__file__).parent / "workers" / "weights" / "digits"
    for file in shipped.iterdir():
        store(cache, "models--o--n", f"gan/{file.name}", file.read_bytes())
    for address in ("hf://o/n/gan", f"hf://o/n@{COMMIT}/gan"):
        opened = open_generator(address)
        assert opened.sha256 == open_generator("shipped:digits").sha256
        assert opened.description.source == describe_generator(address).source == address
    with pytest.raises(GeneratorError, match="there is no folder hf://o/n/other"):
        open_generator("hf://o/n/other")


@pytest.mark.parametrize("links", [True, False])
def test_an_image_set_is_that_of_its_files(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refused(*_: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    if not links:
        monkeypatch.setattr("os.link", refused)
    for index, image in enumerate(load_digits().images[:4]):
        inside = f"train/{index % 2}/{index}.npy"
        file = tmp_path / "plain" / inside
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, (image / 16).astype(np.float32)[None])
        store(cache, "datasets--o--n", f"digits/{inside}", file.read_bytes())
    address, shape = "hf://datasets/o/n/digits", (1, 8, 8)
    plain = open_dataset("folder", path=str(tmp_path / "plain"), split="train", image_shape=shape)
    for _ in range(2):
        found = open_dataset("folder", path=address, split="train", image_shape=shape)
        assert found.length == 4
        np.testing.assert_array_equal(found.arrays()[0], plain.arrays()[0])
        assert found.hash() == plain.hash()
        assert found.source(3) == f"folder:{address}/train/1/3.npy"
    with pytest.raises(DatasetError, match="hf://datasets/o/n/nothing"):
        open_dataset("folder", path="hf://datasets/o/n/nothing", image_shape=shape)


def test_what_the_cache_has_not_got(cache: Path) -> None:
    store(cache, "models--o--n", "net.pkl", b"net")
    assert hub_file("hf://o/n/net.pkl").read_bytes() == b"net"
    assert hub_folder("hf://o/n", ["net.pkl"]).joinpath("net.pkl").exists()
    with pytest.raises(FileNotFoundError, match=r"no file hf://o/n/other\.pkl; or the hub was"):
        hub_file("hf://o/n/other.pkl")
    with pytest.raises(LocationError, match="add the path of a file"):
        hub_file("hf://o/n")
    with pytest.raises(StorageError, match=r"hf://o/unknown/net\.pkl: cannot be read from the hub"):
        hub_file("hf://o/unknown/net.pkl")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(GeneratorError, match=r"hf://o/n/gan: .*pip install huggingface_hub"):
        open_generator("hf://o/n/gan")
