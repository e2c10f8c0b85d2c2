"""Annealing schedules."""

import pytest
import torch
from offmanifold.core.samplers.schedule import geometric_schedule


def test_precisions_between_two_gaussians_grow_geometrically() -> None:
    deviation = 3.0
    beta = geometric_schedule(40, deviation**2)
    precision = (1 - beta) / deviation**2 + beta
    ratio = precision[1:] / precision[:-1]
    torch.testing.assert_close(ratio, torch.full_like(ratio, deviation ** (2 / 40)))
    assert beta[[0, -1]].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(("increments", "growth"), [(0, 20.0), (5, 1.0)])
def test_bad_arguments_are_refused(increments: int, growth: float) -> None:
    with pytest.raises(ValueError, match="increments"):
        geometric_schedule(increments, growth)
