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


def quantise(images: Float[Tensor, "*shape"], levels: int | None) -> Float[Tensor, "*shape"]:
    """The nearest values of ``levels`` equal steps on [0, 1]; unchanged where it is None.

    Values outside of [0, 1], which observation noise makes, are rounded and not clipped: a clipped
    noise is not the model's any more.
    """
    if levels is None:
        return images
    return (images * (levels - 1)).round() / (levels - 1)


def detect_levels(values: Float[np.ndarray, "*shape"]) -> int | None:
    """The coarsest grid on [0, 1] that holds all of ``values``; None where none does."""
    found = np.unique(values).astype(np.float64)
    for levels in _GRIDS:
        scaled = found * (levels - 1)
        if np.abs(scaled - np.round(scaled)).max() <= _ROUNDING * (levels - 1):
            return levels
    return None


def quantisation_variance(levels: int | None) -> float:
    """Mean squared error of rounding to so many levels, 1 / (12 (L-1)^2); of 8 bits if None."""
    steps = (EIGHT_BIT_LEVELS if levels is None else levels) - 1
    return 1 / (12 * steps**2)
