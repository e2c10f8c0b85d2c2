"""What every classifier is: features of images, and a linear map from them to class scores."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Classifier(nn.Module):
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

    def standardise_by(self, images: Float[Tensor, "batch channels height width"]) -> None:
        """Takes the mean and the standard deviation of each channel from a sample of images.

        A channel that is one value throughout is only centred.
        """
        deviation = images.std(dim=(0, 2, 3), correction=0)
        self.mean.copy_(images.mean(dim=(0, 2, 3)))
        self.deviation.copy_(torch.where(deviation > 0, deviation, torch.ones_like(deviation)))
