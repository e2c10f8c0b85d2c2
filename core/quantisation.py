"""Grey levels: what images lose when they are stored as integers, and how many they were stored in.

A data set stored in L levels lies on the grid 0, 1/(L-1), ..., 1; a generator's images do not. Held
against each other unlike, the control of an audit is nearer to the manifold than any stored image
can be.
"""

import numpy as np
from jaxtyping import Float
from torch import Tensor

# 8 bits, and what images without a grid of their own are judged by: a finer difference is not seen.
EIGHT_BIT_LEVELS = 256
# The grids that are looked for, coarsest first: any up to 8 bits, then 10, 12 and 16 bits.
_GRIDS: tuple[int, ...] = (*range(2, EIGHT_BIT_LEVELS + 1), 2**10, 2**12, 2**16)
# Of float32 pixels that were divided by 255, and perhaps scaled and shifted once.
_ROUNDING = 3e-7
# How much coarser than the grid that they are stored in values must be, to be told from chance.
_COARSER = 4


def quantise(images: Float[Tensor, "*shape"], levels: int | None) -> Float[Tensor, "*shape"]:
    """The nearest values of ``levels`` equal steps on [0, 1]; unchanged where it is None.

    Values outside of [0, 1], which observation noise makes, are rounded and not clipped: a clipped
    noise is not the model's any more.
    """
    if levels is None:
        return images
    return (images * (levels - 1)).round() / (levels - 1)


def detect_levels(values: Float[np.ndarray, "*shape"]) -> int | None:
    """The coarsest grid on [0, 1] that holds all of ``values``; None where none does.

    A coarse grid is found though its values were rounded once more, as 17 levels in 8 bits are.
    """
    found = np.unique(values).astype(np.float64)
    levels = next((each for each in _GRIDS if _on_grid(found, each, _ROUNDING)), None)
    if levels is None:
        return None
    stored = 0.5 / (levels - 1) + _ROUNDING
    coarser = range(2, (levels - 1) // _COARSER + 2)
    return next((each for each in coarser if _on_grid(found, each, stored)), levels)


def _on_grid(values: np.ndarray, levels: int, tolerance: float) -> bool:
    nearest = np.round(values * (levels - 1)) / (levels - 1)
    return bool(np.abs(values - nearest).max() <= tolerance)


def quantisation_variance(levels: int | None) -> float:
    """Mean squared error of rounding to so many levels, 1 / (12 (L-1)^2); of 8 bits if None."""
    steps = (EIGHT_BIT_LEVELS if levels is None else levels) - 1
    return 1 / (12 * steps**2)
