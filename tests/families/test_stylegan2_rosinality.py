"""rosinality's StyleGAN2, against a plain composition of torch's functions; also in pSp's files."""

from argparse import Namespace
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from offmanifold.workers.checkpoints.opening import OpenedCheckpoint, Reading, open_checkpoint
from offmanifold.workers.generator_errors import GeneratorError
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu, pad

from .rule import by_rule, draws
from .test_r3gan import images_of

STYLE, LAYERS, CHANNELS = 9, 3, (8, 6, 4)


def shapes() -> dict[str, list[int]]:
    """Upstream's names of such a network, and its tensors' shapes."""
    found = {"input.input": [1, CHANNELS[0], 4, 4]}
    for layer in range(1, LAYERS + 1):
        found |= {f"style.{layer}.weight": [STYLE, STYLE], f"style.{layer}.bias": [STYLE]}
    found |= _styled("conv1", CHANNELS[0], CHANNELS[0]) | _pixels("to_rgb1", CHANNELS[0])
    found["noises.noise_0"] = [1, 1, 4, 4]
    for index, (inputs, outputs) in enumerate(pairwise(CHANNELS)):
        first, second = 2 * index, 2 * index + 1
        found |= _styled(f"convs.{first}", inputs, outputs)
        found |= _styled(f"convs.{second}", outputs, outputs) | _pixels(f"to_rgbs.{index}", outputs)
        found[f"convs.{first}.conv.blur.kernel"] = [4, 4]
        found[f"to_rgbs.{index}.upsample.kernel"] = [4, 4]
        for layer in (first, second):
            found[f"noises.noise_{layer + 1}"] = [1, 1, 8 << index, 8 << index]
    return found


def _styled(layer: str, inputs: int, outputs: int) -> dict[str, list[int]]:
    return {
        f"{layer}.conv.weight": [1, outputs, inputs, 3, 3],
        f"{layer}.conv.modulation.weight": [inputs, STYLE],
        f"{layer}.conv.modulation.bias": [inputs],
        f"{layer}.noise.weight": [1],
        f"{layer}.activate.bias": [outputs],
    }


def _pixels(layer: str, inputs: int) -> dict[str, list[int]]:
    return {
        f"{layer}.conv.weight": [1, 3, inputs, 1, 1],
        f"{layer}.conv.modulation.weight": [inputs, STYLE],
        f"{layer}.conv.modulation.bias": [inputs],
        f"{layer}.bias": [1, 3, 1, 1],
    }


def composed(own: dict[str, Tensor], latent: Tensor) -> Tensor:
    """The image of one latent, whose style makes the kernels of its own."""
    style = latent / (latent.square().mean() + 1e-8).sqrt()
    for layer in range(1, LAYERS + 1):
        rate = 0.01
        weight = own[f"style.{layer}.weight"] * rate / STYLE**0.5
        style = 2**0.5 * leaky_relu(weight @ style + own[f"style.{layer}.bias"] * rate, 0.2)

    def kernel(layer: str, normalised: bool) -> Tensor:
        scales = own[f"{layer}.conv.modulation.weight"] @ style / STYLE**0.5
        scales = scales + own[f"{layer}.conv.modulation.bias"]
        weight = own[f"{layer}.conv.weight"][0]
        styled = weight / weight[0].numel() ** 0.5 * scales[:, None, None]
        energy = styled.square().sum((1, 2, 3), keepdim=True)
        return styled / (energy + 1e-8).sqrt() if normalised else styled

    def convolved(features: Tensor, layer: str, number: int, enlarge: bool = False) -> Tensor:
        if enlarge:
            wide = conv_transpose2d(features, kernel(layer, True).transpose(0, 1), stride=2)
            features = _filtered(wide, (1, 1))
        else:
            features = conv2d(features, kernel(layer, True), padding=1)
        noise = own.get(f"noises.noise_{number}")
        if noise is not None:
            features = features + own[f"{layer}.noise.weight"] * noise
        features = features + own[f"{layer}.activate.bias"][:, None, None]
        return 2**0.5 * leaky_relu(features, 0.2)

    def coloured(features: Tensor, layer: str) -> Tensor:
        return conv2d(features, kernel(layer, False)) + own[f"{layer}.bias"]

    features = convolved(own["input.input"], "conv1", 0)
    image = coloured(features, "to_rgb1")
    for index in range(len(CHANNELS) - 1):
        first, second = 2 * index, 2 * index + 1
        features = convolved(features, f"convs.{first}", first + 1, enlarge=True)
        features = convolved(features, f"convs.{second}", second + 1)
        spread = torch.zeros(*image.shape[:2], *features.shape[2:], dtype=image.dtype)
        spread[:, :, ::2, ::2] = image
        image = _filtered(spread, (2, 1)) + coloured(features, f"to_rgbs.{index}")
    return (image + 1) / 2


def _filtered(features: Tensor, padding: tuple[int, int]) -> Tensor:
    taps = features.new_tensor([1.0, 3.0, 3.0, 1.0]) / 4
    kernel = taps.outer(taps).expand(features.shape[1], 1, 4, 4)
    return conv2d(pad(features, (*padding, *padding)), kernel, groups=features.shape[1])


def require_images_of(opened: OpenedCheckpoint, weights: dict[str, Tensor]) -> None:
    own = {name: tensor.double() for name, tensor in weights.items()}
    latent = draws("latent", 3, STYLE).double().requires_grad_()
    expected = torch.cat([composed(own, each) for each in latent])
    images = images_of(opened)(latent, None)
    torch.testing.assert_close(images, expected, rtol=0, atol=1e-11)
    cotangent = draws("cotangent", *images.shape).double()
    (gradient,) = torch.autograd.grad((images * cotangent).sum(), latent)
    (slope,) = torch.autograd.grad((expected * cotangent).sum(), latent)
    torch.testing.assert_close(gradient, slope, rtol=1e-11, atol=1e-11)


def save(folder: Path, content: Any) -> Path:
    torch.save(content, folder / "network.pt")
    return folder / "network.pt"


def test_images_are_those_of_its_layers(tmp_path: Path) -> None:
    weights = by_rule(shapes())
    content = {"g_ema": weights, "latent_avg": torch.zeros(STYLE), "args": Namespace(size=16)}
    opened = open_checkpoint(save(tmp_path, content))
    assert opened.family == "stylegan2-rosinality"
    assert (opened.chosen.key, opened.average) == ("g_ema", True)
    assert opened.arguments["mapping_layers"] == LAYERS
    assert not opened.translation.warnings
    assert any("constants in the file" in note for note in opened.translation.notes)
    require_images_of(opened, weights)


def test_the_decoder_in_a_file_of_psp_is_the_same_network(tmp_path: Path) -> None:
    weights = by_rule(shapes())
    encoder = {f"encoder.body.{index}.weight": torch.zeros(3, 3) for index in range(6)}
    decoder = {f"decoder.{name}": tensor for name, tensor in weights.items()}
    content = {
        "state_dict": encoder | decoder,
        "opts": {"output_size": 16, "device": "cuda:0"},
        "latent_avg": torch.zeros(6, STYLE),
        "optimizer": {"state": {}, "param_groups": []},
    }
    opened = open_checkpoint(save(tmp_path, content))
    assert (opened.family, opened.chosen.key) == ("stylegan2-rosinality", "state_dict.decoder")
    assert opened.average is None
    require_images_of(opened, weights)


def test_of_the_trained_and_the_averaged_one_the_key_chooses(tmp_path: Path) -> None:
    weights = by_rule(shapes())
    trained = {name: tensor + 0.1 for name, tensor in weights.items()}
    for name in [name for name in trained if name.endswith("kernel")]:
        trained[name] = weights[name]
    discriminator = {
        "convs.0.0.weight": torch.zeros(4, 3, 1, 1),
        "final_linear.1.bias": trained["style.1.bias"],
    }
    path = save(tmp_path, {"g": trained, "d": discriminator, "g_ema": weights, "g_optim": {}})
    with pytest.raises(GeneratorError, match=r"2 generators of a family: g \(.*g_ema \("):
        open_checkpoint(path)
    require_images_of(open_checkpoint(path, reading=Reading(key="g_ema")), weights)


def test_a_file_without_noise_says_so(tmp_path: Path) -> None:
    weights = {name: t for name, t in by_rule(shapes()).items() if not name.startswith("noises.")}
    opened = open_checkpoint(save(tmp_path, {"g_ema": weights}))
    assert any("noise is left out" in assumed for assumed in opened.translation.assumptions)
    require_images_of(opened, weights)


def test_weights_of_another_learning_rate_are_warned_of(tmp_path: Path) -> None:
    weights = by_rule(shapes())
    for name in [name for name in weights if name.startswith("style.")]:
        weights[name] = weights[name] / 100
    (warning,) = open_checkpoint(save(tmp_path, weights)).translation.warnings
    assert "expected about 100" in warning


def double_filter(weights: dict[str, Tensor]) -> None:
    weights["to_rgbs.1.upsample.kernel"] *= 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (double_filter, r"to_rgbs\.1\.upsample\.kernel is not the filter"),
        (
            lambda weights: weights.update({"to_rgbs.0.iwt.ll": torch.zeros(2, 2)}),
            "it is a SWAGAN",
        ),
        (
            lambda weights: weights.pop("noises.noise_3"),
            r"missing: noises\.noise_3 \[1, 1, 16, 16\]",
        ),
        (
            lambda weights: weights.pop("convs.2.conv.modulation.bias"),
            r"missing: convs\.2\.conv\.modulation\.bias \[6\]",
        ),
    ],
)
def test_another_network_is_refused(
    change: Callable[[dict[str, Tensor]], object], message: str, tmp_path: Path
) -> None:
    weights = by_rule(shapes())
    change(weights)
    with pytest.raises(GeneratorError, match=message):
        open_checkpoint(save(tmp_path, {"g_ema": weights}))
