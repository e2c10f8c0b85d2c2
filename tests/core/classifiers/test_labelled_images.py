"""Sets that are read by number: the same image wherever it is asked for."""

import numpy as np
import pytest
import torch
from offmanifold.core.classifiers.labelled_images import (
    GeneratedImages,
    Joined,
    StoredImages,
    Subset,
    balanced,
    down_sampled,
)
from offmanifold.core.generators.dense import DenseGenerator
from offmanifold.core.likelihood import simulate
from offmanifold.core.quantisation import quantise


def numbered(count: int, first: int = 0) -> StoredImages:
    pixels = torch.arange(first, first + count, dtype=torch.uint8).view(-1, 1, 1, 1)
    return StoredImages(pixels, np.arange(count) % 3)


def values(images: torch.Tensor) -> list[int]:
    return (images[:, 0, 0, 0] * 255).round().int().tolist()


def test_a_generated_image_depends_on_its_seed_and_class_alone() -> None:
    torch.manual_seed(0)
    generator = DenseGenerator(4, 3, (1, 4, 4), width=8, depth=1)
    labels = np.array([0, 2, 1, 1, 0])
    seeds = [11, 12, 13, 14, 15]
    images = GeneratedImages(generator, labels, seeds, torch.device("cpu"), levels=17)
    indices = np.array([4, 0, 3])
    expected, _ = simulate(generator, torch.from_numpy(labels[indices]), 0.0, [15, 11, 14])
    assert torch.allclose(images.batch(indices), quantise(expected, 17), atol=1e-6)
    alone = torch.cat([images.batch(indices[[each]]) for each in range(3)])
    assert torch.allclose(alone, images.batch(indices), atol=1e-6)


def test_joined_sets_are_read_across_their_borders() -> None:
    joined = Joined([numbered(4), Subset(numbered(10, 100), np.array([9, 2])), numbered(3, 50)])
    assert len(joined.labels) == 9
    assert values(joined.batch(np.array([8, 0, 5, 4, 3, 6]))) == [52, 0, 102, 109, 3, 50]
    assert joined.labels.tolist() == [0, 1, 2, 0, 0, 2, 0, 1, 2]


def test_down_sampling_takes_that_share_at_random_and_leaves_no_class_out() -> None:
    labels = np.repeat([0, 1, 2], [900, 98, 2])
    kept = down_sampled(labels, 100, seed=0)
    assert len(kept) == 10
    assert len(np.unique(kept)) == 10
    assert set(labels[kept]) == {0, 1, 2}
    assert np.array_equal(kept, down_sampled(labels, 100, seed=0))
    assert not np.array_equal(kept, down_sampled(labels, 100, seed=1))
    shares = np.mean([np.mean(labels[down_sampled(labels, 4, s)] == 1) for s in range(200)])
    # The standard error of the mean of 200 samples of 250 is about 0.0012.
    assert shares == pytest.approx(0.098, abs=0.005)


def test_down_sampling_to_fewer_images_than_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="take a smaller factor"):
        down_sampled(np.arange(10).repeat(10), 20, seed=0)


def test_balancing_takes_as_many_of_each_class() -> None:
    labels = np.repeat([0, 1, 4], [50, 7, 20])
    kept = balanced(labels, seed=0)
    assert np.bincount(labels[kept]).tolist() == [7, 7, 0, 0, 7]
