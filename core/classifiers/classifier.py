"""What every classifier is: features of images, and a linear map from them to class scores."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Labeller(nn.Module):
    """Scores of ``classes`` classes for images in [0, 1]: all that labelling them needs."""

    classes: int


class Classifier(Labeller):
    """Scores of ``classes`` classes for images in [0, 1], of any size that its body takes.

    Images are standardised by a mean and a standard deviation for each channel, which are part of
    the weights: 0 and 1 until `standardise_by` sets them. ``body`` turns what is left into
    ``width`` features, and the last layer turns those into scores (logits).
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, body: nn.Module, channels: int, width: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))
        self.body = body
        self.head = nn.Linear(width, classes)
        self.classes = classes

    def features(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch features"]:
        """What the last layer sees of each image: a space to compare images in."""
        shape = (1, -1, 1, 1)
        standard = (images - self.mean.view(shape)) / self.deviation.view(shape)
        features: Tensor = self.body(standard)
        return features

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Logits: their softmax is the probability of each class."""
        logits: Tensor = self.head(self.features(images))
        return logits

    def standardise_by(self, batches: Iterable[Float[Tensor, "_ channels height width"]]) -> None:
        """Takes the mean and the standard deviation of each channel from a sample of images.

        A channel that is one value throughout is only centred.
        """
        total = torch.zeros_like(self.mean, dtype=torch.float64)
        squares, count = torch.zeros_like(total), 0
        for images in batches:
            values = images.to(torch.float64)
            total += values.sum(dim=(0, 2, 3))
            squares += values.square().sum(dim=(0, 2, 3))
            count += images[:, 0].numel()
        mean = total / count
        variance = squares / count - mean**2
        # Equal values have a variance that rounding puts beside 0.
        varies = variance > 1e-9
        self.mean.copy_(mean)
        self.deviation.copy_(torch.where(varies, variance, torch.ones_like(variance)).sqrt())
