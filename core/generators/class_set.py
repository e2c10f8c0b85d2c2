"""Several generators, one a class, as one class-conditional generator."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .protocol import Generator


class ClassSetGenerator:
    """G(z; c) = G_c(z): the condition picks the generator, each of them unconditional.

    They have one latent dimension and one image shape, and the same prior N(0, I). Each makes only
    the images of its own class, also where a batch mixes classes or is differentiated. ``members``
    has them by the number of their class.
    """

    def __init__(self, members: Mapping[int, Generator]) -> None:
        """``members`` by class number; numbers between them may be missing.

        Raises:
            ValueError: there are none, one is conditional, or their latents or images differ.
        """
        self.members = dict(sorted(members.items()))
        first = next(iter(self.members.values()), None)
        if first is None or min(self.members) < 0:
            raise ValueError(f"a set of generators by class number, found {list(members)}")
        for number, member in self.members.items():
            if member.num_classes:
                raise ValueError(f"the generator of class {number} is class-conditional itself")
            if (member.latent_dim, member.image_shape) != (first.latent_dim, first.image_shape):
                raise ValueError(f"the generator of class {number} has another latent or shape")
        self.latent_dim = first.latent_dim
        self.image_shape = first.image_shape
        self.num_classes = max(self.members) + 1

    def __call__(
        self, latent: Float[Tensor, "batch latent"], condition: Int[Tensor, " batch"] | None
    ) -> Float[Tensor, "batch channels height width"]:
        """Images in [0, 1], one per row of ``latent``, by the generators of their classes.

        Raises:
            ValueError: without a condition.
            IndexError: a class that has no generator.
        """
        if condition is None:
            raise ValueError("a set of generators, one a class, needs a condition")
        found, counts = torch.unique(condition, return_counts=True)
        present = found.tolist()
        missing = [label for label in present if label not in self.members]
        if missing:
            raise IndexError(f"class {missing[0]} has no generator: {list(self.members)} have")
        if len(present) == 1:
            return self.members[present[0]](latent, None)
        # Rows of a class side by side, so that each generator is called once, with its own alone.
        order = condition.argsort(stable=True)
        rows = torch.split(order, counts.tolist())
        parts = [
            self.members[label](latent[own], None) for label, own in zip(present, rows, strict=True)
        ]
        return torch.cat(parts)[order.argsort()]

    def to(self, device: torch.device) -> "ClassSetGenerator":
        """The same generators with their weights on ``device``."""
        return ClassSetGenerator(
            {number: member.to(device) for number, member in self.members.items()}
        )
