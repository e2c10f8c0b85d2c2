import numpy as np
import pytest
from offmanifold.core.statistics import neighbour_lists
from offmanifold.core.statistics.neighbour_lists import merge_lists, nearest_lists, tie_keys
from offmanifold.core.statistics.neighbours import nearest


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbour_lists, "_QUERY_ROWS", 7)
    monkeypatch.setattr(neighbour_lists, "_REFERENCE_ROWS", 23)


def brute_force(queries: np.ndarray, references: np.ndarray) -> np.ndarray:
    difference = queries[:, None].astype(np.float64) - references[None].astype(np.float64)
    distance: np.ndarray = np.sqrt(np.sum(difference**2, axis=2))
    return distance


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("k", [1, 5, 50, 110])
def test_the_lists_are_those_of_brute_force(k: int) -> None:
    rng = np.random.default_rng(0)
    references = rng.random((103, 12), dtype=np.float32)
    queries = rng.random((40, 12), dtype=np.float32)
    found = nearest_lists(queries, references, k)
    every = brute_force(queries, references)
    order = np.argsort(every, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(found.index[:, :103], order)
    np.testing.assert_allclose(
        found.distance[:, :103], np.take_along_axis(every, order, 1), rtol=1e-14
    )
    assert (found.index[:, 103:] == -1).all()
    assert np.isinf(found.distance[:, 103:]).all()


@pytest.mark.usefixtures("small_blocks")
def test_ties_go_by_their_keys_and_a_query_misses_itself() -> None:
    rng = np.random.default_rng(1)
    references = rng.integers(0, 3, size=(200, 4)).astype(np.float32) / 2
    own = rng.permutation(200)[:60]
    found = nearest_lists(references[own], references, 9, own)
    every = brute_force(references[own], references)
    every[np.arange(60), own] = np.inf
    keys = np.broadcast_to(tie_keys(np.arange(200)), every.shape)
    np.testing.assert_array_equal(found.index, np.lexsort((keys, every), axis=1)[:, :9])


def test_tie_keys_are_all_different_and_lean_nowhere() -> None:
    keys = tie_keys(np.arange(100_000))
    assert len(np.unique(keys)) == len(keys)
    # Of pairs of places far apart the lower one comes first as often as not.
    lower = np.mean(keys[:50_000] < keys[50_000:])
    assert abs(lower - 0.5) < 4 * 0.5 / np.sqrt(50_000)


def test_the_nearest_of_a_list_is_the_nearest() -> None:
    rng = np.random.default_rng(2)
    references = rng.random((9000, 30), dtype=np.float32)
    references[4000:4100] = references[:100]
    queries = references[:20] + np.float32(1e-4) * rng.random((20, 30), dtype=np.float32)
    one = nearest(queries, references, np.zeros(9000, np.int64), 1, np.full(20, -1))
    found = nearest_lists(queries, references, 3)
    np.testing.assert_array_equal(found.index[:, 0] % 4000, one.index)
    np.testing.assert_array_equal(found.distance[:, 0], one.distance)
    np.testing.assert_array_equal(np.sort(found.index[:, :2])[:, 0], one.index)
    np.testing.assert_array_equal(np.sort(found.index[:, :2])[:, 1], one.index + 4000)


def test_lists_of_blocks_merge_into_those_of_the_whole() -> None:
    rng = np.random.default_rng(3)
    references = rng.integers(0, 4, size=(90, 3)).astype(np.float64)
    queries = rng.random((11, 3))
    starts = [0, 5, 50]
    parts = [
        nearest_lists(queries, references[start:stop], 8, start=start)
        for start, stop in zip(starts, [5, 50, 90], strict=True)
    ]
    whole, merged = nearest_lists(queries, references, 8), merge_lists(parts, starts, 8)
    np.testing.assert_array_equal(merged.index, whole.index)
    np.testing.assert_array_equal(merged.distance, whole.distance)


def test_bad_input_is_named() -> None:
    one = np.zeros((2, 3))
    with pytest.raises(ValueError, match="at least 1"):
        nearest_lists(one, one, 0)
    with pytest.raises(ValueError, match="not finite"):
        nearest_lists(one, np.full((2, 3), np.nan), 1)
