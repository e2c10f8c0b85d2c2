"""Exact 1-nearest-neighbour search in l2 over flat images, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

from .l2 import known_scores, pair_distances, products, rounding, rows_at_once, squared_norms

_QUERY_ROWS = 512
_REFERENCE_ROWS = 8192
# Fewer rows at once where they are long.
_QUERY_ELEMENTS = 4_000_000
_REFERENCE_ELEMENTS = 8_000_000


@dataclass(frozen=True)
class Neighbours:
    """The nearest reference of each query, by (distance, index).

    ``index`` is -1 and ``distance`` inf where nothing is left to compare with;
    ``class_distance[q, c]`` is the distance to the nearest reference of class c.
    """

    index: Int64[np.ndarray, " queries"]
    distance: Float64[np.ndarray, " queries"]
    class_distance: Float64[np.ndarray, "queries classes"]


@dataclass(frozen=True)
class _Queries:
    """Some queries as given and as multiplied, and where the best of their rows are kept.

    ``distance`` and ``index`` [rows, slots] are views: each label slot's best reference so far.
    """

    values: np.ndarray
    factor: np.ndarray
    squared_norm: np.ndarray
    exclude: np.ndarray
    distance: np.ndarray
    index: np.ndarray


@dataclass(frozen=True)
class _Chunk:
    """References from ``start`` on, in the order of (slot, index).

    ``index[column]`` is a column's reference, ``column[index - start]`` the way back; ``spans``
    says which columns are each slot's.
    """

    start: int
    values: np.ndarray
    factor: np.ndarray
    squared_norm: np.ndarray
    index: np.ndarray
    column: np.ndarray
    spans: list[tuple[int, slice]]


def nearest(
    queries: Float[np.ndarray, "queries pixels"],
    references: Float[np.ndarray, "references pixels"],
    reference_labels: Int64[np.ndarray, " references"],
    num_classes: int,
    exclude: Int64[np.ndarray, " queries"],
) -> Neighbours:
    """Nearest reference of each query in l2, over all references and within each class.

    A matrix product finds every candidate that its rounding could not rule out; those are measured
    again pixel by pixel in float64, because the product is not exact for near duplicates. Equal
    distances go to the lower index. ``exclude`` names the one reference a query must not match
    (itself, in leave-one-out), -1 for none. Labels of -1 count in no class.

    Besides its arguments it holds some tens of MiB and a row of ``num_classes`` for each query.

    Raises:
        ValueError: lengths that do not fit, a label out of range, or a pixel that is not finite.
    """
    _check(queries, references, reference_labels, num_classes, exclude)
    step = rows_at_once(_QUERY_ROWS, _QUERY_ELEMENTS, queries)
    distance = np.full((len(queries), num_classes + 1), np.inf)
    index = np.full((len(queries), num_classes + 1), -1, dtype=np.int64)
    slots = np.where(reference_labels < 0, num_classes, reference_labels)
    for chunk in _chunks(references, slots):
        for start in range(0, len(queries), step):
            rows = slice(start, start + step)
            values = queries[rows]
            block = _Queries(
                values,
                values.astype(np.float32, copy=False),
                squared_norms(values),
                exclude[rows],
                distance[rows],
                index[rows],
            )
            _search(block, chunk)
    # Lexicographic by (distance, index): an unused slot has distance inf and index -1.
    first = np.lexsort((index, distance), axis=1)[:, :1]
    return Neighbours(
        index=np.take_along_axis(index, first, axis=1)[:, 0],
        distance=np.take_along_axis(distance, first, axis=1)[:, 0],
        class_distance=distance[:, :num_classes],
    )


def _chunks(references: np.ndarray, slots: np.ndarray) -> Iterator[_Chunk]:
    step = rows_at_once(_REFERENCE_ROWS, _REFERENCE_ELEMENTS, references)
    for start in range(0, len(references), step):
        labels = slots[start : start + step]
        order = np.argsort(labels, kind="stable")
        values = references[start : start + step][order]
        found, first = np.unique(labels[order], return_index=True)
        ends = [*first[1:].tolist(), len(order)]
        spans = [
            (slot, slice(begin, end))
            for slot, begin, end in zip(found.tolist(), first.tolist(), ends, strict=True)
        ]
        yield _Chunk(
            start,
            values,
            values.astype(np.float32, copy=False),
            squared_norms(values),
            order + start,
            np.argsort(order),
            spans,
        )


def _search(queries: _Queries, chunk: _Chunk) -> None:
    """Compares every query with every reference of the chunk, and keeps what is better."""
    # |q - r|^2 - |q|^2, with which each query ranks its references.
    scores = products(queries.factor, chunk.factor)
    scores *= -2
    scores += chunk.squared_norm.astype(scores.dtype)
    own = queries.exclude - chunk.start
    rows = np.flatnonzero((own >= 0) & (own < len(chunk.index)))
    scores[rows, chunk.column[own[rows]]] = np.inf
    columns = queries.values.shape[1]
    error = rounding(queries.squared_norm, float(chunk.squared_norm.max()), columns)
    for slot, span in chunk.spans:
        within = scores[:, span]
        best = queries.distance[:, slot]
        lowest = np.minimum(
            within.min(axis=1) + error, known_scores(best, queries.squared_norm, columns)
        )
        # Finite, so that what is excluded stays beyond it.
        limit = np.minimum(lowest + error, np.finfo(scores.dtype).max).astype(scores.dtype)
        row, column = np.nonzero(within <= limit[:, None])
        _keep_better(queries, slot, row, chunk, column + span.start)


def _keep_better(
    queries: _Queries, slot: int, row: np.ndarray, chunk: _Chunk, column: np.ndarray
) -> None:
    """Measure candidate pairs (row, column) exactly; keep those that beat the best so far."""
    distance = pair_distances(queries.values, row, chunk.values, column)
    order = np.lexsort((column, distance, row))
    winners = order[np.unique(row[order], return_index=True)[1]]
    # Chunks come in the order of the references, so an equal distance never replaces.
    winners = winners[distance[winners] < queries.distance[row[winners], slot]]
    queries.distance[row[winners], slot] = distance[winners]
    queries.index[row[winners], slot] = chunk.index[column[winners]]


def _check(
    queries: np.ndarray,
    references: np.ndarray,
    reference_labels: np.ndarray,
    num_classes: int,
    exclude: np.ndarray,
) -> None:
    if queries.shape[1] != references.shape[1]:
        raise ValueError(
            f"queries have {queries.shape[1]} pixels and references {references.shape[1]}: both "
            "must have the same image shape"
        )
    if len(reference_labels) != len(references) or len(exclude) != len(queries):
        raise ValueError("give one label for each reference and one exclusion for each query")
    if len(reference_labels) and not (
        -1 <= reference_labels.min() <= reference_labels.max() < num_classes
    ):
        raise ValueError(f"reference labels must lie between -1 and {num_classes - 1}")
