"""Items' class conditions as the tensor a generator takes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .shard import Item


def condition_tensor(items: Sequence[Item], device: torch.device) -> Tensor | None:
    """Class indices, int64 [items]; None for an unconditional generator.

    Raises:
        ValueError: where some items have a condition and others none.
    """
    conditions = [item.condition for item in items if item.condition is not None]
    if not conditions:
        return None
    if len(conditions) != len(items):
        raise ValueError("a shard mixes items with and without a class condition")
    return torch.tensor(conditions, dtype=torch.int64, device=device)
