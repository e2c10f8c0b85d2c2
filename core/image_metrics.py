"""Measures of reconstruction and density on images in [0, 1]."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = float | Sequence[float] | NDArray[np.floating[Any]]


def psnr(mse: Numbers) -> NDArray[np.float64]:
    """Peak signal-to-noise ratio 10 log10(1 / MSE) of each mean squared error, in decibels.

    An error of 0 gives infinity.

    Raises:
        ValueError: if an error is negative.
    """
    errors = np.asarray(mse, dtype=np.float64)
    if (errors < 0).any():
        raise ValueError(f"a mean squared error is negative: {errors.min()}")
    with np.errstate(divide="ignore"):
        return np.asarray(-10 * np.log10(errors))


def bits_per_dim(log_likelihood: Numbers, dimensions: int) -> NDArray[np.float64]:
    """L / (D ln 2) - 8: a natural-log density on [0, 1] as bits per dimension of 8-bit images.

    Higher is better: the negative of the usual positive number, as in Friedman & Weiss, Table 1.

    Raises:
        ValueError: if ``dimensions`` is below 1.
    """
    if dimensions < 1:
        raise ValueError(f"dimensions = {dimensions}: an image has at least 1")
    bits = np.asarray(log_likelihood, dtype=np.float64) / (dimensions * math.log(2)) - 8
    return np.asarray(bits)


def log_likelihood_bound(mse: Numbers, variance: float, dimensions: int) -> NDArray[np.float64]:
    """The most ln p(x), nats, that an image of that reconstruction error can have.

    That of :func:`bits_per_dim_bound`, which says how far it is one.

    Raises:
        ValueError: if an error is negative, the variance not positive or ``dimensions`` below 1.
    """
    if dimensions < 1:
        raise ValueError(f"dimensions = {dimensions}: an image has at least 1")
    bits = bits_per_dim_bound(mse, variance)
    return np.asarray((bits + 8) * dimensions * math.log(2))


def bits_per_dim_bound(mse: Numbers, variance: float) -> NDArray[np.float64]:
    """The most bits per dimension that an image of that reconstruction error can have.

    Under x = G(z) + N(0, variance) the density ln p(x) is an average of p(x|z) over the prior and
    so at most max_z ln p(x|z) = -D MSE / (2 variance) - (D / 2) ln(2 pi variance), with MSE the
    mean squared error of the nearest image that G makes. In the units of :func:`bits_per_dim`:
    -log2(2 pi variance) / 2 - MSE / (2 variance ln 2) - 8. It is linear in MSE, so the bound of a
    mean error is the mean of the bounds. An inversion's error is at least MSE: what it gives is
    the bound only as far as the inversion found the nearest image.

    Raises:
        ValueError: if an error is negative or the variance not positive.
    """
    errors = np.asarray(mse, dtype=np.float64)
    if (errors < 0).any():
        raise ValueError(f"a mean squared error is negative: {errors.min()}")
    if not variance > 0:
        raise ValueError(f"variance = {variance}: expected a positive number")
    peak = -0.5 * math.log2(2 * math.pi * variance) - 8
    return np.asarray(peak - errors / (2 * variance * math.log(2)))
