"""The paper's two classifiers: a linear softmax model, and a residual network of 32 layers."""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad, relu

from .classifier import Classifier


def linear_classifier(image_shape: Sequence[int], classes: int) -> Classifier:
    """softmax(W x + b) of the pixels; starts from W = 0 and b = 0, where no class is preferred."""
    classifier = Classifier(nn.Flatten(), image_shape[0], math.prod(image_shape), classes)
    nn.init.zeros_(classifier.head.weight)
    nn.init.zeros_(classifier.head.bias)
    return classifier


def resnet32(image_shape: Sequence[int], classes: int) -> Classifier:
    """The 32-layer network for small images of He et al. (2016, 4.2): 6n + 2 layers, n = 5.

    A convolution, three stages of five blocks with 16, 32 and 64 channels, the second and the third
    at half the resolution of the one before, the mean over pixels, and a linear layer. Shortcuts
    have no weights (their option A). 0.46 million weights for 10 classes.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(image_shape[0], 16, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
    ]
    before = 16
    for channels in (16, 32, 64):
        for _ in range(5):
            layers.append(_Block(before, channels))
            before = channels
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    classifier = Classifier(nn.Sequential(*layers), image_shape[0], before, classes)
    for module in classifier.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return classifier


class _Block(nn.Module):
    """Two 3x3 convolutions and a shortcut; more channels than before halve the resolution."""

    def __init__(self, before: int, channels: int) -> None:
        super().__init__()
        self._added = channels - before
        self._stride = 2 if self._added else 1
        self.first = nn.Conv2d(
            before, channels, kernel_size=3, stride=self._stride, padding=1, bias=False
        )
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)

    def forward(
        self, images: Float[Tensor, "batch before height width"]
    ) -> Float[Tensor, "batch channels smaller_height smaller_width"]:
        inner = relu(self.first_norm(self.first(images)))
        inner = self.second_norm(self.second(inner))
        if not self._added:
            return relu(inner + images)
        # Every second pixel, and channels of zeros.
        kept = avg_pool2d(images, 1, stride=2)
        return relu(inner + pad(kept, (0, 0, 0, 0, 0, self._added)))


ARCHITECTURES: Mapping[str, Callable[[Sequence[int], int], Classifier]] = MappingProxyType(
    {"linear": linear_classifier, "resnet32": resnet32}
)


def build_classifier(
    architecture: str, image_shape: Sequence[int], classes: int, seed: int
) -> Classifier:
    """The untrained classifier of a name in `ARCHITECTURES`; ``seed`` decides its weights.

    Raises:
        ValueError: an unknown name, fewer than two classes, or images too small for it.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"classifier '{architecture}': expected {' or '.join(ARCHITECTURES)}")
    if classes < 2:
        raise ValueError(f"{classes} classes: a classifier needs at least two")
    if architecture == "resnet32" and min(image_shape[1:]) < 4:
        raise ValueError(
            f"images of {image_shape[1]}x{image_shape[2]} pixels: resnet32 halves them twice and "
            "needs 4 pixels a side; take the linear classifier"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ARCHITECTURES[architecture](image_shape, classes)
