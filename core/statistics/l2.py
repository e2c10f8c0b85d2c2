"""l2 distances of rows of vectors: by matrix product with a bound of its rounding, and exactly."""

import numpy as np
from jaxtyping import Float, Float64, Int64

# Differences of so many values at once stay in a processor's cache.
_PAIR_ELEMENTS = 100_000
# Products of longer rows are summed in parts: float32's error grows with the length, and the more
# it may be, the fewer candidates are ruled out.
_PANEL_COLUMNS = 4096


def rows_at_once(rows: int, elements: int, vectors: Float[np.ndarray, "n columns"]) -> int:
    """At most ``rows``, and so few that they hold no more than ``elements`` values; at least 1."""
    columns: int = vectors.shape[1]
    return max(1, min(rows, elements // max(columns, 1)))


def squared_norms(vectors: Float[np.ndarray, "n columns"]) -> Float64[np.ndarray, " n"]:
    """The squared length of each row, summed in float64.

    Raises:
        ValueError: a value that is not finite.
    """
    norms: np.ndarray = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    if not np.isfinite(norms).all():
        raise ValueError("an image holds a pixel that is not finite: leave it out first")
    return norms


def products(
    first: Float[np.ndarray, "n columns"], second: Float[np.ndarray, "m columns"]
) -> Float[np.ndarray, "n m"]:
    """Dot products of all pairs of rows; of long rows in parts, which float64 adds up."""
    columns = first.shape[1]
    if columns <= _PANEL_COLUMNS:
        short: np.ndarray = first @ second.T
        return short
    total = np.zeros((len(first), len(second)))
    for start in range(0, columns, _PANEL_COLUMNS):
        panel = slice(start, start + _PANEL_COLUMNS)
        total += first[:, panel] @ second[:, panel].T
    return total


def rounding(
    squared_norm: Float64[np.ndarray, " n"], largest: float, columns: int
) -> Float64[np.ndarray, " n"]:
    """By how much a row's |r|^2 - 2 q r may be off, for rows r with |r|^2 up to ``largest``.

    A float32 dot product of n terms is within n u |q||r| (Higham 2002, 3.5; eps is 2 u), and parts
    of n terms together too; the rest is for rounding the factors, the sum, and the limit that
    scores are held against.
    """
    eps = float(np.finfo(np.float32).eps)
    terms = min(columns, _PANEL_COLUMNS)
    product = np.sqrt(squared_norm * largest)
    bound: np.ndarray = eps * ((terms + 16) * product + 4 * largest)
    return bound


def known_scores(
    distance: Float64[np.ndarray, " n"], squared_norm: Float64[np.ndarray, " n"], columns: int
) -> Float64[np.ndarray, " n"]:
    """The |r|^2 - 2 q r at or below which a row r could be as near to q as ``distance``."""
    slack = float(np.finfo(np.float64).eps) * (columns + 8)
    score: np.ndarray = distance**2 * (1 + slack) - squared_norm * (1 - slack)
    return score


def pair_distances(
    first: Float[np.ndarray, "n columns"],
    row: Int64[np.ndarray, " pairs"],
    second: Float[np.ndarray, "m columns"],
    column: Int64[np.ndarray, " pairs"],
) -> Float64[np.ndarray, " pairs"]:
    """The distance of each pair (row of first, row of second), value by value in float64."""
    distance = np.empty(len(row))
    step = max(1, _PAIR_ELEMENTS // max(first.shape[1], 1))
    for start in range(0, len(row), step):
        pairs = slice(start, start + step)
        difference = first[row[pairs]].astype(np.float64)
        difference -= second[column[pairs]]
        distance[pairs] = np.sqrt(np.sum(np.square(difference, out=difference), axis=1))
    return distance
