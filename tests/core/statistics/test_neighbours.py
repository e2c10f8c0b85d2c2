import numpy as np
import pytest
from offmanifold.core.statistics import l2, neighbours
from offmanifold.core.statistics.neighbours import nearest
from sklearn.neighbors import NearestNeighbors


def no_exclusion(queries: np.ndarray) -> np.ndarray:
    return np.full(len(queries), -1)


def brute_force(query: np.ndarray, references: np.ndarray) -> np.ndarray:
    return np.sqrt(np.sum((references.astype(np.float64) - query.astype(np.float64)) ** 2, axis=1))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that a few hundred images already cross."""
    monkeypatch.setattr(neighbours, "_QUERY_ROWS", 7)
    monkeypatch.setattr(neighbours, "_REFERENCE_ROWS", 11)
    monkeypatch.setattr(l2, "_PAIR_ELEMENTS", 50)


@pytest.mark.usefixtures("small_blocks")
def test_agrees_with_scikit_learn_brute_force() -> None:
    rng = np.random.default_rng(0)
    references = rng.random((300, 12), dtype=np.float32)
    queries = rng.random((60, 12), dtype=np.float32)
    labels = rng.integers(0, 4, size=300)
    found = nearest(queries, references, labels, 4, no_exclusion(queries))
    reference = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(references.astype(float))
    distance, index = reference.kneighbors(queries.astype(float))
    np.testing.assert_array_equal(found.index, index[:, 0])
    np.testing.assert_allclose(found.distance, distance[:, 0], rtol=1e-12)
    for c in range(4):
        within = references[labels == c]
        expected = [brute_force(query, within).min() for query in queries]
        np.testing.assert_allclose(found.class_distance[:, c], expected, rtol=1e-14)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("panel", [2, 4096])
def test_among_many_ties_the_distance_is_brute_forces_and_the_index_the_lowest(
    monkeypatch: pytest.MonkeyPatch, panel: int
) -> None:
    monkeypatch.setattr(l2, "_PANEL_COLUMNS", panel)
    rng = np.random.default_rng(3)
    references = rng.integers(0, 3, size=(400, 5)).astype(np.float32) / 2
    queries = rng.integers(0, 3, size=(90, 5)).astype(np.float32) / 2
    labels = rng.integers(-1, 3, size=400)
    found = nearest(queries, references, labels, 3, no_exclusion(queries))
    distance, _ = (
        NearestNeighbors(n_neighbors=1, algorithm="brute").fit(references).kneighbors(queries)
    )
    np.testing.assert_allclose(found.distance, distance[:, 0], rtol=1e-6, atol=1e-6)
    exact = np.stack([brute_force(query, references) for query in queries])
    np.testing.assert_array_equal(found.index, exact.argmin(axis=1))
    for c in range(3):
        np.testing.assert_array_equal(found.class_distance[:, c], exact[:, labels == c].min(axis=1))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("columns", [784, 9000])
def test_near_duplicates_in_float32(columns: int) -> None:
    # Steps of one rounding unit: far below what a float32 product can tell apart.
    rng = np.random.default_rng(4)
    base = rng.random(columns, dtype=np.float32)
    steps = rng.permutation(np.arange(1, 31))
    references = np.stack([base] * 30)
    for row, step in enumerate(steps):
        references[row, : 3 * step] = np.nextafter(references[row, : 3 * step], np.float32(2))
    found = nearest(base[None], references, np.zeros(30, dtype=np.int64), 1, np.array([-1]))
    assert found.index[0] == steps.argmin()
    assert found.distance[0] == brute_force(base, references).min()


@pytest.mark.usefixtures("small_blocks")
def test_near_duplicates_are_ranked_exactly() -> None:
    # Differences of 1e-7 in images of norm 28 vanish in |q|^2 + |r|^2 - 2qr, not in the re-ranking.
    rng = np.random.default_rng(1)
    base = 0.9 + 0.1 * rng.random(784)
    shift = rng.permutation(40) + 1.0
    references = base + 1e-9 * shift[:, None] * rng.standard_normal((40, 784))
    found = nearest(base[None], references, np.zeros(40, dtype=np.int64), 1, np.array([-1]))
    exact = brute_force(base, references)
    assert found.index[0] == exact.argmin()
    assert found.distance[0] == pytest.approx(exact.min(), rel=1e-12)


@pytest.mark.usefixtures("small_blocks")
def test_ties_go_to_the_lower_index_and_exclusion_is_by_identity() -> None:
    references = np.tile(np.array([[0.5, 0.25]]), (30, 1))
    queries = references[[0, 3]]
    labels = np.arange(30) % 3
    found = nearest(queries, references, labels, 3, np.array([0, -1]))
    assert found.index.tolist() == [1, 0]
    assert found.distance.tolist() == [0.0, 0.0]
    assert np.all(found.class_distance == 0)


def test_leave_one_out_and_empty_classes() -> None:
    references = np.array([[0.0], [1.0], [3.0]])
    labels = np.array([0, 1, 1])
    found = nearest(references, references, labels, 3, np.arange(3))
    assert found.index.tolist() == [1, 0, 1]
    assert found.class_distance.tolist() == [
        [np.inf, 1.0, np.inf],
        [1.0, 2.0, np.inf],
        [3.0, 2.0, np.inf],
    ]


def test_unlabelled_references_count_in_no_class() -> None:
    references = np.array([[0.0], [1.0]])
    found = nearest(references, references, np.array([-1, -1]), 0, np.array([0, -1]))
    assert found.index.tolist() == [1, 1]
    assert found.class_distance.shape == (2, 0)


def test_nothing_left_to_compare_with() -> None:
    found = nearest(np.zeros((1, 2)), np.zeros((1, 2)), np.array([0]), 1, np.array([0]))
    assert found.index.tolist() == [-1]
    assert found.distance.tolist() == [np.inf]


def test_batch_neighbours_do_not_matter() -> None:
    rng = np.random.default_rng(2)
    references = rng.random((500, 64), dtype=np.float32)
    queries = rng.random((20, 64), dtype=np.float32)
    labels = rng.integers(0, 5, size=500)
    together = nearest(queries, references, labels, 5, no_exclusion(queries))
    for q in range(20):
        alone = nearest(queries[q : q + 1], references, labels, 5, np.array([-1]))
        assert alone.distance[0] == together.distance[q]
        assert alone.index[0] == together.index[q]


def test_bad_input_is_named() -> None:
    one = np.zeros((1, 2))
    with pytest.raises(ValueError, match="between -1 and 0"):
        nearest(one, one, np.array([4]), 1, np.array([-1]))
    with pytest.raises(ValueError, match="not finite"):
        nearest(np.array([[np.nan, 0.0]]), one, np.array([0]), 1, np.array([-1]))
