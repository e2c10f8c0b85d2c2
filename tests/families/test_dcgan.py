"""DCGAN and the original WGAN: plain sequences of torch's own layers, held against those."""

from pathlib import Path

import pytest
import torch
from offmanifold.workers.checkpoints.opening import build_checkpoint, open_checkpoint

from .dcgan_networks import examples, wgan, with_rule


@pytest.mark.parametrize("name", ["dcgan", "wgan", "wgan with dots"])
def test_a_sequence_of_layers_is_translated(name: str, tmp_path: Path) -> None:
    network = (examples() if name == "dcgan" else wgan()).eval()
    weights = with_rule(network)
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
