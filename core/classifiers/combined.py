"""Classifiers of one attribute each, together one of all combinations ([CB] Table 1)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .classifier import Labeller


class CombinedLabeller(Labeller):
    """``parts`` say whether an image has each attribute; class bits are theirs, the first highest.

    Attributes count as independent given the image, so that a combination's logit is the sum of
    the logarithms of its parts, and the likeliest one has the likelier side of every attribute.
    """

    def __init__(self, parts: Sequence[Labeller]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.classes = 2 ** len(parts)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Logits: the logarithms of the combinations' probabilities."""
        joint = torch.zeros(len(images), 1, device=images.device)
        for part in self.parts:
            log = part(images).log_softmax(dim=1)
            joint = (joint[:, :, None] + log[:, None, :]).flatten(1)
        return joint
