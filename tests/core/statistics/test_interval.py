"""Resamples: as many as were asked for, in blocks of bounded memory; bad samples are named."""

import numpy as np
import pytest
from offmanifold.core.statistics.interval import resampled_indices


@pytest.mark.parametrize(("n", "resamples"), [(3, 2000), (9000, 2000)])
def test_blocks_add_up_to_the_resamples(n: int, resamples: int) -> None:
    blocks = list(resampled_indices(np.random.default_rng(0), n, resamples))
    assert sum(len(block) for block in blocks) == resamples
    assert all(block.size <= 4_000_000 for block in blocks)
    drawn = np.concatenate([block.ravel() for block in blocks])
    assert (drawn.min(), drawn.max()) == (0, n - 1)
    # Uniform on 0 ... n-1, with standard deviation about n / sqrt(12).
    assert abs(drawn.mean() - (n - 1) / 2) < 4 * n / np.sqrt(12 * len(drawn))
