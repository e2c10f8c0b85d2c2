"""Opening an LPIPS backbone from a file, with random weights: the published ones need a network."""

from pathlib import Path

import pytest
import torch
from offmanifold.workers.perceptual import PerceptualError, open_perceptual
from torchvision.models import alexnet


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
