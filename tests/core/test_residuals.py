"""Sketches of residuals keep what pixels have in common, at a bounded size."""

import pytest
import torch
from offmanifold.core.residuals import LARGEST_SKETCH, sketch_residuals


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 65, 47), (3, 256, 256)])
def test_sketches_are_bounded_and_keep_the_mean(shape: tuple[int, int, int]) -> None:
    sketch = sketch_residuals(torch.full((2, *shape), 0.25))
    assert sketch.shape[1] <= LARGEST_SKETCH
    assert sketch.flatten().tolist() == pytest.approx([0.25] * sketch.numel())


def test_a_small_residual_is_kept_whole() -> None:
    residual = torch.randn(3, 1, 28, 28)
    assert torch.equal(sketch_residuals(residual), residual.flatten(1))
