"""Each culprit is wrong in the one way that it says, and the honest one in none."""

import numpy as np
import pytest
import torch
from offmanifold.core.culprits.blur import BLUR
from offmanifold.core.culprits.classes import (
    DROPS_A_CLASS,
    HALF_OF_EACH_CLASS,
    HONEST,
    PROTOTYPES,
    UNEVEN_CLASSES,
)
from offmanifold.core.culprits.registry import CULPRITS
from sklearn.datasets import load_digits

DIGITS = load_digits()
IMAGES = torch.from_numpy(DIGITS.images[:900, None] / 16).to(torch.float32)
LABELS = torch.from_numpy(DIGITS.target[:900].astype(np.int64))


def rows(images: torch.Tensor) -> list[bytes]:
    return [each.numpy().tobytes() for each in images]


def shares(labels: torch.Tensor) -> np.ndarray:
    counts = np.bincount(labels.numpy(), minlength=10)
    return counts / counts.sum()


@pytest.mark.parametrize("culprit", CULPRITS, ids=lambda culprit: culprit.name)
def test_what_a_culprit_makes(culprit) -> None:
    before = IMAGES.clone()
    images, labels = culprit.make(IMAGES, LABELS, 3)
    again, again_labels = culprit.make(IMAGES, LABELS, 3)
    assert torch.equal(IMAGES, before)
    assert torch.equal(images, again)
    assert torch.equal(labels, again_labels)
    assert len(images) == len(labels) > 0
    assert images.shape[1:] == IMAGES.shape[1:]
    assert images.min() >= 0
    assert images.max() <= 1


def test_names_are_unique_and_only_one_is_honest() -> None:
    assert len({each.name for each in CULPRITS}) == len(CULPRITS)
    assert [each for each in CULPRITS if each.honest] == [HONEST]


def test_the_honest_one_makes_the_real_images() -> None:
    images, labels = HONEST.make(IMAGES, LABELS, 0)
    pairs = sorted(zip(rows(images), labels.tolist(), strict=True))
    assert pairs == sorted(zip(rows(IMAGES), LABELS.tolist(), strict=True))
    assert not torch.equal(labels, LABELS)


def test_one_class_is_dropped_and_the_others_are_whole() -> None:
    dropped = set()
    for seed in range(20):
        _, labels = DROPS_A_CLASS.make(IMAGES, LABELS, seed)
        missing = set(range(10)) - set(labels.tolist())
        assert len(missing) == 1
        assert len(labels) == int(torch.sum(LABELS.ne(min(missing))))
        dropped |= missing
    assert len(dropped) > 3


def test_uneven_classes_are_uneven_by_four() -> None:
    _, labels = UNEVEN_CLASSES.make(IMAGES, LABELS, 0)
    ratio = shares(labels) / shares(LABELS)
    assert ratio.max() / ratio.min() == pytest.approx(4.0, rel=0.05)
    kept = np.bincount(labels.numpy()) / np.bincount(LABELS.numpy())
    assert kept.max() == 1.0


def test_half_of_each_class_keeps_the_shares_and_leaves_out_kinds() -> None:
    images, labels = HALF_OF_EACH_CLASS.make(IMAGES, LABELS, 0)
    assert np.abs(shares(labels) - shares(LABELS)).max() < 0.01
    assert len(set(rows(images))) == len(images)
    # Real images have fewer near neighbours among what is left than among as many at random.
    for each in range(10):
        mine, whole = images[labels == each].flatten(1), IMAGES[each == LABELS].flatten(1)
        random = whole[torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))]
        distance = torch.cdist(whole, mine).min(dim=1).values.mean()
        assert distance > torch.cdist(whole, random[: len(mine)]).min(dim=1).values.mean()


def test_prototypes_are_ten_images_of_each_class() -> None:
    images, labels = PROTOTYPES.make(IMAGES, LABELS, 0)
    assert torch.equal(labels, LABELS)
    for each in range(10):
        assert len(set(rows(images[labels == each]))) == 10
        assert torch.allclose(
            images[labels == each].mean(dim=0), IMAGES[each == LABELS].mean(dim=0), atol=1e-4
        )


def test_blur_keeps_flat_images_and_is_a_gaussian() -> None:
    flat, _ = BLUR.make(torch.full((1, 3, 20, 20), 0.3), torch.zeros(1, dtype=torch.int64), 0)
    assert torch.allclose(flat, torch.full((1, 3, 20, 20), 0.3), atol=1e-6)
    dot = torch.zeros(1, 1, 21, 21)
    dot[0, 0, 10, 10] = 1
    blurred, _ = BLUR.make(dot, torch.zeros(1, dtype=torch.int64), 0)
    assert blurred.sum() == pytest.approx(1.0, abs=1e-4)
    offset = torch.arange(21.0) - 10
    variance = (blurred[0, 0].sum(dim=1) * offset**2).sum()
    assert variance == pytest.approx(1.05**2, rel=0.05)


@pytest.mark.parametrize("culprit", [DROPS_A_CLASS, UNEVEN_CLASSES])
def test_images_of_one_class_are_refused(culprit) -> None:
    with pytest.raises(ValueError, match="take two classes"):
        culprit.make(IMAGES[:5], torch.zeros(5, dtype=torch.int64), 0)
