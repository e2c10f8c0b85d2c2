"""The marginal density of a class-conditional generator."""

import numpy as np
from jaxtyping import Float64
from scipy.special import logsumexp


def uniform_log_prior(num_classes: int) -> Float64[np.ndarray, " classes"]:
    """Log prior ln π_c of equally likely classes."""
    return np.full(num_classes, -np.log(num_classes))


def marginal_log_density(
    class_log_density: Float64[np.ndarray, "images classes"],
    log_prior: Float64[np.ndarray, " classes"],
) -> Float64[np.ndarray, " images"]:
    """Compute ln p(x) = logsumexp_c(ln p(x|c) + ln π_c) in nats.

    Raises:
        ValueError: a nan density (a class that was not computed) or a prior that is no
            distribution.
    """
    if np.isnan(class_log_density).any():
        raise ValueError("class_log_density holds nan: the marginal needs every class")
    total = float(np.exp(logsumexp(log_prior)))
    if not np.isclose(total, 1.0):
        raise ValueError(f"the class prior sums to {total}, expected 1")
    marginal: np.ndarray = logsumexp(class_log_density + log_prior, axis=1)
    return marginal
