"""The proposal is a normalised density, and its coordinates are what they say."""

import math
from dataclasses import replace

import pytest
import torch
from offmanifold.core.laplace import laplace_proposal, mode_of
from offmanifold.core.modes import Modes
from offmanifold.core.samplers.proposal import MixtureChart, MixtureProposal
from offmanifold.core.settings.guided import GuidedMethod, GuidedSettings


def proposal_of(latent_dim: int, rank: int, images: int = 2) -> MixtureProposal:
    """Components at two modes with random directions, at an absent one, and the prior."""
    random = torch.Generator().manual_seed(0)

    def uniforms(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=random, dtype=torch.float64)

    raw = uniforms(images, 2, latent_dim, rank) - 0.5
    directions = torch.zeros(images, 3, latent_dim, rank, dtype=torch.float64)
    directions[:, :2] = torch.linalg.qr(raw).Q
    scale = torch.ones(images, 4, rank, dtype=torch.float64)
    scale[:, :2] = 0.2 + 0.7 * uniforms(images, 2, rank)
    mean = torch.zeros(images, 3, latent_dim, dtype=torch.float64)
    mean[:, :2] = 3 * (uniforms(images, 2, latent_dim) - 0.5)
    weight = torch.tensor([0.5, 0.3, 0.0, 0.2], dtype=torch.float64).expand(images, -1)
    return MixtureProposal(weight.log(), mean, directions, scale, torch.ones_like(weight))


@pytest.mark.parametrize("rank", [1, 2])
def test_it_integrates_to_one(rank: int) -> None:
    axis = torch.linspace(-9, 9, 361, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis).expand(2, -1, -1)
    density = proposal_of(2, rank).log_density(grid).exp()
    cell = (axis[1] - axis[0]).square()
    torch.testing.assert_close(density.sum(1) * cell, torch.ones(2).double(), atol=1e-9, rtol=0)


def test_it_is_a_mixture_of_what_scipy_calls_normal() -> None:
    from scipy.stats import multivariate_normal

    proposal, latent = proposal_of(5, 3), torch.linspace(-2, 2, 20).double().view(2, 2, 5)
    for image in range(2):
        densities = []
        for component in (0, 1, 3):
            mean, root = torch.zeros(5).double(), torch.eye(5).double()
            if component != proposal.prior:
                mean = proposal.mean[image, component]
                directions = proposal.directions[image, component]
                root += (directions * (proposal.scale[image, component] - 1)) @ directions.T
            normal = multivariate_normal(mean.numpy(), (root @ root).numpy())
            weight = proposal.log_weight[image, component].exp().item()
            densities.append(weight * torch.from_numpy(normal.pdf(latent[image].numpy())))
        expected = torch.stack(densities).sum(0).log()
        torch.testing.assert_close(proposal.log_density(latent)[image], expected)


def test_positions_whiten_their_component() -> None:
    proposal = proposal_of(4, 2)
    component = torch.tensor([[0, 1, 3], [1, 1, 0]])
    position = torch.linspace(-1, 1, 24).double().view(2, 3, 4)
    latent = proposal.frame(component).to_latent(position)
    torch.testing.assert_close(proposal.to_position(component, latent), position)
    own = torch.take_along_dim(proposal.log_components(latent), component[..., None], -1)[..., 0]
    weight = proposal.log_weight.gather(1, component)
    volume = proposal.scale.log().sum(-1).gather(1, component)
    torch.testing.assert_close(own, weight - volume - 0.5 * position.square().sum(-1))


def test_the_gradient_in_positions_is_the_derivative() -> None:
    proposal = proposal_of(4, 2)
    chart = MixtureChart(proposal, torch.tensor([[0, 1, 3], [1, 1, 0]]))
    position = torch.linspace(-1, 1, 24).double().view(2, 3, 4)
    slope = torch.tensor([0.3, -2.0, 1.0, 0.5]).double()
    tracked = position.clone().requires_grad_()
    latent = chart.latent(tracked)
    log_ratio = (latent @ slope).sum() + chart.log_prior_ratio(latent).sum()
    (expected,) = torch.autograd.grad(log_ratio, tracked)
    latent = chart.latent(position)
    torch.testing.assert_close(chart.pull_back(latent, slope.expand_as(latent)), expected)


@pytest.mark.parametrize("rank", [2, 12])
def test_single_precision_is_enough_for_narrow_components(rank: int) -> None:
    # Standard deviations of a thousandth, as of a small variance; whole frames and factors.
    wide = proposal_of(12, rank)
    exact = replace(wide, scale=torch.where(wide.scale < 1, 1e-3 * wide.scale, 1.0))
    single = replace(
        exact,
        mean=exact.mean.float(),
        directions=exact.directions.float(),
        scale=exact.scale.float(),
    )
    component = torch.tensor([[0, 1, 3], [1, 1, 0]])
    position = torch.linspace(-2, 2, 72).view(2, 3, 12)
    slope = torch.ones_like(position)
    latent = MixtureChart(single, component).latent(position)
    ratio, gradient = MixtureChart(single, component).evaluate(latent, slope)
    pulled = MixtureChart(single, component).pull_back(latent, slope)
    chart = MixtureChart(exact, component)
    truth, slopes = chart.evaluate(latent.double(), slope.double())
    torch.testing.assert_close(ratio, truth, atol=3e-4, rtol=1e-6)
    # Forces only propose: in whitened coordinates they are small differences of large numbers.
    torch.testing.assert_close(gradient.double(), slopes, atol=3e-3, rtol=1e-3)
    torch.testing.assert_close(pulled.double(), slopes, atol=3e-3, rtol=1e-3)


def test_components_are_drawn_in_proportion() -> None:
    proposal = proposal_of(2, 1, images=1)
    uniform = torch.tensor([0.4]).double()
    counts = proposal.draw(uniform, 1000)[0].bincount(minlength=4)
    assert (counts - torch.tensor([500, 300, 0, 200])).abs().max() <= 1


def test_components_given_a_latent_are_drawn_from_their_posterior() -> None:
    proposal, count = proposal_of(2, 2, images=1), 20_000
    latent = torch.tensor([0.3, -0.2]).double().expand(1, count, 2)
    uniform = torch.rand(1, count, generator=torch.Generator().manual_seed(1)).double()
    share = proposal.draw_given(uniform, latent)[0].bincount(minlength=4) / count
    log_components = proposal.log_components(latent[:, :1])[0, 0]
    expected = log_components.softmax(0)
    error = (expected * (1 - expected) / count).sqrt()
    assert ((share - expected).abs() <= 4 * error).all()
    constant = math.log(2 * math.pi)
    torch.testing.assert_close(
        proposal.log_density(latent[:, :1])[0, 0], log_components.logsumexp(0) - constant
    )


def test_each_mode_has_a_narrow_and_a_wide_component() -> None:
    random = torch.Generator().manual_seed(1)
    latent = torch.randn(1, 3, 4, generator=random, dtype=torch.float64)
    eigenvalue = torch.tensor([400.0, 25.0, 4.0, 0.0]).double().expand(1, 3, -1)
    energy = torch.tensor([[1.0, 3.0, math.inf]]).double()
    modes = Modes(latent, energy, torch.eye(4).double().expand(1, 3, -1, -1), eigenvalue)
    settings = GuidedSettings(
        inflation=2.0, method=GuidedMethod(wide_inflation=5.0, wide_weight=0.2)
    )
    proposal = laplace_proposal(modes, settings)
    for component, inflation in ((0, 2.0), (1, 2.0), (3, 5.0), (4, 5.0)):
        variance = 1 / (1 + eigenvalue[0, 0] / inflation**2)
        torch.testing.assert_close(proposal.scale[0, component].square(), variance)
        mean = proposal.frame(torch.tensor([[component]])).mean[0, 0]
        torch.testing.assert_close(mean, latent[0, component % 3])
    weight = proposal.log_weight.exp()[0]
    torch.testing.assert_close(weight.sum(), torch.ones(()).double())
    torch.testing.assert_close(weight[3:5].sum(), torch.tensor(0.2).double())
    # Evidences two nats apart, tempered.
    torch.testing.assert_close(weight[0] / weight[1], torch.tensor(math.e).double())
    assert weight[[2, 5]].tolist() == [0.0, 0.0]
    assert proposal.stiffness[0].tolist() == [2.0, 2.0, 1.0, 5.0, 5.0, 1.0, 1.0]
    components = torch.tensor([[0, 1, 3, 4, 6]])
    assert mode_of(components, proposal).tolist() == [[0, 1, 0, 1, -1]]
