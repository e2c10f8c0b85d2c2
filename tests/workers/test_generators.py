import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from offmanifold.core.generators.adapter import ModuleGenerator
from offmanifold.core.generators.architectures import ArchitectureError, build
from offmanifold.core.generators.protocol import Generator
from offmanifold.workers.datasets import open_dataset
from offmanifold.workers.generators import (
    GeneratorError,
    GeneratorSource,
    describe_generator,
    list_generators,
    open_generator,
)
from offmanifold.workers.user_networks import UserNetwork
from safetensors.torch import load_file, save_file
from sklearn.svm import SVC
from torch import nn

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "dense": {"latent_dim": 3, "image_shape": [1, 4, 5], "width": 8, "depth": 2},
    "convolutional": {
        "latent_dim": 3,
        "image_shape": [3, 8, 12],
        "width": 8,
        "coarse_channels": 4,
        "fine_channels": 3,
    },
}


@pytest.fixture(params=[(name, classes) for name in ARCHITECTURES for classes in (0, 4)])
def generator(request: pytest.FixtureRequest) -> Any:
    name, classes = request.param
    torch.manual_seed(0)
    return build("generator", name, {**ARCHITECTURES[name], "num_classes": classes})


def conditions(generator: Generator, count: int) -> torch.Tensor | None:
    return torch.arange(count) % generator.num_classes if generator.num_classes else None


def test_an_architecture_follows_the_protocol(generator: Any) -> None:
    assert isinstance(generator, Generator)
    latent = 5 * torch.randn(6, 3)
    condition = conditions(generator, 6)
    images = generator(latent, condition)
    assert images.shape == (6, *generator.image_shape)
    assert images.min() >= 0
    assert images.max() <= 1
    alone = generator(latent[3:4], None if condition is None else condition[3:4])
    torch.testing.assert_close(alone, images[3:4])


def test_an_architecture_is_smooth_in_its_latent(generator: Any) -> None:
    generator = generator.double()
    latent = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    condition = conditions(generator, 2)
    assert torch.autograd.gradcheck(lambda z: generator(z, condition), latent)
    assert torch.autograd.gradgradcheck(
        lambda z: generator(z, condition).sum(dim=(1, 2, 3)), latent
    )


def test_the_class_changes_the_image() -> None:
    generator = build("generator", "dense", {**ARCHITECTURES["dense"], "num_classes": 4})
    latent = torch.randn(1, 3).expand(4, 3)
    images = generator(latent, torch.arange(4))
    assert torch.pdist(images.flatten(1)).min() > 1e-3
    with pytest.raises(ValueError, match="class-conditional"):
        generator(latent, None)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("convolution", {}, "did you mean 'convolutional'"),
        ("diffusion", {}, "known architectures: dense, convolutional"),
        ("dense", {**ARCHITECTURES["dense"], "num_classes": 0, "widht": 3}, "widht"),
        (
            "convolutional",
            {**ARCHITECTURES["convolutional"], "num_classes": 0, "image_shape": [1, 10, 8]},
            "multiples of 4",
        ),
    ],
)
def test_a_wrong_architecture_says_why(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        build("generator", name, arguments)


def test_any_module_can_be_wrapped() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 12), nn.BatchNorm1d(12), nn.Tanh())
    generator = ModuleGenerator(
        module, latent_dim=3, num_classes=0, image_shape=(3, 2, 2), native_range=(-1, 1)
    )
    latent = torch.randn(5, 3)
    expected = (module(latent).reshape(5, 3, 2, 2) + 1) / 2
    torch.testing.assert_close(generator(latent, None), expected)
    torch.testing.assert_close(generator(latent[:1], None), expected[:1])
    assert isinstance(generator, Generator)
    assert not any(parameter.requires_grad for parameter in generator.parameters())


def test_a_wrapped_module_gets_the_class_and_its_range_is_mapped() -> None:
    class ByClass(nn.Module):
        def forward(self, latent: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
            return latent[:, :1] * 0 + 255.0 * condition[:, None] / 4

    generator = ModuleGenerator(
        ByClass(), latent_dim=2, num_classes=5, image_shape=(1, 1, 1), native_range=(0, 255)
    )
    images = generator(torch.zeros(5, 2), torch.arange(5))
    torch.testing.assert_close(images.flatten(), torch.tensor([0, 0.25, 0.5, 0.75, 1]))
    with pytest.raises(ValueError, match="ascending"):
        ModuleGenerator(
            ByClass(), latent_dim=2, num_classes=5, image_shape=(1, 1, 1), native_range=(1, 1)
        )


def test_shipped_generators_are_small_and_open() -> None:
    for source in list_generators():
        opened = open_generator(source)
        description = describe_generator(source)
        assert opened.description == description
        assert opened.sha256 == description.sha256
        assert isinstance(opened.generator, nn.Module)
        parameters = sum(parameter.numel() for parameter in opened.generator.parameters())
        assert parameters == description.parameters
        assert 4 * parameters < 4 * 2**20
        assert description.evaluations_per_second is not None
        assert description.evaluations_per_second > 0


def test_shipped_digits_are_recognised_and_differ_from_each_other() -> None:
    """A classifier of real digits sees the class asked for; no class has collapsed to a point."""
    real, labels = open_dataset("digits", split="train").arrays()
    real = real.reshape(len(real), -1)
    generator = open_generator("shipped:digits").generator
    latent = torch.randn(1000, 16, generator=torch.Generator().manual_seed(0))
    condition = torch.arange(1000) % 10
    made = generator(latent, condition).numpy().reshape(1000, -1)
    assert SVC(C=10).fit(real, labels).score(made, condition) > 0.97
    for digit in range(10):
        own, true = made[condition == digit][:100], real[labels == digit][:100]
        assert nearest_other(own) > 0.6 * nearest_other(true)


def nearest_other(images: NDArray[np.float32]) -> float:
    distances = np.sqrt(((images[:, None] - images[None]) ** 2).sum(axis=2))
    np.fill_diagonal(distances, np.inf)
    return float(distances.min(axis=1).mean())


def test_describing_a_folder_does_not_import_torch() -> None:
    script = (
        "import sys; from offmanifold.workers.generators import describe_generator;"
        "print(describe_generator('shipped:digits').num_classes, 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.stdout.split() == ["10", "False"], result.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A generator's folder with an untrained dense generator in it."""
    arguments = {**ARCHITECTURES["dense"], "num_classes": 4}
    path = tmp_path / "model"
    path.mkdir()
    save_file(build("generator", "dense", arguments).state_dict(), path / "model.safetensors")
    config = {"architecture": "dense", "arguments": arguments}
    (path / "config.json").write_text(json.dumps(config))
    return path


def test_a_folder_is_opened_relative_to_the_base(folder: Path) -> None:
    opened = open_generator(GeneratorSource("model", str(folder.parent)))
    assert opened.description.image_shape == (1, 4, 5)
    assert opened.description.evaluations_per_second is None
    assert describe_generator(str(folder)).sha256 == opened.sha256
    latent = torch.zeros(1, 3, requires_grad=True)
    opened.generator(latent, torch.tensor([1])).sum().backward()
    assert isinstance(opened.generator, nn.Module)
    assert all(parameter.grad is None for parameter in opened.generator.parameters())


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def tear(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no weights": (lambda f: (f / "model.safetensors").unlink(), r"model\.safetensors cannot be"),
    "no config": (lambda f: (f / "config.json").unlink(), r"config\.json cannot be read"),
    "torn weights": (tear, r"model\.safetensors is not a whole safetensors"),
    "torn config": (lambda f: (f / "config.json").write_text('{"arch'), "is not JSON"),
    "no mapping": (lambda f: (f / "config.json").write_text("[1]"), "it has list"),
    "no arguments": (lambda f: change_config(f, arguments=None), "'arguments', a mapping"),
    "architecture": (lambda f: change_config(f, architecture="dens"), "did you mean 'dense'"),
    "shape": (
        lambda f: change_config(f, arguments={**ARCHITECTURES["dense"], "num_classes": 1.5}),
        r"num_classes is 1\.5, expected a whole number",
    ),
}


SOURCES = {
    "folder": GeneratorSource("shipped:digits"),
    "function": GeneratorSource("module:make", import_path="/modules"),
    "checkpoint": GeneratorSource("/g.pkl", family="stylegan2-ada", truncation=0.7),
    "one of several": GeneratorSource("/g.pt", family="dcgan", key="g_ema", classes=8),
    "network": GeneratorSource(
        "/g.pt",
        network=UserNetwork(
            "onnx",
            (6, 1, 1),
            (3, 8, 8),
            native_range=(-1, 1),
            prior="uniform",
            prior_bounds=(-1, 1),
        ),
    ),
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_a_shards_settings_lead_back_to_the_source(source: GeneratorSource) -> None:
    settings = json.loads(json.dumps({**source.settings("0" * 64), "shard": "more"}))
    assert GeneratorSource.of(settings) == source
    # Shard ids hash them under these names.
    keys = ["source", "import_path", "family", "truncation", "weights"]
    expected = [source.source, source.import_path, source.family, source.truncation, "0" * 64]
    assert [settings[key] for key in keys] == expected
    for key in ("network", "key", "classes"):
        assert (key in settings) == (getattr(source, key) is not None)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_says_what_is_wrong_before_any_work(folder: Path, damage: str) -> None:
    spoil, message = DAMAGES[damage]
    spoil(folder)
    for use in (describe_generator, open_generator):
        with pytest.raises(GeneratorError, match=message):
            use(str(folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("pixels.bias"), r"Missing key\(s\).*pixels\.bias"),
        (lambda t: t.update(extra=torch.zeros(2)), r"Unexpected key\(s\).*extra"),
        (lambda t: t.update({"pixels.bias": torch.zeros(7)}), "size mismatch"),
        (lambda t: t["pixels.bias"].fill_(torch.nan), r"not finite, in pixels\.bias"),
    ],
)
def test_wrong_weights_are_named(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], object], message: str
) -> None:
    change_weights(folder, change)
    with pytest.raises(GeneratorError, match=f"(?s){message}"):
        open_generator(str(folder))


def test_an_unknown_source_says_what_there_is() -> None:
    with pytest.raises(GeneratorError, match="did you mean 'shipped:digits'"):
        describe_generator("shipped:digit")
    with pytest.raises(GeneratorError, match="no folder /nowhere"):
        describe_generator("/nowhere")
