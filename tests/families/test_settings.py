"""Settings in or beside a file, and what they decide."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from offmanifold.workers.checkpoints.opening import Reading, build_checkpoint, open_checkpoint
from offmanifold.workers.generators import GeneratorError

from .pickles import write_network
from .recorded import recorded, write_checkpoint
from .rule import by_rule, draws


def change_module(module: str, **attributes: Any) -> Callable[[Any, Any], None]:
    def change(_: Any, modules: Any) -> None:
        modules[module] |= attributes

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _, modules: modules.clear(), "'img_resolution' of 'synthesis' is missing"),
        (change_module("synthesis.b8", architecture="resnet"), "only 'skip' is supported"),
        (change_module("mapping.fc0", activation="relu"), "only 'lrelu' is supported"),
        (change_module("synthesis.b8.conv0", activation="relu"), "only 'lrelu' is supported"),
        (change_module("synthesis.b8.torgb", conv_clamp=None), "only 256 is supported"),
        (change_module("synthesis", img_resolution=64), "there is no tensor 'synthesis.b64"),
        (
            change_module("synthesis", img_resolution="large"),
            r"not have the expected form \(AttributeError",
        ),
    ],
)
def test_a_stylegan_that_is_not_known_is_refused(
    tmp_path: Path, change: Callable[[Any, Any], object], message: str
) -> None:
    content = recorded("stylegan2-ada")
    weights = by_rule(content["shapes"])
    change(weights, content["modules"])
    path = write_network(tmp_path / "n.pkl", weights, {}, content["modules"])
    with pytest.raises(GeneratorError, match=message):
        open_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda _, modules: modules.clear(),
            r"the attribute 'activation' of 'mapping\.fc0' is mis",
        ),
        (change_module("mapping.fc0", activation="relu"), "only 'lrelu' is supported"),
        (
            change_module("synthesis.L1_36_8", padding=[9, 8, 9, 9]),
            r"L1_36_8\.padding is \[9, 8, 9,",
        ),
        (
            change_module("synthesis.L1_36_8", padding=[8, 9, 8, 9]),
            r"L1_36_8\.padding is \[8, 9, 8,",
        ),
        (change_module("synthesis.L1_36_8", is_torgb=True), "only False is supported"),
        (
            change_module("synthesis.L5_32_3", padding=[1, 1, 1, 1]),
            r"only \[0, 0, 0, 0\] is supported",
        ),
        (
            lambda weights, _: weights["synthesis.input.transform"].mul_(2),
            "only the identity is supported",
        ),
        (
            lambda weights, _: weights.pop("synthesis.L3_52_8.bias"),
            r"missing: synthesis\.L3_52_8\.",
        ),
    ],
)
def test_a_stylegan3_that_is_not_known_is_refused(
    tmp_path: Path, change: Callable[[Any, Any], object], message: str
) -> None:
    content = recorded("stylegan3-t")
    weights = by_rule(content["shapes"])
    change(weights, content["modules"])
    path = write_network(tmp_path / "n.pkl", weights, {}, content["modules"])
    with pytest.raises(GeneratorError, match=message):
        open_checkpoint(path)


def test_a_stylegan_xl_of_tensors_alone_lacks_its_settings(tmp_path: Path) -> None:
    torch.save(by_rule(recorded("stylegan-xl")["shapes"]), tmp_path / "n.pt")
    with pytest.raises(GeneratorError, match="the pickle that StyleGAN"):
        open_checkpoint(tmp_path / "n.pt")


@pytest.mark.parametrize(
    "case", ["stylegan2-ada", "stylegan3-t", "stylegan3-r", "stylegan2-lucidrains"]
)
def test_derivatives_both_ways_agree_on_a_batch_of_directions(case: str, tmp_path: Path) -> None:
    """Curvature takes them by torch's transforms; <J v, c> = <v, J' c> for every v."""
    generator = build_checkpoint(open_checkpoint(write_checkpoint(case, tmp_path)))
    latent = draws("latent", 2, generator.latent_dim)
    condition = torch.tensor([0, 3]) if generator.num_classes else None

    def images(points: torch.Tensor) -> torch.Tensor:
        return generator(points, condition)

    directions = draws("directions", 3, *latent.shape)
    forward = torch.vmap(lambda v: torch.func.jvp(images, (latent,), (v,))[1])(directions)
    weights = draws("weights", 3, *forward.shape[1:])
    pull_back = torch.func.vjp(images, latent)[1]
    (backward,) = torch.vmap(pull_back)(weights)
    expected = (directions * backward).sum((1, 2))
    scale = forward.flatten(1).norm(dim=1) * weights.flatten(1).norm(dim=1)
    assert (((forward * weights).sum((1, 2, 3, 4)) - expected) / scale).abs().max() < 1e-5
    point = latent.clone().requires_grad_()
    (plain,) = torch.autograd.grad((images(point) * weights[0]).sum(), point)
    torch.testing.assert_close(backward[0], plain, rtol=1e-3, atol=1e-5 * plain.abs().max().item())


def test_biggan_deep_needs_its_config_and_takes_a_truncation(tmp_path: Path) -> None:
    path = write_checkpoint("biggan-deep", tmp_path)
    whole, half = (
        open_checkpoint(path, reading=Reading(truncation=value)).translation
        for value in (None, 0.5)
    )
    assert (whole.arguments["truncation"], half.arguments["truncation"]) == (1.0, 0.5)
    name = "blocks.0.affines.0.bias"
    assert not torch.equal(whole.weights[name], half.weights[name])
    config = tmp_path / "config.json"
    settings = json.loads(config.read_text())
    config.write_text("{")
    with pytest.raises(GeneratorError, match=r"config\.json is not JSON"):
        open_checkpoint(path)
    del settings["layers"]
    config.write_text(json.dumps(settings))
    with pytest.raises(GeneratorError, match="lacks layers"):
        open_checkpoint(path)


@pytest.mark.parametrize(
    ("case", "without", "message"),
    [
        ("studiogan-biggan-deep", "blocks.6.", "5 blocks are not pairs whose second"),
        ("studiogan-biggan-deep", "blocks.0.", "to no known family"),
        ("began", "conv.12.", r"numbers \[0, 2, 5, 7, 10, 14\], expected"),
        ("wgan", "main.final", r"unexpected: main\.pyramid:8:batchnorm\.bias"),
    ],
)
def test_a_network_without_a_layer_is_refused(
    case: str, without: str, message: str, tmp_path: Path
) -> None:
    path = write_checkpoint(case, tmp_path)
    content = torch.load(path)
    tensors = content.get("state_dict", content)
    for name in [name for name in tensors if name.startswith(without)]:
        del tensors[name]
    torch.save(content, path)
    with pytest.raises(GeneratorError, match=message):
        open_checkpoint(path)
