"""DCGAN and the original WGAN: plain sequences of torch's own layers, held against those."""

import json
import re
from collections import OrderedDict
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.spec.generator import GeneratorSpec
from offmanifold.workers.checkpoints.opening import Reading, build_checkpoint, open_checkpoint
from offmanifold.workers.generators import GeneratorError, GeneratorSource, open_generator
from pydantic import ValidationError
from torch import nn
from typer.testing import CliRunner

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


def saved(network: nn.Module, path: Path) -> Path:
    weights = by_rule({key: list(tensor.shape) for key, tensor in network.state_dict().items()})
    network.load_state_dict(weights)
    torch.save(weights, path)
    return path


def test_one_hot_inputs_after_the_latent_are_classes(tmp_path: Path) -> None:
    network = examples().eval()
    path = saved(network, tmp_path / "netG.pth")
    generator = build_checkpoint(open_checkpoint(path, reading=Reading(classes=3)))
    assert (generator.latent_dim, generator.num_classes) == (7, 3)
    latent, condition = torch.randn(4, 7, requires_grad=True), torch.tensor([2, 0, 1, 2])
    inputs = torch.cat([latent, nn.functional.one_hot(condition, 3)], 1)
    expected = (network(inputs[:, :, None, None]) + 1) / 2
    images = generator(latent, condition)
    torch.testing.assert_close(images, expected, atol=1e-6, rtol=0)
    assert not torch.allclose(generator(latent, torch.tensor([0, 0, 0, 0])), images)
    ours, theirs = (
        torch.autograd.grad((x * x.detach()).sum(), latent)[0] for x in (images, expected)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    with pytest.raises(GeneratorError, match="of its 10 inputs 10 cannot be classes"):
        open_checkpoint(path, reading=Reading(classes=10))


def test_a_conditional_generator_is_converted_with_its_classes(tmp_path: Path) -> None:
    path = saved(examples(), tmp_path / "netG.pth")
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["convert", str(path), "--classes", "3", "--out", str(out)])
    assert result.exit_code == 0, result.output
    source = GeneratorSource(str(path), family="dcgan", classes=3)
    one, other = open_generator(str(out)), open_generator(source)
    assert one.description.num_classes == other.description.num_classes == 3
    latent, condition = torch.randn(2, 7), torch.tensor([1, 2])
    torch.testing.assert_close(
        one.generator(latent, condition), other.generator(latent, condition), rtol=0, atol=2e-6
    )


@pytest.mark.parametrize(
    ("inputs", "options", "latent", "warned"),
    [
        (108, [], 108, r"108 may be 100 \+ 8.*--classes 8"),
        (138, [], 138, r"138 may be 128 \+ 10.*classes: 10"),
        (40, [], 40, r"a latent of 40 is not one of the usual sizes \(64, 100, 128, 256, 512\)$"),
        (108, ["--classes", "8"], 100, None),
        (100, [], 100, None),
    ],
)
def test_inspect_says_what_it_took_for_granted(
    inputs: int, options: list[str], latent: int, warned: str | None, tmp_path: Path
) -> None:
    layers = [nn.ConvTranspose2d(inputs, 4, 4, 1, 0, bias=False), nn.BatchNorm2d(4), nn.ReLU()]
    layers += [nn.ConvTranspose2d(4, 3, 4, 2, 1, bias=False), nn.Tanh()]
    path = saved(nn.Sequential(OrderedDict(main=nn.Sequential(*layers))), tmp_path / "netG.pth")
    result = CliRunner().invoke(app, ["inspect", str(path), "--json", *options])
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert (facts["latent"], facts["classes"]) == (latent, inputs - latent)
    what = "the last 8 are one-hot classes" if options else "none is a class"
    assert f"of the {inputs} inputs of the first layer {what}" in facts["assumed"]
    assert len(facts["warnings"]) == (warned is not None)
    if warned is not None:
        assert re.search(warned, facts["warnings"][0])
        # Whoever reads a run's provenance is told too.
        described = open_generator(GeneratorSource(str(path), family="dcgan")).description
        assert facts["warnings"][0] in described.notes
    table = CliRunner().invoke(app, ["inspect", str(path), *options]).stdout
    assert ("warnings" in table) == (warned is not None)


def test_inspect_looks_at_a_few_images(tmp_path: Path) -> None:
    last = nn.ConvTranspose2d(4, 3, 4, 2, 1, bias=False)
    # After a ReLU, and so with images of mid-grey to white: what a sigmoid would have made.
    nn.init.uniform_(last.weight, 0.0, 1.0)
    layers = [nn.ConvTranspose2d(100, 4, 4, 1, 0, bias=False), nn.BatchNorm2d(4), nn.ReLU()]
    network = nn.Sequential(OrderedDict(main=nn.Sequential(*layers, last)))
    path = tmp_path / "netG.pth"
    torch.save(network.state_dict(), path)
    result = CliRunner().invoke(app, ["inspect", str(path), "--json"])
    (warned,) = json.loads(result.stdout)["warnings"]
    assert re.search(r"looks wrong.*all fit native_range \[0, 1\]", warned)


def test_only_a_family_without_them_in_its_file_is_told_its_classes(tmp_path: Path) -> None:
    path = saved(wgan(), tmp_path / "netG.pth")
    with pytest.raises(GeneratorError, match="remove 'classes'"):
        open_checkpoint(path, reading=Reading(classes=3))


def test_a_spec_says_key_and_classes_with_weights_alone() -> None:
    given = {"key": "g_ema", "classes": 8}
    spec = GeneratorSpec(name="g", family="dcgan", weights="g.pt", key="g_ema", classes=8)
    assert (spec.opened_from.key, spec.opened_from.classes) == ("g_ema", 8)
    plain = GeneratorSpec(name="g", family="dcgan", weights="g.pt").opened_from.settings("0")
    assert not set(given) & set(plain)
    for name, value in given.items():
        with pytest.raises(ValidationError, match="need weights instead of source"):
            GeneratorSpec.model_validate({"name": "g", "source": "shipped:digits", name: value})
