"""How kernels, and with them maps, lie in memory: what is quicker on the device."""

from collections.abc import Iterable

import torch
from torch import nn

from .class_set import ClassSetGenerator
from .deep_convolutional import DeepConvolutionalGenerator
from .protocol import Generator
from .residual import ResidualGenerator
from .stylegan2 import weights_channels_last

# Those that were measured (`docs/gpu.md`). StyleGANs order their own kernels, on every device.
_CHANNELS_LAST = (ResidualGenerator, DeepConvolutionalGenerator)


def lay_out(generator: Generator, device: torch.device) -> None:
    """Orders the kernels of a generator, which is on the device, as is quickest there.

    On a CPU channels come last in those of residual and deep convolutional generators, and maps
    follow the kernels that they meet. Nothing is ordered on other devices, where it was not
    measured, nor in networks of other kinds. Images change by rounding only.
    """
    if device.type != "cpu":
        return
    members: Iterable[Generator] = (generator,)
    if isinstance(generator, ClassSetGenerator):
        members = generator.members.values()
    for member in members:
        for module in member.modules() if isinstance(member, nn.Module) else ():
            if isinstance(module, _CHANNELS_LAST):
                weights_channels_last(module, None)
