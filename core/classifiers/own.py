"""A classifier that others trained, in the place of one that is trained here."""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from .classifier import Labeller

AnswerKind = Literal["logits", "probabilities"]

# Of probabilities, whose logarithm is taken: the smallest normal number of float32.
_LEAST = torch.finfo(torch.float32).tiny


class OwnClassifier(Labeller):
    """``network`` as a labeller: images go in from ``native_range[0]`` (black) to its end (white).

    What it ``answers`` with are logits, or probabilities, whose logarithms are logits.
    """

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        classes: int,
        native_range: tuple[float, float],
        answers: AnswerKind,
    ) -> None:
        super().__init__()
        self.network = network
        self.classes = classes
        self._black, self._white = native_range
        self._answers = answers

    def answers(self, images: Tensor) -> Tensor:
        """What the network says itself of images: whatever that is, for who checks it."""
        return self.network(self._black + (self._white - self._black) * images)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Logits: their softmax is the probability of each class."""
        found = self.answers(images)
        if self._answers == "probabilities":
            return found.clamp_min(_LEAST).log()
        return found
