import numpy as np
import pytest
from offmanifold.core.statistics.data_copying import authentic, data_copying
from scipy.stats import mannwhitneyu


def test_c_t_is_that_of_scipys_mann_whitney() -> None:
    rng = np.random.default_rng(0)
    generated, held_out = np.round(rng.gamma(3, size=300), 1), np.round(rng.gamma(4, size=200), 1)
    cells, held_cells = rng.integers(0, 3, 300), rng.integers(0, 3, 200)
    # A cell that few generated images lie in does not count.
    cells[:7], held_cells[:30] = 3, 3
    total, weight = 0.0, 0
    for cell in range(3):
        mine, theirs = generated[cells == cell], held_out[held_cells == cell]
        m, n = len(mine), len(theirs)
        u = mannwhitneyu(mine, theirs).statistic
        total += n * (u - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12)
        weight += n
    found = data_copying(generated, cells, held_out, held_cells, 0)
    assert found is not None
    assert found.cells == 3
    assert found.value == pytest.approx(total / weight, rel=1e-12)
    # Of three cells of about equal size the standard deviation is about 1 / sqrt(3), never 1.
    assert found.deviation == pytest.approx(3**-0.5, rel=0.1)


def test_without_copies_its_p_values_are_uniform() -> None:
    rng = np.random.default_rng(1)
    found = []
    for seed in range(150):
        every, cells = rng.random(160), rng.integers(0, 3, 160)
        each = data_copying(every[:80], cells[:80], every[80:], cells[80:], seed, sets=100)
        assert each is not None
        found.append(each.p_value)
    assert np.mean(np.array(found) <= 0.1) == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / 150))


def test_no_cell_is_no_number() -> None:
    few = np.arange(10.0)
    assert data_copying(few, np.zeros(10, int), few, np.zeros(10, int), 0) is None


def test_authentic_images_are_farther_than_training_images_are() -> None:
    found = authentic(np.array([0, 0, 1]), np.array([0.5, 1.5, 1.0]), np.array([1.0, 2.0]))
    assert found.tolist() == [False, True, False]
