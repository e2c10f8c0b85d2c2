"""Our generators against what the upstream classes returned with the same weights."""

from pathlib import Path
from typing import Any

import pytest
import torch
from offmanifold.core.generators.registry import build
from offmanifold.workers.checkpoints.opening import build_checkpoint, open_checkpoint
from offmanifold.workers.own_generator import check_generator
from torch import Tensor

from .recorded import CASES, recorded, write_checkpoint
from .rule import draws

# Singular vectors are rounded to float32 by the rule, in which two machines may differ by a unit
# in the last place: 6e-8 a layer, in ten to thirty layers.
_EXACT = 3e-6
_SINGLE = 1e-5
# StyleGAN's images reach far beyond 1, and its layers divide by their norms.
_STYLED = 1e-4
# Whose images may leave [0, 1].
_UNBOUNDED = ("stylegan2-ada", "stylegan3", "stylegan-xl", "began")
# Of the thousands of activations of a StyleGAN, one may be rounded in float32 to the other side of
# its ReLU, where the gradient jumps; in float64, where none is that close to 0, none was.
_NORM = {torch.float32: 0.03, torch.float64: 1e-3}


def evaluate(generator: Any, case: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Images, and the gradient of their product with fixed numbers, at the recorded picks."""
    content = recorded(case)
    latent = draws(f"{case}/latent", 3, content["latent_dim"]).to(dtype).requires_grad_()
    classes = content["num_classes"]
    condition = (torch.arange(3) * 7 + 1) % classes if classes else None
    images = generator(latent, condition)
    assert list(images.shape[1:]) == content["image_shape"]
    cotangent = draws(f"{case}/cotangent", *images.shape).to(dtype)
    (gradient,) = torch.autograd.grad((images * cotangent).sum(), latent)
    norm = gradient.norm().item()
    assert norm == pytest.approx(content["gradient_norm"], rel=_NORM[dtype])
    assert images.std().item() == pytest.approx(content["image_std"], rel=1e-4)
    return pick(images, content["images"]), pick(gradient, content["gradient"]) / norm


def pick(tensor: Tensor, recorded_values: list[float]) -> Tensor:
    places = torch.linspace(0, tensor.numel() - 1, len(recorded_values)).long()
    return tensor.detach().flatten()[places].double()


@pytest.mark.parametrize("case", CASES)
def test_images_and_gradients_are_upstreams(case: str, tmp_path: Path) -> None:
    content = recorded(case)
    opened = open_checkpoint(write_checkpoint(case, tmp_path), truncation=content.get("truncation"))
    assert opened.family == content["family"]
    expected = torch.tensor(content["images"], dtype=torch.float64)
    gradient = torch.tensor(content["gradient"], dtype=torch.float64) / content["gradient_norm"]

    generator = build_checkpoint(opened)
    if content["family"] not in _UNBOUNDED:
        check_generator(case, generator)
    images, _ = evaluate(generator, case, torch.float32)
    tolerance = _STYLED if content["family"].startswith("stylegan") else _SINGLE
    assert (images - expected).abs().max() < tolerance

    exact = build("generator", opened.translation.architecture, opened.arguments).double()
    exact.load_state_dict(opened.translation.weights)
    images, slope = evaluate(exact, case, torch.float64)
    assert (images - expected).abs().max() < _EXACT
    assert (slope - gradient).abs().max() < _EXACT
