"""The generators of the PyTorch examples' DCGAN and of the original WGAN, of torch's own layers."""

from collections import OrderedDict
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from .rule import by_rule

CHANNELS = [10, 16, 8, 4]


def examples() -> nn.Module:
    """The layers of the PyTorch examples' generator, in their order."""
    layers: list[nn.Module] = []
    for index, (inputs, outputs) in enumerate(pairwise(CHANNELS)):
        stride, padding = (2, 1) if index else (1, 0)
        layers += [nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False)]
        layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
    layers += [nn.ConvTranspose2d(CHANNELS[-1], 3, 4, 2, 1, bias=False), nn.Tanh()]
    return nn.Sequential(OrderedDict(main=nn.Sequential(*layers)))


def wgan() -> nn.Module:
    """The same layers, by WGAN's names for them."""
    names, channels = [], [*CHANNELS, 3]
    for index, (inputs, outputs) in enumerate(pairwise(channels)):
        part = ["initial", "pyramid", "pyramid", "final"][index]
        names.append(f"{part}:{inputs}-{outputs}:convt")
        last = index == len(CHANNELS) - 1
        names += (
            [f"final:{outputs}:tanh"] if last else [f"{part}:{outputs}:batchnorm", f"relu{index}"]
        )
    layers = list(examples().get_submodule("main").children())
    named = OrderedDict(zip(names, layers, strict=True))
    return nn.Sequential(OrderedDict(main=nn.Sequential(named)))


def with_rule(network: nn.Module) -> dict[str, Tensor]:
    """The weights that the network is given by rule."""
    weights = by_rule({key: list(tensor.shape) for key, tensor in network.state_dict().items()})
    network.load_state_dict(weights)
    return weights


def write_network(network: nn.Module, folder: Path) -> Path:
    """The file that training writes."""
    torch.save(with_rule(network), folder / "netG.pth")
    return folder / "netG.pth"
