"""DCGAN and the original WGAN: plain sequences of torch's own layers, held against those."""

from collections import OrderedDict
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from offmanifold.workers.checkpoints.opening import build_checkpoint, open_checkpoint
from torch import nn

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


@pytest.mark.parametrize("name", ["dcgan", "wgan", "wgan with dots"])
def test_a_sequence_of_layers_is_translated(name: str, tmp_path: Path) -> None:
    network = (examples() if name == "dcgan" else wgan()).eval()
    weights = by_rule({key: list(tensor.shape) for key, tensor in network.state_dict().items()})
    network.load_state_dict(weights)
    if name == "wgan with dots":
        weights = {key.replace(":", "."): tensor for key, tensor in weights.items()}
    torch.save(weights, tmp_path / "netG.pth")
    opened = open_checkpoint(tmp_path / "netG.pth")
    assert opened.family == name.partition(" ")[0]
    generator = build_checkpoint(opened)
    assert generator.image_shape == (3, 32, 32)
    latent = torch.randn(3, 10, requires_grad=True)
    images = generator(latent, None)
    expected = (network(latent[:, :, None, None]) + 1) / 2
    torch.testing.assert_close(images, expected, atol=1e-5, rtol=0)
    assert expected.std() > 0.05
    ours, theirs = (
        torch.autograd.grad((x * x.detach()).sum(), latent)[0] for x in (images, expected)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
