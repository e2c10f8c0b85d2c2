"""What StudioGAN's backbones share: normalisations, attention's names, and how layers are spelt."""

from collections.abc import Mapping

from torch import Tensor

from .checkpoint import PublishedTensors, Shape
from .folding import constant_affine, styled_affine

STATISTICS = "batch normalisation uses the stored statistics (evaluation mode)"
ATTENTION = {
    "query": "conv1x1_theta",
    "key": "conv1x1_phi",
    "value": "conv1x1_g",
    "output": "conv1x1_attn",
}
_EPSILON = 1e-4


def layer_shape(shapes: Mapping[str, Shape], layer: str) -> Shape | None:
    """The shape of a layer's weight, spectrally normalised or not; None without that layer."""
    return shapes.get(f"{layer}.weight_orig") or shapes.get(f"{layer}.weight")


def affine(tensors: PublishedTensors, layer: str, channels: int, style: int) -> dict[str, Tensor]:
    """A `ChannelAffine`'s weights for batch normalisation that a style of that length sets."""
    if not style:
        return batch_norm(tensors, layer, channels)
    tensors.skip(f"{layer}.bn.num_batches_tracked")
    return styled_affine(
        tensors.take(f"{layer}.bn.running_mean", channels),
        tensors.take(f"{layer}.bn.running_var", channels),
        tensors.weight(f"{layer}.gain", channels, style),
        tensors.weight(f"{layer}.bias", channels, style),
        _EPSILON,
    )


def batch_norm(tensors: PublishedTensors, layer: str, channels: int) -> dict[str, Tensor]:
    """A `ChannelAffine`'s bias for batch normalisation without a style."""
    tensors.skip(f"{layer}.num_batches_tracked")
    names = ("running_mean", "running_var", "weight", "bias")
    mean, variance, gain, shift = (tensors.take(f"{layer}.{name}", channels) for name in names)
    return constant_affine(mean, variance, gain, shift, _EPSILON)
