"""Kernels in another order in memory: the same images to rounding, and bits that know no place."""

import pytest
import torch
from offmanifold.core.generators.class_set import ClassSetGenerator
from offmanifold.core.generators.layout import lay_out
from offmanifold.core.generators.protocol import Generator
from torch import Tensor, nn

from ..small_generators import small_generator

CPU = torch.device("cpu")
ORDERED = ["residual", "residual, hierarchical with attention", "deep_convolutional"]


def given(generator: Generator, rows: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
    random = torch.Generator().manual_seed(0)
    latent = torch.randn(8, generator.latent_dim, generator=random)[rows]
    vector = torch.randn(8, *generator.image_shape, generator=random)[rows]
    return latent, rows % 10 if generator.num_classes else None, vector


def uses(generator: Generator, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Images, gradients and products with the Jacobian."""
    latent, condition, vector = given(generator, rows)
    pushed = torch.func.jvp(
        lambda points: generator(points, condition), (latent,), (latent.flip(1),)
    )
    point = latent.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(generator(point, condition), point, vector)
    return pushed[0], gradient, pushed[1]


def ordered(generator: Generator) -> list[bool]:
    assert isinstance(generator, nn.Module)
    wide = [each for each in generator.parameters() if each.dim() == 4 and each[0, 0].numel() > 1]
    return [each.is_contiguous(memory_format=torch.channels_last) for each in wide]


@pytest.mark.parametrize("family", ORDERED)
def test_images_and_derivatives_are_the_same_to_rounding(family: str) -> None:
    generator = small_generator(family)
    before = uses(generator, torch.arange(8))
    lay_out(generator, CPU)
    assert all(ordered(generator))
    for found, expected in zip(uses(generator, torch.arange(8)), before, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", ORDERED)
def test_a_rows_bits_depend_neither_on_its_place_nor_on_its_company(family: str) -> None:
    generator = small_generator(family)
    lay_out(generator, CPU)
    alone, moved = torch.full((8,), 5), torch.tensor([3, 1, 7, 0, 2, 6, 5, 4])
    whole = uses(generator, torch.arange(8))
    for found, expected in zip(uses(generator, moved), whole, strict=True):
        assert torch.equal(found, expected[moved])
    for found, expected in zip(uses(generator, alone), whole, strict=True):
        assert torch.equal(found, expected[alone])


def test_members_of_a_set_are_ordered_and_nothing_elsewhere_or_of_others() -> None:
    member = small_generator("deep_convolutional")
    meta = torch.device("meta")
    elsewhere = small_generator("deep_convolutional").to(meta)
    lay_out(elsewhere, meta)
    assert not all(ordered(elsewhere))
    lay_out(ClassSetGenerator({2: member}), CPU)
    assert all(ordered(member))
    other = small_generator("began")
    lay_out(other, CPU)
    assert not any(ordered(other))
