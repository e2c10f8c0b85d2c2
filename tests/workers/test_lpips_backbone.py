"""An LPIPS backbone from a file, with random weights: the published ones need a network."""

import hashlib
from pathlib import Path

import lpips
import pytest
import torch
from offmanifold.core.perceptual import LpipsDistance
from offmanifold.workers.lpips_backbone import PerceptualError, describe_backbone, open_perceptual
from torchvision.models import alexnet, squeezenet1_1


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    state = alexnet(weights=None).state_dict()
    path = tmp_path_factory.mktemp("backbone") / "alexnet.pth"
    torch.save({name: value for name, value in state.items() if name.startswith("features")}, path)
    return path


def test_the_file_decides_the_distance(weights: Path) -> None:
    device = torch.device("cpu")
    first = open_perceptual("alex", str(weights), device)
    again = open_perceptual("alex", str(weights), device)
    draws = torch.Generator().manual_seed(1)
    a, b = torch.rand(2, 3, 1, 32, 32, generator=draws)
    torch.testing.assert_close(first(a, b), again(a, b))
    assert (first(a, b) > 0).all()
    torch.testing.assert_close(first(a, a), torch.zeros(3))


@pytest.mark.parametrize("content", [b"not a state dict", None])
def test_a_file_that_is_no_backbone_is_named_with_the_remedies(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "broken.pth"
    if content is None:
        torch.save({"features.0.weight": torch.zeros(1)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(PerceptualError, match=r"broken\.pth.*perceptual\.weights"):
        open_perceptual("alex", str(path), torch.device("cpu"))


@pytest.mark.parametrize(
    "network", ["alex", "squeeze", pytest.param("vgg", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 40, 33)])
def test_lpips_is_the_squared_distance_between_features(
    network: str, shape: tuple[int, int, int]
) -> None:
    torch.manual_seed(0)
    distance = LpipsDistance(lpips.LPIPS(net=network, pnet_rand=True, verbose=False))
    draws = torch.Generator().manual_seed(2)
    a, b = torch.rand(2, 4, *shape, generator=draws)
    b[3] = a[3] + 1e-3 * b[3]
    squared = (distance.features(a).double() - distance.features(b).double()).square().sum(1)
    # A difference of unit features that float32 rounds at 1e-7 each.
    torch.testing.assert_close(squared.float(), distance(a, b), rtol=1e-3, atol=1e-9)


def test_a_described_backbone_has_its_files_hash(weights: Path) -> None:
    found = describe_backbone("alex", str(weights), (1, 8, 8))
    assert found.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    distance = open_perceptual("alex", str(weights), torch.device("cpu"))
    assert found.features == distance.features(torch.rand(2, 1, 8, 8)).shape[1]


def test_what_the_library_downloaded_is_hashed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    published = tmp_path / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    published.parent.mkdir(parents=True)
    torch.manual_seed(4)
    torch.save(squeezenet1_1(weights=None).state_dict(), published)
    found = describe_backbone("squeeze", None, (3, 32, 32))
    assert found.sha256 == hashlib.sha256(published.read_bytes()).hexdigest()


def test_images_that_lpips_cannot_compare_are_named(weights: Path) -> None:
    with pytest.raises(PerceptualError, match=r"\(2, 32, 32\).*2 channels"):
        describe_backbone("alex", str(weights), (2, 32, 32))
