"""The classifiers are those of the paper, and their features are what their scores are made of."""

import numpy as np
import pytest
import torch
from offmanifold.core.classifiers.architectures import build_classifier
from torch import nn


def test_the_residual_network_has_32_layers_and_as_many_weights_as_published() -> None:
    classifier = build_classifier("resnet32", (3, 32, 32), 10, 0)
    layers = [each for each in classifier.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
    assert len(layers) == 32
    assert sum(each.numel() for each in classifier.parameters()) == pytest.approx(0.46e6, rel=0.02)


@pytest.mark.parametrize("architecture", ["linear", "resnet32"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 12)])
def test_scores_are_linear_in_the_features(architecture: str, shape: tuple[int, int, int]) -> None:
    classifier = build_classifier(architecture, shape, 3, 0).eval()
    images = torch.rand(5, *shape, generator=torch.Generator().manual_seed(0))
    classifier.standardise_by([images[:2], images[2:]])
    with torch.no_grad():
        features = classifier.features(images)
        assert torch.equal(classifier.head(features), classifier(images))
    assert features.shape == (5, 64 if architecture == "resnet32" else np.prod(shape))


def test_shortcuts_pass_images_on() -> None:
    """With its convolutions at zero a block is the identity, with channels of zeros added."""
    classifier = build_classifier("resnet32", (1, 8, 8), 2, 0).eval()
    for module in classifier.modules():
        if isinstance(module, nn.Conv2d) and module.in_channels > 1:
            nn.init.zeros_(module.weight)
    images = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert isinstance(classifier.body, nn.Sequential)
    with torch.no_grad():
        stem = classifier.body[:3](images)
        features = classifier.features(images)
    assert torch.allclose(features[:, :16], stem[:, :, ::4, ::4].mean(dim=(2, 3)), atol=1e-6)
    assert torch.equal(features[:, 16:], torch.zeros(2, 48))


def test_a_seed_decides_the_weights_and_leaves_others_draws_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = (build_classifier("resnet32", (1, 8, 8), 2, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first.head.weight, again.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)


def test_a_channel_of_one_value_is_only_centred() -> None:
    classifier = build_classifier("linear", (2, 4, 4), 2, 0)
    images = torch.rand(10, 2, 4, 4)
    images[:, 1] = 0.5
    classifier.standardise_by([images[:2], images[2:]])
    assert torch.isfinite(classifier.features(images)).all()
    assert classifier.features(images)[:, :16].std(correction=0) == pytest.approx(1.0, abs=1e-5)
    assert torch.equal(classifier.features(images)[:, 16:], torch.zeros(10, 16))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("resnet", (1, 8, 8), 2), "linear or resnet32"),
        (("linear", (1, 8, 8), 1), "at least two"),
        (("resnet32", (1, 3, 8), 2), "take the linear classifier"),
    ],
)
def test_what_cannot_be_built_is_refused(
    arguments: tuple[str, tuple[int, int, int], int], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        build_classifier(*arguments, seed=0)
