"""Image sets at another size."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from offmanifold.workers.datasets import DatasetError, open_dataset
from offmanifold.workers.datasets.resized import resize

SQUARE = np.random.default_rng(0).random((1, 12, 12), dtype=np.float32)


def waves(size: int, cycles: float) -> NDArray[np.float32]:
    """Vertical stripes around one half, of so many cycles across the image."""
    phase = 2 * np.pi * cycles * (np.arange(size) + 0.5) / size
    row = 0.5 + 0.4 * np.sin(phase)
    return np.broadcast_to(row, (1, size, size)).astype(np.float32)


def test_the_same_size_changes_nothing() -> None:
    np.testing.assert_array_equal(resize(SQUARE, (1, 12, 12)), SQUARE)


def test_a_wave_that_fits_is_the_same_wave_and_one_that_does_not_is_gone() -> None:
    inside = (slice(None), slice(None), slice(3, -3))
    # Four cycles fit into 24 pixels, well inside of the filter's pass band.
    np.testing.assert_allclose(
        resize(waves(96, 4), (1, 24, 24))[inside], waves(24, 4)[inside], atol=0.02
    )
    # Twenty do not: every fourth pixel of them would be a wave of four.
    assert np.ptp(waves(96, 20)[0, 0, ::4]) > 0.7
    assert np.ptp(resize(waves(96, 20), (1, 24, 24))[inside]) < 0.05


def test_the_centre_is_kept_and_grey_becomes_colour() -> None:
    wide = np.concatenate([np.zeros((1, 8, 4)), np.ones((1, 8, 8)), np.zeros((1, 8, 4))], axis=2)
    found = resize(wide.astype(np.float32), (3, 4, 4))
    np.testing.assert_allclose(found, np.ones((3, 4, 4)), atol=1e-6)


def test_the_overshoot_of_an_edge_is_clipped() -> None:
    edge = np.zeros((1, 8, 8), dtype=np.float32)
    edge[..., 4:] = 1
    found = resize(edge, (1, 32, 32))
    assert (found.min(), found.max()) == (0, 1)


def test_a_resized_set_says_so(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (3, 6, 6, 1), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", pixels, [2, 0, 1])
    plain = open_dataset("npz", path=tmp_path / "set.npz")
    images = open_dataset(
        "npz", path=tmp_path / "set.npz", image_shape=(3, 12, 12), resize="lanczos"
    )
    found, labels = images.arrays()
    assert found.shape == (3, 3, 12, 12)
    assert labels.tolist() == [2, 0, 1]
    np.testing.assert_array_equal(found[1], resize(plain.image(1)[0], (3, 12, 12)))
    assert images.source(1) == f"{plain.source(1)}, lanczos 3x12x12"
    assert images.hash() != plain.hash()


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("digits", None, "and an image_shape"),
        ("folder", None, "and an image_shape"),
        ("single_colour", (1, 8, 8), "image_shape"),
    ],
)
def test_what_cannot_be_resized_is_refused(
    tmp_path: Path, name: str, shape: tuple[int, int, int] | None, words: str
) -> None:
    path = tmp_path if name == "folder" else None
    split = "train" if name == "digits" else ""
    with pytest.raises(DatasetError, match=words):
        open_dataset(name, split=split, path=path, image_shape=shape, resize="lanczos")


def test_colours_are_not_mixed(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", np.zeros((2, 6, 6, 3), dtype=np.uint8))
    with pytest.raises(DatasetError, match="not colours"):
        open_dataset("npz", path=tmp_path / "set.npz", image_shape=(1, 6, 6), resize="lanczos")
