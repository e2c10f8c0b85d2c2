"""Our generators against what the upstream classes returned with the same weights."""

from pathlib import Path
from typing import Any

import pytest
import torch
from offmanifold.core.generators.architectures import build
from offmanifold.workers.checkpoints.opening import Reading, build_checkpoint, open_checkpoint
from offmanifold.workers.own_generator import check_generator
from torch import Tensor

from .recorded import CASES, recorded, write_checkpoint
from .rule import draws

# Singular vectors are rounded to float32 by the rule, in which two machines may differ by a unit
# in the last place: 6e-8 a layer, in ten to thirty layers.
_EXACT = 3e-6
# Of images and gradients in float32: 6e-8 a layer, in ten to thirty layers, and in their sums.
_SINGLE = 1e-5
# StyleGAN's images reach far beyond 1, and its layers divide by their norms.
_STYLED = 1e-4
# Whose images may leave [0, 1].
_UNBOUNDED = (
    "stylegan2-ada",
    "stylegan3",
    "stylegan-xl",
    "began",
    "stylegan2-rosinality",
    "r3gan",
    "studiogan-stylegan2",
    "studiogan-stylegan3",
    "stylegan2-lucidrains",
)
_RECORDED = 3
# In float32 an activation near 0 may be rounded to the other side of its ReLU, where the gradient
# jumps, by up to 8e-2 here; upstream's own float32 jumps too (docs/families/parity.md). No bound
# holds for every latent: at most three of nine are above _SINGLE here, so that the median has no
# jump.
_ROUNDED = 9


def evaluate(generator: Any, case: str, count: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Images, and the gradient of their product with fixed numbers, at the first latents."""
    content = recorded(case)
    latent = draws(f"{case}/latent", count, content["latent_dim"]).to(dtype).requires_grad_()
    classes = content["num_classes"]
    condition = (torch.arange(count) * 7 + 1) % classes if classes else None
    images = generator(latent, condition)
    assert list(images.shape[1:]) == content["image_shape"]
    cotangent = draws(f"{case}/cotangent", *images.shape).to(dtype)
    (gradient,) = torch.autograd.grad((images * cotangent).sum(), latent)
    return images.detach().double(), gradient.double()


def pick(tensor: Tensor, recorded_values: list[float]) -> Tensor:
    places = torch.linspace(0, tensor.numel() - 1, len(recorded_values)).long()
    return tensor.flatten()[places]


@pytest.mark.parametrize("case", CASES)
def test_images_and_gradients_are_upstreams(case: str, tmp_path: Path) -> None:
    content = recorded(case)
    said = {key: content.get(key) for key in ("truncation", "mixed_precision")}
    opened = open_checkpoint(write_checkpoint(case, tmp_path), reading=Reading(**said))
    assert opened.family == content["family"]
    tolerance = _STYLED if "stylegan" in content["family"] else _SINGLE
    single = build_checkpoint(opened)
    if content["family"] not in _UNBOUNDED:
        check_generator(case, single)
    double = build("generator", opened.translation.architecture, opened.arguments).double()
    double.load_state_dict(opened.translation.weights)

    images, gradient = evaluate(double, case, _RECORDED, torch.float64)
    norm = content["gradient_norm"]
    assert_near(images, content["images"], _EXACT)
    assert_near(gradient / norm, [value / norm for value in content["gradient"]], _EXACT)
    assert images.std().item() == pytest.approx(content["image_std"], abs=_EXACT)
    assert gradient.norm().item() == pytest.approx(norm, rel=_EXACT)

    exact, precise = evaluate(double, case, _ROUNDED, torch.float64)
    images, gradient = evaluate(single, case, _ROUNDED, torch.float32)
    assert (images - exact).abs().max() < tolerance
    jumps = (gradient - precise).abs().amax(1) / precise.abs().amax(1)
    assert jumps.median() < tolerance


def assert_near(tensor: Tensor, recorded_values: list[float], tolerance: float) -> None:
    expected = torch.tensor(recorded_values, dtype=torch.float64)
    assert (pick(tensor, recorded_values) - expected).abs().max() < tolerance
