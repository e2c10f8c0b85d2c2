"""Grey levels: found in real sets, and what rounding to them costs."""

import numpy as np
import pytest
import torch
from offmanifold.core.quantisation import detect_levels, quantisation_variance, quantise
from offmanifold.workers.datasets import open_dataset
from sklearn.datasets import load_sample_images


def test_the_digits_have_17_levels() -> None:
    images, _ = open_dataset("digits", split="train", image_shape=(1, 8, 8)).arrays(range(50))
    assert detect_levels(images) == 17


def test_photographs_have_256_levels() -> None:
    pixels = np.stack(load_sample_images().images).astype(np.float32) / 255
    assert detect_levels(pixels) == 256


@pytest.mark.parametrize("levels", [2, 5, 17, 100, 256, 1024, 65536])
def test_levels_are_found_again(levels: int) -> None:
    values = np.random.default_rng(0).integers(0, levels, 70_000) / (levels - 1)
    assert detect_levels(values.astype(np.float32)) == levels


@pytest.mark.parametrize("levels", [2, 5, 17, 33])
def test_levels_are_found_in_8_bits_too(levels: int) -> None:
    values = np.arange(levels) / (levels - 1)
    assert detect_levels((np.round(values * 255) / 255).astype(np.float32)) == levels


def test_values_off_every_grid_have_no_levels() -> None:
    assert detect_levels(np.random.default_rng(0).random(500).astype(np.float32)) is None


def test_the_variance_is_that_of_rounding() -> None:
    values = torch.rand(200_000, generator=torch.Generator().manual_seed(0))
    error = (quantise(values, 17) - values).square().mean()
    # A uniform square has a relative standard deviation of 0.9.
    assert float(error) == pytest.approx(quantisation_variance(17), rel=4 * 0.9 / 200_000**0.5)


def test_noise_beyond_the_range_is_not_clipped() -> None:
    assert quantise(torch.tensor([-0.26, 1.26]), 5).tolist() == [-0.25, 1.25]
    assert quantise(torch.tensor([0.3]), None).tolist() == pytest.approx([0.3])
