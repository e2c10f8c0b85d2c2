"""Projection discriminators (Miyato & Koyama 2018) for training our own generators."""

from collections.abc import Sequence
from math import prod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import leaky_relu


class ProjectionHead(nn.Module):
    """A score from features and a class: w·h + v_c·h (Miyato & Koyama 2018, eq. 3).

    On its way to h the features' spread within groups of neighbouring rows is added as one more
    entry (Karras et al. 2018, section 3): a collapsed generator gives itself away by it. Callers
    sort a batch by class, so that a group shows the spread within a class.
    """

    group_size = 4

    def __init__(self, features: int, width: int, num_classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(features, width)
        self.second = nn.Linear(width + 1, width)
        self.score = nn.Linear(width, 1)
        self.classes = nn.Embedding(num_classes, width) if num_classes else None

    def forward(
        self, features: Float[Tensor, "batch features"], condition: Int[Tensor, " batch"] | None
    ) -> Float[Tensor, " batch"]:
        """One score per row; the batch must be a multiple of the group size."""
        hidden = leaky_relu(self.first(features), 0.2)
        groups = hidden.view(-1, self.group_size, hidden.shape[1])
        spread = (groups.var(dim=1, unbiased=False) + 1e-8).sqrt().mean(dim=1)
        spread = spread.repeat_interleave(self.group_size)
        hidden = leaky_relu(self.second(torch.cat([hidden, spread[:, None]], dim=1)), 0.2)
        score: Tensor = self.score(hidden).squeeze(1)
        if self.classes is not None:
            score = score + (self.classes(condition) * hidden).sum(dim=1)
        return score


class DenseDiscriminator(nn.Module):
    """A multilayer perceptron on the pixels, for images of a few dozen pixels."""

    def __init__(
        self, num_classes: int, image_shape: Sequence[int], width: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Flatten(),
            nn.Linear(prod(image_shape), width),
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout),
        )
        self.head = ProjectionHead(width, width, num_classes)

    def forward(
        self,
        images: Float[Tensor, "batch channels height width"],
        condition: Int[Tensor, " batch"] | None,
    ) -> Float[Tensor, " batch"]:
        """A score per image: high for what looks real."""
        score: Tensor = self.head(self.body(2 * images - 1), condition)
        return score


class ConvolutionalDiscriminator(nn.Module):
    """Two strided convolutions to quarter size, then dense layers."""

    def __init__(
        self, num_classes: int, image_shape: Sequence[int], channels: int, width: int
    ) -> None:
        """``channels`` at half size, twice that at quarter size; ``width`` dense units."""
        super().__init__()
        image_channels, height, columns = image_shape
        self.body = nn.Sequential(
            nn.Conv2d(image_channels, channels, kernel_size=4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, 2 * channels, kernel_size=4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
        )
        features = 2 * channels * (height // 4) * (columns // 4)
        self.head = ProjectionHead(features, width, num_classes)

    def forward(
        self,
        images: Float[Tensor, "batch channels height width"],
        condition: Int[Tensor, " batch"] | None,
    ) -> Float[Tensor, " batch"]:
        """A score per image: high for what looks real."""
        score: Tensor = self.head(self.body(2 * images - 1), condition)
        return score
