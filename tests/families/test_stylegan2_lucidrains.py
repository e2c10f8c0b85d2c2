"""lucidrains' StyleGAN2: what its state dict and its config say; parity is in `test_parity`."""

import json
from pathlib import Path

import pytest
import torch
from offmanifold.workers.checkpoints.opening import build_checkpoint, open_checkpoint
from offmanifold.workers.generator_errors import GeneratorError
from torch import Tensor

from .recorded import recorded
from .rule import by_rule, draws


def weights() -> dict[str, Tensor]:
    return by_rule(recorded("stylegan2-lucidrains")["shapes"])


def save(folder: Path, tensors: dict[str, Tensor]) -> Path:
    """As upstream saves it, the trained networks and the discriminator beside the averages."""
    trained = {name.replace("E.", ".", 1): tensor + 0.1 for name, tensor in tensors.items()}
    others = {"D.blocks.0.conv_res.weight": torch.zeros(4, 3, 1, 1)}
    path = folder / "model_3.pt"
    torch.save({"GAN": trained | others | tensors, "version": "1.9.0"}, path)
    return path


def test_the_generator_is_the_averages(tmp_path: Path) -> None:
    own = weights()
    opened = open_checkpoint(save(tmp_path, own))
    assert (opened.family, opened.chosen.key, opened.average) == (
        "stylegan2-lucidrains",
        "GAN",
        True,
    )
    assert opened.parameters == sum(tensor.numel() for tensor in own.values())
    assert any("constant 0.5" in note for note in opened.translation.notes)
    assert any("0.1, upstream's default" in each for each in opened.translation.assumptions)


def test_the_config_beside_it_says_the_mappings_learning_rate(tmp_path: Path) -> None:
    own = weights()
    path = save(tmp_path, own)
    plain = open_checkpoint(path)
    (tmp_path / ".config.json").write_text(json.dumps({"lr_mlp": 0.2, "image_size": 16}))
    opened = open_checkpoint(path)
    assert not any("learning rate" in each for each in opened.translation.assumptions)
    assert opened.sha256 != plain.sha256
    name = "mapping.layers.1.weight"
    expected = 2 * plain.translation.weights[name]
    torch.testing.assert_close(opened.translation.weights[name], expected)
    (tmp_path / ".config.json").write_text(json.dumps({"lr_mlp": "high"}))
    with pytest.raises(GeneratorError, match=r"lr_mlp in \.config\.json is 'high'"):
        open_checkpoint(path)


def test_transparent_images_have_four_channels(tmp_path: Path) -> None:
    own = weights()
    for name in [name for name in own if name.endswith("to_rgb.conv.weight")]:
        own[name] = own[name][[0, 1, 2, 0]]
    generator = build_checkpoint(open_checkpoint(save(tmp_path, own)))
    images = generator(draws("latent", 2, generator.latent_dim), None)
    assert images.shape == (2, 4, 16, 16)
    torch.testing.assert_close(images[:, 3], images[:, 0])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("GE.attns.1.0.fn.norm.g", "the option attn_layers, which is not supported"),
        ("GE.to_initial_block.weight", "the option no_const, which is not supported"),
        ("GE.blocks.9.odd", r"unexpected: GE\.blocks\.9\.odd"),
    ],
)
def test_its_options_are_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match=message):
        open_checkpoint(save(tmp_path, weights() | {name: torch.zeros(1)}))
