"""Fit, prior and volume: their sum is ln p(x) where the generator is linear."""

import math

import pytest
import torch
from offmanifold.core.density_terms import density_terms
from torch import Tensor

from .conftest import LinearDecoder

VARIANCE = 0.02


def images_of(decoder: LinearDecoder, n: int) -> tuple[Tensor, Tensor]:
    """Images with their noise, and starts away from their modes."""
    random = torch.Generator().manual_seed(3)
    latent = torch.randn(n, decoder.latent_dim, generator=random, dtype=torch.float64)
    clean = decoder(latent, None)
    noise = torch.randn(clean.shape, generator=random, dtype=torch.float64)
    starts = torch.randn(n, 2, decoder.latent_dim, generator=random, dtype=torch.float64)
    return clean + math.sqrt(VARIANCE) * noise, starts


def test_the_sum_is_the_density_of_a_linear_generator() -> None:
    decoder = LinearDecoder(4, 12)
    images, starts = images_of(decoder, 5)
    found = density_terms(decoder, images, None, VARIANCE, starts)
    exact = decoder.log_density(images, VARIANCE)
    torch.testing.assert_close(found.fit + found.prior + found.volume, exact, rtol=0, atol=1e-6)


def test_each_term_is_that_of_its_point() -> None:
    decoder = LinearDecoder(3, 10)
    images, starts = images_of(decoder, 4)
    found = density_terms(decoder, images, None, VARIANCE, starts)
    left = (images - decoder(found.points, None)).flatten(1)
    normal = torch.distributions.Normal(0.0, math.sqrt(VARIANCE))
    torch.testing.assert_close(found.fit, normal.log_prob(left).sum(1))
    standard = torch.distributions.Normal(0.0, 1.0)
    torch.testing.assert_close(found.prior, standard.log_prob(found.points).sum(1))
    # The volume is the same at every point, and smaller the more the latent is determined.
    precision = decoder.weight.T @ decoder.weight / VARIANCE + torch.eye(3, dtype=torch.float64)
    volume = 1.5 * math.log(2 * math.pi) - 0.5 * torch.logdet(precision)
    torch.testing.assert_close(found.volume, volume.expand(4))


class Folded:
    """G(z) = (z1^2 - 1, z2) / 4 + 1/2: two modes, at z1 = 1 and -1, of equal evidence."""

    num_classes = 0
    latent_dim = 2
    image_shape = (1, 1, 2)

    def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:  # noqa: ARG002
        folded = torch.stack([latent[:, 0].square() - 1, latent[:, 1]], 1)
        return (folded / 4 + 0.5).view(-1, 1, 1, 2)

    def to(self, device: torch.device) -> "Folded":  # noqa: ARG002
        return self


def test_the_mode_of_largest_evidence_is_taken_and_a_second_one_is_left_out() -> None:
    generator, variance = Folded(), 1e-4
    image = torch.full((1, 1, 1, 2), 0.5, dtype=torch.float64)
    starts = torch.tensor([[[0.1, 3.0], [1.2, 0.1]]], dtype=torch.float64)
    found = density_terms(generator, image, None, variance, starts)
    assert found.points[0, 0].item() == pytest.approx(1.0, abs=0.02)
    # By quadrature over both modes; Laplace has one of them.
    grid = torch.linspace(-3, 3, 4001, dtype=torch.float64)
    first = (grid.square() - 1) / 4
    log_first = -first.square() / (2 * variance) - grid.square() / 2
    inner = torch.logsumexp(log_first, 0) + math.log(6 / 4000) - 0.5 * math.log(2 * math.pi)
    inner -= 0.5 * math.log(2 * math.pi * variance)
    # The second coordinate is linear: N(1/2; 1/2, variance + 1/16).
    exact = inner - 0.5 * math.log(2 * math.pi * (variance + 1 / 16))
    total = (found.fit + found.prior + found.volume).item()
    assert exact.item() - total == pytest.approx(math.log(2), abs=0.01)
