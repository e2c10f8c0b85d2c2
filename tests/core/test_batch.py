"""What a batch whose parts do not belong together is told."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from offmanifold.core.batch import check_batch
from torch import Tensor


@pytest.mark.parametrize(
    ("images", "condition", "seeds", "message"),
    [
        (torch.zeros(2, 1, 1, 7), None, [1, 2], r"shape \(1, 1, 7\)"),
        (torch.zeros(2, 1, 1, 6), None, [1], "1 seeds for 2 images"),
        (torch.zeros(2, 1, 1, 6), torch.tensor([1]), [1, 2], "1 conditions for 2 images"),
    ],
)
def test_mismatches_are_named(
    linear_decoder: Callable[..., Any],
    images: Tensor,
    condition: Tensor | None,
    seeds: list[int],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        check_batch(linear_decoder(3, 6), images, condition, seeds)
