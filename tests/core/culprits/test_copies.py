import pytest
import torch
from offmanifold.core.culprits.copies import SHARES, copying_culprits
from offmanifold.core.culprits.culprit import Culprit

random = torch.Generator().manual_seed(0)
TRAINING = torch.rand(60, 1, 8, 8, generator=random)
LABELS = torch.arange(60) % 3
OTHERS = torch.rand(200, 1, 8, 8, generator=random)
OWN = torch.arange(200) % 3
CULPRITS = {culprit.name: culprit for culprit in copying_culprits(TRAINING, LABELS)}


def nearest(images: torch.Tensor, references: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    found = torch.cdist(images.flatten(1).double(), references.flatten(1).double()).min(1)
    return found.values, found.indices


def made(culprit: Culprit, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    return culprit.make(OTHERS, OWN, seed)


@pytest.mark.parametrize("culprit", CULPRITS.values(), ids=CULPRITS)
def test_the_same_seed_makes_the_same_images(culprit: Culprit) -> None:
    images, labels = made(culprit)
    again, _ = made(culprit)
    other, _ = made(culprit, seed=2)
    assert images.shape == OTHERS.shape
    assert labels.shape == OWN.shape
    assert torch.equal(images, again)
    assert not torch.equal(images, other)
    assert 0 <= images.min() <= images.max() <= 1
    assert not culprit.honest


@pytest.mark.parametrize("share", SHARES)
def test_so_many_of_the_honest_images_are_replaced(share: float) -> None:
    images, labels = made(CULPRITS[f"copies-{100 * share:.0f}"])
    replaced = (images != OTHERS).flatten(1).any(1)
    assert replaced.sum() == round(200 * share)
    distance, index = nearest(images[replaced], TRAINING)
    assert distance.max() < 0.02 * 8 * 1.5
    assert torch.equal(LABELS[index], labels[replaced])


def test_replays_are_changed_training_images() -> None:
    flipped, _ = made(CULPRITS["replay-flipped"])
    assert nearest(flipped.flip(-1), TRAINING)[0].max() < 1e-6
    darker, _ = made(CULPRITS["replay-darker"])
    assert darker.max() <= 0.7
    shifted, _ = made(CULPRITS["replay-shifted"])
    distance, index = nearest(shifted[..., 1:], TRAINING[..., :-1])
    assert distance.max() < 1e-6
    # As few times as can be: 60 training images for 200.
    assert index.bincount(minlength=60).tolist().count(0) == 0
    assert index.bincount(minlength=60).max() == 4


def test_interpolations_are_means_of_two_images_of_a_class() -> None:
    images, labels = made(CULPRITS["interpolated"])
    first, second = torch.triu_indices(60, 60)
    distance, index = nearest(images, (TRAINING[first] + TRAINING[second]) / 2)
    assert distance.max() < 1e-6
    assert torch.equal(LABELS[first[index]], labels)
    assert torch.equal(LABELS[second[index]], labels)
