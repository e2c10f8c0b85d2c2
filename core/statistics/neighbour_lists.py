"""The k nearest references of each query in l2, exactly, in bounded memory and from blocks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64, UInt64

from .l2 import known_scores, pair_distances, products, rounding, rows_at_once, squared_norms

_QUERY_ROWS = 512
_REFERENCE_ROWS = 8192
# Fewer rows at once where they are long.
_QUERY_ELEMENTS = 4_000_000
_REFERENCE_ELEMENTS = 8_000_000
# More candidates than so many times k in a row of a block are thinned before they are measured.
_MANY = 4


@dataclass(frozen=True)
class NeighbourLists:
    """Each query's nearest references in the order of their distance, equal ones of `tie_keys`.

    ``index`` is -1 and ``distance`` inf where fewer than k are left to compare with.
    """

    index: Int64[np.ndarray, "queries k"]
    distance: Float64[np.ndarray, "queries k"]


def nearest_lists(
    queries: Float[np.ndarray, "queries columns"],
    references: Float[np.ndarray, "references columns"],
    k: int,
    exclude: Int64[np.ndarray, " queries"] | None = None,
    start: int = 0,
) -> NeighbourLists:
    """The ``k`` nearest references of each query in l2, equal distances by their `tie_keys`.

    The references are a block of a set, in which the first has the place ``start``: there equal
    distances have one order, whatever the blocks. ``index`` is that in the block.

    A float32 matrix product finds every candidate that its rounding could not rule out; those are
    measured again value by value in float64. ``exclude`` names the one reference that a query must
    not match (itself, in leave-one-out), -1 for none. Besides its arguments it holds some tens of
    MiB.

    Raises:
        ValueError: lengths that do not fit, k below 1, or a value that is not finite.
    """
    if queries.shape[1] != references.shape[1] or k < 1:
        raise ValueError(
            f"queries of {queries.shape[1]} values, references of {references.shape[1]}, k = {k}: "
            "both must have the same length, and k must be at least 1"
        )
    if exclude is None:
        exclude = np.full(len(queries), -1)
    if len(exclude) != len(queries):
        raise ValueError("give one exclusion for each query")
    found = NeighbourLists(
        np.full((len(queries), k), -1, dtype=np.int64), np.full((len(queries), k), np.inf)
    )
    block = rows_at_once(_REFERENCE_ROWS, _REFERENCE_ELEMENTS, references)
    step = rows_at_once(_QUERY_ROWS, _QUERY_ELEMENTS, queries)
    norms = squared_norms(queries)
    for first in range(0, len(references), block):
        values = references[first : first + block]
        factor, reference_norms = values.astype(np.float32, copy=False), squared_norms(values)
        for top in range(0, len(queries), step):
            rows = slice(top, top + step)
            own = exclude[rows] - first
            scores = _scores(queries[rows], factor, reference_norms, own)
            row, column = _candidates(
                scores, norms[rows], float(reference_norms.max()), found.distance[rows], values
            )
            distance = pair_distances(queries[rows], row, values, column)
            _keep_nearest(found, rows, row, column + first, distance, start)
    return found


def tie_keys(place: Int64[np.ndarray, "..."]) -> UInt64[np.ndarray, "..."]:
    """A number for each place of a set, no two alike, by which equal distances are ordered.

    It looks like chance (the mix of SplitMix64: Steele et al. 2014), so that nothing else follows
    from it. By the place itself the first images of a set would be the nearest of equal ones: in a
    pool these are the training images, and every generator would seem to be nearer to them.
    """
    key = np.asarray(place).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(key ^ (key >> np.uint64(31)))


def merge_lists(parts: Sequence[NeighbourLists], starts: Sequence[int], k: int) -> NeighbourLists:
    """The lists of a whole set from those of its blocks; block i begins at ``starts[i]``.

    They are those of the whole only if `nearest_lists` was given these starts.

    Raises:
        ValueError: no blocks, or one start for each is missing.
    """
    if not parts or len(parts) != len(starts):
        raise ValueError(f"{len(parts)} blocks and {len(starts)} starts: give one for each")
    index = np.concatenate(
        [
            np.where(part.index < 0, -1, part.index + start)
            for part, start in zip(parts, starts, strict=True)
        ],
        axis=1,
    )
    distance = np.concatenate([part.distance for part in parts], axis=1)
    order = np.lexsort((tie_keys(index), distance), axis=1)[:, :k]
    return NeighbourLists(
        np.take_along_axis(index, order, axis=1), np.take_along_axis(distance, order, axis=1)
    )


def _scores(
    queries: np.ndarray, factor: np.ndarray, reference_norms: np.ndarray, own: np.ndarray
) -> np.ndarray:
    """|q - r|^2 - |q|^2, inf for a query's own reference."""
    scores = products(queries.astype(np.float32, copy=False), factor)
    scores *= -2
    scores += reference_norms.astype(scores.dtype)
    rows = np.flatnonzero((own >= 0) & (own < len(factor)))
    scores[rows, own[rows]] = np.inf
    return scores


def _candidates(
    scores: np.ndarray,
    norms: np.ndarray,
    largest: float,
    best: np.ndarray,
    values: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (row, column) that may be among their row's k nearest, the list so far given."""
    k = best.shape[1]
    error = rounding(norms, largest, values.shape[1])
    # Finite, so that what is excluded stays beyond it.
    most = np.finfo(scores.dtype).max
    limit = np.minimum(known_scores(best[:, -1], norms, values.shape[1]) + error, most)
    many = np.flatnonzero(
        np.count_nonzero(scores <= limit[:, None].astype(scores.dtype), axis=1) > _MANY * k
    )
    if len(many) and scores.shape[1] > k:
        kth = np.partition(scores[many], k - 1, axis=1)[:, k - 1].astype(np.float64)
        limit[many] = np.minimum(limit[many], kth + 2 * error[many])
    row, column = np.nonzero(scores <= limit[:, None].astype(scores.dtype))
    return row, column


def _keep_nearest(
    found: NeighbourLists,
    rows: slice,
    row: np.ndarray,
    index: np.ndarray,
    distance: np.ndarray,
    start: int,
) -> None:
    """Put measured pairs into the lists, and keep each row's k nearest."""
    lists, k = found.distance[rows], found.distance.shape[1]
    changed = np.unique(row)
    if not len(changed):
        return
    row = np.concatenate([row, np.repeat(changed, k)])
    index = np.concatenate([index, found.index[rows][changed].ravel()])
    distance = np.concatenate([distance, lists[changed].ravel()])
    order = np.lexsort((tie_keys(index + start), distance, row))
    # Each changed row has at least its own k entries, so its first k stand together.
    first = np.searchsorted(row[order], changed)
    chosen = order[(first[:, None] + np.arange(k)).ravel()]
    found.index[rows][changed] = index[chosen].reshape(-1, k)
    lists[changed] = distance[chosen].reshape(-1, k)
