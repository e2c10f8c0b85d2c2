"""Parameters of ALI's decoder and Improved-GAN's generator, as Theano's users save them."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Drawn:
    """Normal numbers of any shape, spread and mean; the same ones each time."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(3)

    def __call__(self, *shape: int, scale: float = 1.0, about: float = 0.0) -> NDArray[np.float32]:
        return (about + scale * self._random.standard_normal(shape)).astype(np.float32)


def save(path: Path, arrays: Any) -> None:
    np.savez(path, **arrays)


# Of each network: the latent, the leak, and the layers: outputs, side, stride.
ALI_NETWORKS: dict[str, tuple[int, float, list[tuple[int, int, int]]]] = {
    "cifar10": (64, 0.1, [(6, 4, 1), (5, 4, 2), (4, 4, 1), (4, 4, 2), (4, 5, 1), (4, 1, 1)]),
    "svhn": (7, 0.01, [(6, 4, 1), (5, 4, 2), (4, 4, 1), (4, 4, 2), (4, 5, 1), (4, 1, 1)]),
    "celeba": (7, 0.02, [(5, 4, 1), (4, 7, 2), (4, 5, 2), (3, 7, 2), (3, 2, 1)]),
    "tiny-imagenet": (
        7,
        0.01,
        [(5, 1, 1), (4, 1, 1), *((4, 4, stride) for stride in (1, 2, 1, 2, 1, 2))],
    ),
}


def ali_arrays(network: str, stored: bool) -> dict[str, NDArray[np.float32]]:
    """A decoder's parameters as Blocks names and orders them, and one of the encoder's."""
    inputs, _, layers = ALI_NETWORKS[network]
    drawn = Drawn()
    arrays, size = {"|ali|encoder|encoder_mapping|AAAA0000.W": drawn(4, 3, 5, 5)}, 1
    for index, (outputs, side, stride) in enumerate(layers):
        # Names as random as upstream's.
        kernel, scaling = (
            f"|ali|decoder|decoder_mapping|{word}{9 - index}" for word in ("QXV7JD3", "BR0LM2K")
        )
        fan = inputs * side**2 / stride**2
        arrays[f"{kernel}.W"] = drawn(outputs, inputs, side, side, scale=fan**-0.5)
        arrays[f"{scaling}.batch_norm_shift"] = drawn(outputs, 1, 1, scale=0.3)
        arrays[f"{scaling}.batch_norm_scale"] = drawn(outputs, 1, 1, scale=0.2, about=1)
        if stored:
            arrays[f"{scaling}.population_mean"] = drawn(outputs, 1, 1, scale=0.2)
            arrays[f"{scaling}.population_stdev"] = abs(drawn(outputs, 1, 1, scale=0.1, about=1))
        inputs, size = outputs, (size - 1) * stride + side
    arrays["|ali|decoder|decoder_mapping|LAST0000.W"] = drawn(3, inputs, 1, 1)
    arrays["|ali|decoder|decoder_mapping|LAST0000.b"] = drawn(3, size, size, scale=0.3)
    return arrays


def as_blocks_writes(arrays: dict[str, Any]) -> dict[str, Any]:
    """The same, in the order that Blocks' training gives them: its graph's, from the loss back.

    The last kernel's offset, the normalisations from the pixels to the latent, each its shift
    first, and the kernels from the latent to the pixels.
    """
    own = {name: array for name, array in arrays.items() if "decoder" in name}
    *rest, offset = own
    kernels = [name for name in rest if name.endswith(".W")]
    norms = [name for name in rest if not name.endswith(".W")]
    pairs = [norms[place : place + 2] for place in range(0, len(norms), 2)]
    order = [offset, *(name for pair in reversed(pairs) for name in pair), *kernels]
    return {name: arrays[name] for name in arrays if name not in own} | {
        name: arrays[name] for name in order
    }


def improved_arrays(channels: list[int], latent_dim: int) -> list[NDArray[np.float32]]:
    """A generator's trainable parameters in order."""
    drawn = Drawn()
    first, *rest = channels
    arrays = [drawn(latent_dim, 16 * first), drawn(16 * first, scale=0.3)]
    for inputs, outputs in pairwise(channels):
        arrays += [drawn(inputs, outputs, 5, 5), drawn(outputs, scale=0.3)]
    arrays[-1:] = [drawn(rest[-1], scale=0.3), drawn(rest[-1], scale=0.5, about=3)]
    return arrays
