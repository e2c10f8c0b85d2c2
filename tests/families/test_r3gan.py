"""R3GAN's files, against a plain composition of torch's functions; upstream: `test_parity`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from offmanifold.core.generators.architectures import build
from offmanifold.workers.checkpoints.opening import OpenedCheckpoint, Reading, open_checkpoint
from offmanifold.workers.generator_errors import GeneratorError
from torch import Tensor
from torch.nn.functional import conv2d, leaky_relu, one_hot, pad

from .plain_modules import write_modules
from .rule import by_rule, draws

LATENT, CLASSES, EMBEDDING = 7, 3, 5
CHANNELS, GROUPS, BLOCKS, EXPANSION = (8, 8, 6), (4, 2, 3), (1, 2, 1), 2
MODULES = {
    f"Model.MainLayers.{stage}": {"DataType": kind}
    for stage, kind in enumerate(("torch.float32", "torch.bfloat16", "torch.bfloat16"))
}


def shapes(classes: int = CLASSES) -> dict[str, list[int]]:
    """Upstream's names of such a network, and its tensors' shapes."""
    inputs = LATENT + (EMBEDDING if classes else 0)
    found = {
        "MainLayers.0.Layers.0.Basis": [CHANNELS[0], 4, 4],
        "MainLayers.0.Layers.0.LinearLayer.weight": [CHANNELS[0], inputs],
        "AggregationLayer.Layer.weight": [3, CHANNELS[-1], 1, 1],
    }
    if classes:
        found["EmbeddingLayer.weight"] = [EMBEDDING, classes]
    for stage, (width, groups, blocks) in enumerate(zip(CHANNELS, GROUPS, BLOCKS, strict=True)):
        layers = f"MainLayers.{stage}.Layers"
        if stage:
            found[f"{layers}.0.Resampler.Kernel"] = [4, 4]
            if width != CHANNELS[stage - 1]:
                found[f"{layers}.0.LinearLayer.Layer.weight"] = [width, CHANNELS[stage - 1], 1, 1]
        inner = EXPANSION * width
        for block in range(1, blocks + 1):
            found |= {
                f"{layers}.{block}.LinearLayer1.Layer.weight": [inner, width, 1, 1],
                f"{layers}.{block}.LinearLayer2.Layer.weight": [inner, inner // groups, 3, 3],
                f"{layers}.{block}.LinearLayer3.Layer.weight": [width, inner, 1, 1],
                f"{layers}.{block}.NonLinearity1.Bias": [inner],
                f"{layers}.{block}.NonLinearity2.Bias": [inner],
            }
    return {f"Model.{name}": shape for name, shape in found.items()}


def composed(weights: dict[str, Tensor], latent: Tensor, classes: Tensor | None) -> Tensor:
    """The images, layer by layer."""
    own = {name.removeprefix("Model."): tensor.double() for name, tensor in weights.items()}
    if classes is not None:
        table = own["EmbeddingLayer.weight"]
        coded = one_hot(classes, table.shape[1]).double() @ table.T
        latent = torch.cat([latent, coded], dim=1)
    features = torch.zeros(0, dtype=torch.float64)
    for stage, (groups, blocks) in enumerate(zip(GROUPS, BLOCKS, strict=True)):
        layers = f"MainLayers.{stage}.Layers"
        if stage:
            kernel = own.get(f"{layers}.0.LinearLayer.Layer.weight")
            features = doubled(features if kernel is None else conv2d(features, kernel))
        else:
            scales = latent @ own[f"{layers}.0.LinearLayer.weight"].T
            features = torch.einsum("nc,cyx->ncyx", scales, own[f"{layers}.0.Basis"])
        for block in range(1, blocks + 1):
            layer = f"{layers}.{block}"
            first, second, third = (
                own[f"{layer}.LinearLayer{number}.Layer.weight"] for number in (1, 2, 3)
            )
            inner = conv2d(features, first, own[f"{layer}.NonLinearity1.Bias"])
            inner = conv2d(leaky_relu(inner, 0.2), second, padding=1, groups=groups)
            inner = inner + own[f"{layer}.NonLinearity2.Bias"][:, None, None]
            features = features + conv2d(leaky_relu(inner, 0.2), third)
    return (conv2d(features, own["AggregationLayer.Layer.weight"]) + 1) / 2


def doubled(features: Tensor) -> Tensor:
    """Zeros between the values, then [1, 3, 3, 1] / 4 along both axes."""
    batch, channels, height, width = features.shape
    spread = features.new_zeros(batch * channels, 1, 2 * height, 2 * width)
    spread[:, 0, ::2, ::2] = features.flatten(0, 1)
    taps = features.new_tensor([1.0, 3.0, 3.0, 1.0]) / 4
    filtered = conv2d(pad(spread, (2, 1, 2, 1)), taps.outer(taps)[None, None])
    return filtered.view(batch, channels, 2 * height, 2 * width)


def images_of(opened: OpenedCheckpoint) -> Any:
    generator = build("generator", opened.translation.architecture, opened.arguments).double()
    generator.load_state_dict(opened.translation.weights)
    return generator.eval()


@pytest.mark.parametrize("package", ["R3GAN", "BaselineGAN"])
@pytest.mark.parametrize("classes", [0, CLASSES])
def test_images_are_those_of_its_layers(package: str, classes: int, tmp_path: Path) -> None:
    weights = by_rule(shapes(classes))
    opened = open_checkpoint(write_modules(tmp_path / "n.pkl", weights, MODULES, package))
    assert opened.family == "r3gan"
    assert opened.average is True
    assert (opened.arguments["latent_dim"], opened.arguments["num_classes"]) == (LATENT, classes)
    assert opened.arguments["groups"] == list(GROUPS)
    latent = draws("latent", 4, LATENT).double().requires_grad_()
    condition = torch.tensor([0, 2, 1, 2]) if classes else None
    images, expected = images_of(opened)(latent, condition), composed(weights, latent, condition)
    torch.testing.assert_close(images, expected, rtol=0, atol=1e-12)
    cotangent = draws("cotangent", *images.shape).double()
    (gradient,) = torch.autograd.grad((images * cotangent).sum(), latent)
    (slope,) = torch.autograd.grad((expected * cotangent).sum(), latent)
    torch.testing.assert_close(gradient, slope, rtol=1e-12, atol=1e-12)


def test_stages_of_less_precision_are_told_of(tmp_path: Path) -> None:
    weights = by_rule(shapes())
    pickled = open_checkpoint(write_modules(tmp_path / "n.pkl", weights, MODULES))
    (told,) = [note for note in pickled.translation.notes if "bfloat16" in note]
    assert "8x8, 16x16 in bfloat16" in told
    whole = {name: {"DataType": "torch.float32"} for name in MODULES}
    single = open_checkpoint(write_modules(tmp_path / "m.pkl", weights, whole))
    assert not any("bfloat16" in note for note in single.translation.notes)


@pytest.mark.parametrize("prefix", ["Model.", "", "module."])
def test_its_state_dict_is_enough(prefix: str, tmp_path: Path) -> None:
    weights = by_rule(shapes())
    renamed = {
        prefix + (name if prefix == "module." else name.removeprefix("Model.")): tensor
        for name, tensor in weights.items()
    }
    torch.save({"G_ema": renamed}, tmp_path / "n.pt")
    opened = open_checkpoint(tmp_path / "n.pt")
    assert opened.family == "r3gan"
    assert any("does not say" in assumed for assumed in opened.translation.assumptions)
    whole = open_checkpoint(write_modules(tmp_path / "n.pkl", weights, MODULES))
    for name, tensor in whole.translation.weights.items():
        assert torch.equal(opened.translation.weights[name], tensor)


def double_filter(weights: dict[str, Tensor]) -> None:
    weights["Model.MainLayers.1.Layers.0.Resampler.Kernel"] *= 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (double_filter, r"Kernel is not the filter \[1, 3, 3, 1\]"),
        (
            lambda weights: weights.pop("Model.MainLayers.1.Layers.2.NonLinearity2.Bias"),
            r"missing: Model\.MainLayers\.1\.Layers\.2\.NonLinearity2\.Bias \[16\]",
        ),
        (
            lambda weights: weights.update({"Model.Extra.weight": torch.zeros(2)}),
            r"unexpected: Model\.Extra\.weight",
        ),
        (
            lambda weights: weights.pop("Model.MainLayers.2.Layers.1.LinearLayer1.Layer.weight"),
            r"no tensor 'Model\.MainLayers\.2\.Layers\.1\.LinearLayer1",
        ),
    ],
)
def test_another_network_is_refused(
    change: Callable[[dict[str, Tensor]], object], message: str, tmp_path: Path
) -> None:
    weights = by_rule(shapes())
    change(weights)
    with pytest.raises(GeneratorError, match=message):
        open_checkpoint(write_modules(tmp_path / "n.pkl", weights, {}))


def test_a_key_without_a_network_is_told(tmp_path: Path) -> None:
    path = write_modules(tmp_path / "n.pkl", by_rule(shapes()), MODULES)
    with pytest.raises(GeneratorError, match=r"without a network under 'G' \(it holds G, D, G_ema"):
        open_checkpoint(path, reading=Reading(key="G"))
