"""Exact 1-nearest-neighbour search in l2 over flat images, in bounded memory."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

_QUERY_ROWS = 512
_REFERENCE_ROWS = 4096
_PAIR_ELEMENTS = 4_000_000


@dataclass(frozen=True)
class Neighbours:
    """The nearest reference of each query, by (distance, index).

    ``index`` is -1 and ``distance`` inf where nothing is left to compare with;
    ``class_distance[q, c]`` is the distance to the nearest reference of class c.
    """

    index: Int64[np.ndarray, " queries"]
    distance: Float64[np.ndarray, " queries"]
    class_distance: Float64[np.ndarray, "queries classes"]


@dataclass
class _Best:
    """Squared distance and index of the best reference so far, per query and label slot."""

    squared: np.ndarray
    index: np.ndarray


def nearest(
    queries: Float[np.ndarray, "queries pixels"],
    references: Float[np.ndarray, "references pixels"],
    reference_labels: Int64[np.ndarray, " references"],
    num_classes: int,
    exclude: Int64[np.ndarray, " queries"],
) -> Neighbours:
    """Nearest reference of each query in l2, over all references and within each class.

    A matrix product finds every candidate that rounding could not rule out; those are measured
    again pixel by pixel in float64, because the product is not exact for near duplicates. Equal
    distances go to the lower index. ``exclude`` names the one reference a query must not match
    (itself, in leave-one-out), -1 for none. Labels of -1 count in no class.

    Raises:
        ValueError: lengths that do not fit, a label out of range, or a pixel that is not finite.
    """
    _check(queries, references, reference_labels, num_classes, exclude)
    index = np.full(len(queries), -1, dtype=np.int64)
    distance = np.full(len(queries), np.inf)
    class_distance = np.full((len(queries), num_classes), np.inf)
    slots = np.where(reference_labels < 0, num_classes, reference_labels)
    for start in range(0, len(queries), _QUERY_ROWS):
        rows = slice(start, start + _QUERY_ROWS)
        block = queries[rows].astype(np.float64)
        best = _nearest_per_slot(block, references, slots, num_classes + 1, exclude[rows])
        # Lexicographic by (distance, index): an unused slot has distance inf and index -1.
        order = np.lexsort((best.index, best.squared), axis=1)[:, :1]
        index[rows] = np.take_along_axis(best.index, order, axis=1)[:, 0]
        distance[rows] = np.sqrt(np.take_along_axis(best.squared, order, axis=1)[:, 0])
        class_distance[rows] = np.sqrt(best.squared[:, :num_classes])
    return Neighbours(index=index, distance=distance, class_distance=class_distance)


def _nearest_per_slot(
    queries: np.ndarray,
    references: np.ndarray,
    slots: np.ndarray,
    num_slots: int,
    exclude: np.ndarray,
) -> _Best:
    best = _Best(
        squared=np.full((len(queries), num_slots), np.inf),
        index=np.full((len(queries), num_slots), -1, dtype=np.int64),
    )
    query_norm = np.sum(queries**2, axis=1)
    for start in range(0, len(references), _REFERENCE_ROWS):
        block = references[start : start + _REFERENCE_ROWS].astype(np.float64)
        block_norm = np.sum(block**2, axis=1)
        approximate = query_norm[:, None] + block_norm[None, :] - 2 * (queries @ block.T)
        excluded = np.flatnonzero((exclude >= start) & (exclude < start + len(block)))
        approximate[excluded, exclude[excluded] - start] = np.inf
        # Twice the classical bound on a dot product's rounding error (Higham 2002, 3.5).
        unit = np.finfo(np.float64).eps * (queries.shape[1] + 4)
        error = 2 * unit * (query_norm + block_norm.max())
        for slot in np.unique(slots[start : start + len(block)]):
            columns = np.flatnonzero(slots[start : start + len(block)] == slot)
            within = approximate[:, columns]
            limit = np.minimum(within.min(axis=1) + error, best.squared[:, slot]) + error
            row, column = np.nonzero((within <= limit[:, None]) & np.isfinite(within))
            _keep_better(best, int(slot), row, queries, block, columns[column], start)
    return best


def _keep_better(
    best: _Best,
    slot: int,
    row: np.ndarray,
    queries: np.ndarray,
    block: np.ndarray,
    column: np.ndarray,
    offset: int,
) -> None:
    """Measure candidate pairs (row, column) exactly; keep those that beat the best so far."""
    if len(row) == 0:
        return
    squared = np.empty(len(row))
    step = max(1, _PAIR_ELEMENTS // queries.shape[1])
    for start in range(0, len(row), step):
        pairs = slice(start, start + step)
        difference = queries[row[pairs]] - block[column[pairs]]
        squared[pairs] = np.sum(difference**2, axis=1)
    order = np.lexsort((column, squared, row))
    winners = order[np.unique(row[order], return_index=True)[1]]
    # Blocks come in the order of the references, so an equal distance never replaces.
    winners = winners[squared[winners] < best.squared[row[winners], slot]]
    best.squared[row[winners], slot] = squared[winners]
    best.index[row[winners], slot] = column[winners] + offset


def _check(
    queries: np.ndarray,
    references: np.ndarray,
    reference_labels: np.ndarray,
    num_classes: int,
    exclude: np.ndarray,
) -> None:
    if queries.shape[1] != references.shape[1]:
        raise ValueError(
            f"queries have {queries.shape[1]} pixels and references {references.shape[1]}: "
            "both must be of one image shape"
        )
    if len(reference_labels) != len(references) or len(exclude) != len(queries):
        raise ValueError("give one label for each reference and one exclusion for each query")
    if len(reference_labels) and not (
        -1 <= reference_labels.min() <= reference_labels.max() < num_classes
    ):
        raise ValueError(f"reference labels must lie between -1 and {num_classes - 1}")
    if not (np.isfinite(queries).all() and np.isfinite(references).all()):
        raise ValueError("an image holds a pixel that is not finite: leave it out first")
