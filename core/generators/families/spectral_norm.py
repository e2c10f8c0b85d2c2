"""Spectral normalisation (Miyato et al. 2018), folded into the weights that it divides.

A layer's weight W is divided by sigma = u' W v, where u and v follow W's largest singular vectors
by one step of the power iteration each training step. The published network *is* the one with the
stored vectors: its images are reproduced by their sigma, not by the exact norm. The two differ
where the iteration lags behind, and in averaged weights, whose vectors are averages too, or those
of the weights that were averaged.
"""

from torch import Tensor
from torch.nn.functional import normalize


def normalised(weight: Tensor, left: Tensor, right: Tensor, output_dim: int = 0) -> Tensor:
    """W / (u' W v) with both stored vectors, as torch's `spectral_norm` has it in evaluation mode.

    ``weight`` is flattened to [outputs, rest] with ``output_dim`` first; ``left`` [outputs],
    ``right`` [rest].
    """
    matrix = weight.movedim(output_dim, 0).flatten(1)
    return weight / (left @ matrix @ right)


def one_more_iteration(weight: Tensor, left: Tensor) -> Tensor:
    """W / (u' W v) after one more step from the stored u, as BigGAN-PyTorch evaluates.

    v = normalise(u W), then u = normalise(v W'); ``left`` is [1, outputs].
    """
    matrix = weight.flatten(1)
    right = normalize(left @ matrix)
    following = normalize(right @ matrix.T)
    return weight / (following @ matrix @ right.T)
