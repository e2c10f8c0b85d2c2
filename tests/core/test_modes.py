"""Curvature, the search for modes, and latent priors other than the normal one."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from offmanifold.core.curvature import StartVectors, gauss_newton
from offmanifold.core.generators.adapter import ModuleGenerator
from offmanifold.core.generators.latent_prior import truncated_normal, uniform
from offmanifold.core.guided import estimate_guided
from offmanifold.core.likelihood import simulate
from offmanifold.core.modes import find_modes
from offmanifold.core.posterior import is_scale_invariant
from offmanifold.core.settings.guided import GuidedMethod
from scipy.integrate import quad
from scipy.stats import truncnorm
from torch import Tensor, nn

from tests.core.lean import LEAN

DOUBLE = torch.empty(0).double()


def test_the_curvature_of_a_linear_decoder_is_exact(linear_decoder: Callable[..., Any]) -> None:
    decoder = linear_decoder(5, 40)
    points = torch.linspace(-1, 1, 15).double().view(3, 5)
    found = gauss_newton(decoder, points, None, 0.1, 2**20, StartVectors())
    rebuilt = (found.directions * found.eigenvalue[:, None]) @ found.directions.mT
    expected = decoder.weight.T @ decoder.weight / 0.1
    torch.testing.assert_close(rebuilt, expected.expand(3, -1, -1))
    assert found.products == 5


def test_the_curvature_of_a_curved_decoder_is_its_jacobians(
    curved_decoder: Callable[..., Any],
) -> None:
    decoder = curved_decoder(2, 20)
    points = torch.tensor([[0.3, -1.0], [2.0, 0.1]]).double()
    # A memory of two derivatives: the points are taken one at a time.
    found = gauss_newton(decoder, points, None, 0.01, 4 * 20 * 2, StartVectors())
    for point, directions, eigenvalue in zip(
        points, found.directions, found.eigenvalue, strict=True
    ):
        jacobian = torch.autograd.functional.jacobian(
            lambda z: decoder(z[None], None).flatten(), point
        )
        rebuilt = (directions * eigenvalue) @ directions.T
        torch.testing.assert_close(rebuilt, jacobian.T @ jacobian / 0.01)


def test_where_memory_is_short_the_leading_eigenpairs_are_found(
    linear_decoder: Callable[..., Any],
) -> None:
    decoder = linear_decoder(60, 50)
    spectrum = torch.logspace(1, -3, 50).double()
    left, _, right = torch.linalg.svd(decoder.weight, full_matrices=False)
    decoder._used_weight = (left * spectrum) @ right
    found = gauss_newton(
        decoder, torch.zeros(2, 60).double(), None, 1.0, 4 * 50 * 30, StartVectors()
    )
    assert found.directions.shape == (2, 60, 22)
    expected = spectrum.square()[:22].flip(0)
    torch.testing.assert_close(found.eigenvalue[0], expected, rtol=1e-2, atol=1e-6)
    gram = found.directions[0].T @ found.directions[0]
    torch.testing.assert_close(gram, torch.eye(22).double(), atol=1e-8, rtol=0)


@pytest.mark.slow
@pytest.mark.ci
def test_a_proposal_of_low_rank_is_unbiased(linear_decoder: Callable[..., Any]) -> None:
    # 48 bytes hold three derivatives of four pixels: with oversampling, one eigenpair of eight.
    decoder = linear_decoder(12, 4)
    image, _ = simulate(decoder, None, 0.1, [0], like=DOUBLE)
    method = GuidedMethod(jacobian_bytes=4 * 4 * 10)
    search = replace(LEAN, restarts=2, candidates=4, iterations=60, method=method)
    settings = replace(search, transitions=20, chains=50_000)
    estimate = estimate_guided(decoder, image, None, 0.1, settings, [0])
    assert estimate.curvature_rank == 2
    weight = (estimate.chain_log_weights[0] - decoder.log_density(image, 0.1)).exp()
    assert abs(weight.mean() - 1) < 4 * weight.std() / math.sqrt(50_000)


def test_modes_of_a_linear_decoder_are_the_posterior_mean(
    linear_decoder: Callable[..., Any],
) -> None:
    decoder = linear_decoder(4, 12)
    images, _ = simulate(decoder, None, 0.05, range(3), like=DOUBLE)
    settings = replace(LEAN, restarts=3, candidates=4, iterations=5)
    modes, evaluations, _ = find_modes(decoder, images, None, 0.05, settings, range(3))
    twice = replace(settings, finalists=2, final_iterations=7)
    final, final_evaluations, _ = find_modes(decoder, images, None, 0.05, twice, range(3))
    precision = decoder.weight.T @ decoder.weight / 0.05 + torch.eye(4).double()
    expected = torch.linalg.solve(precision, ((images.flatten(1) - 0.5) @ decoder.weight / 0.05).T)
    torch.testing.assert_close(modes.latent, expected.T[:, None].expand(-1, 3, -1))
    torch.testing.assert_close(final.latent, expected.T[:, None].expand(-1, 2, -1))
    # Two probes; three descents of 4 candidates, 5 steps and a last look; a look at each end; for
    # each of the three, two curvatures (4 products) of four polishing steps (a gradient, three
    # values), and the last curvature.
    assert evaluations == 2 + 3 * (4 + 5 + 1) + 3 + 3 * (2 * (4 * 4 + 4) + 4)
    # With finals: a look at each end, two descents of 7 steps and a last look, a look at both.
    polish = 2 * (2 * (4 * 4 + 4) + 4)
    assert final_evaluations == 2 + 3 * (4 + 5 + 1) + 3 + 2 * (7 + 1) + 2 + polish


def test_outliers_modes_are_found_far_out(curved_decoder: Callable[..., Any]) -> None:
    decoder = curved_decoder(2, 20, 3)
    images = torch.linspace(0, 1, 12).double().view(-1, 1, 1, 1).expand(-1, 1, 1, 20)
    best = {}
    for widest in (1.0, 5.0):
        settings = replace(LEAN, method=GuidedMethod(widest=widest))
        modes = find_modes(decoder, images, None, 0.01, settings, range(12)).modes
        best[widest] = modes.negative_log_joint.amin(1)
    assert (best[5.0] < best[1.0] + 0.1).all()
    assert (best[5.0] < best[1.0] - 3).sum() >= 4


def test_scale_invariance_is_measured(
    curved_decoder: Callable[..., Any], spherical_decoder: Callable[..., Any]
) -> None:
    images = torch.zeros(3, 1, 1, 20).double()
    assert not is_scale_invariant(curved_decoder(2, 20), images, None)
    assert is_scale_invariant(spherical_decoder(), images, None)


class Steps(nn.Module):
    """One of two images, by the latent's first entry: flat along nearly every radius."""

    latent_dim, num_classes, image_shape = 2, 0, (1, 1, 4)

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:  # noqa: ARG002
        ramp = torch.arange(4.0).to(latent) / 4
        return torch.sigmoid(5 * (latent[:, :1] - 0.5)).mul(ramp)[:, None, None, :]


@pytest.mark.parametrize("images", [1, 2, 20])
def test_a_generator_that_is_flat_at_some_latents_is_not_confined(images: int) -> None:
    assert not is_scale_invariant(Steps(), torch.zeros(images, 1, 1, 4), None)


class Ramp(nn.Module):
    """Two pixels, z and z / 2."""

    def forward(self, latent: Tensor) -> Tensor:
        return torch.cat([latent, latent / 2], 1).view(-1, 1, 1, 2)


@pytest.mark.parametrize("bound", [0.5, 2.0, 6.0, 9.0, 30.0])
def test_a_truncated_prior_is_symmetric_and_finite_far_out(bound: float) -> None:
    normal = torch.tensor([0.0, 0.3, 2.0, 5.0, 7.0, 20.0, 50.0]).requires_grad_()
    latent = truncated_normal(bound)(normal)
    (slope,) = torch.autograd.grad(latent.sum(), normal)
    assert torch.equal(latent, -truncated_normal(bound)(-normal))
    assert (latent <= bound * (1 + 1e-6)).all()
    assert latent[-1].item() == pytest.approx(bound, rel=1e-3)
    assert slope.isfinite().all()
    inside = 2 * truncnorm.cdf(bound, -math.inf, math.inf) - 1
    assert slope[0].item() == pytest.approx(inside, rel=1e-5)


def test_a_far_truncated_prior_is_the_normal_one_inside_of_it() -> None:
    normal = torch.linspace(-6, 6, 49)
    torch.testing.assert_close(truncated_normal(9.0)(normal), normal)


@pytest.mark.parametrize("prior", ["uniform", "truncated"])
def test_a_bounded_prior_has_the_density_of_its_integral(prior: str) -> None:
    transform = {"uniform": uniform(-1.0, 1.0), "truncated": truncated_normal(1.5)}[prior]
    density = {
        "uniform": lambda z: 0.5 * (abs(z) <= 1),
        "truncated": lambda z: truncnorm.pdf(z, -1.5, 1.5),
    }[prior]
    generator = ModuleGenerator(
        Ramp(),
        latent_dim=1,
        num_classes=0,
        image_shape=(1, 1, 2),
        native_range=(0.0, 1.0),
        latent_prior=transform,
    )
    images = torch.tensor([[0.2, 0.0], [0.97, 0.5], [1.6, 0.7]]).double().view(3, 1, 1, 2)
    variance = 0.02
    settings = replace(LEAN, transitions=40, chains=4000)
    estimate = estimate_guided(generator, images, None, variance, settings, range(3))
    for index, (first, second) in enumerate(images.flatten(1).tolist()):

        def joint(z: float, first: float = first, second: float = second) -> float:
            misfit = (first - z) ** 2 + (second - z / 2) ** 2
            return density(z) * math.exp(-misfit / (2 * variance)) / (2 * math.pi * variance)

        exact = math.log(quad(joint, -1.5, 1.5, points=[-1, 1, first], limit=200)[0])
        weight = (estimate.chain_log_weights[index] - exact).exp()
        assert abs(weight.mean() - 1) < 4 * weight.std() / math.sqrt(4000)
        assert weight.std() / math.sqrt(4000) < 0.05


def test_bad_priors_are_refused() -> None:
    with pytest.raises(ValueError, match="must come first"):
        uniform(1.0, -1.0)
    with pytest.raises(ValueError, match="positive"):
        truncated_normal(0.0)
