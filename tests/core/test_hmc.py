"""HMC transitions: closed-form physics, and what a bad proposal must not do."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from offmanifold.core.densities import ProposalToPosterior
from offmanifold.core.likelihood import simulate
from offmanifold.core.samplers.charts import StandardChart
from offmanifold.core.samplers.density_pair import PairEvaluation
from offmanifold.core.samplers.hmc import energy, initial_state, leapfrog, transition
from torch import Tensor

BETA = 0.3
VARIANCE = 0.1


@pytest.fixture
def pair(curved_decoder: Callable[..., Any]) -> ProposalToPosterior:
    decoder = curved_decoder(2, 6)
    images, _ = simulate(decoder, None, VARIANCE, range(3), like=torch.empty(0).double())
    return ProposalToPosterior(decoder, images, None, VARIANCE, StandardChart())


def normals(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_values_and_gradients_are_those_of_the_densities(pair: ProposalToPosterior) -> None:
    position = normals(0, 3, 5, 2).requires_grad_()
    ends = pair.evaluate(position.detach())
    decoded = pair.generator(position.view(-1, 2), None).view(3, 5, 6)
    normal = torch.distributions.Normal(decoded, math.sqrt(VARIANCE))
    likelihood = normal.log_prob(pair._images.view(3, 1, 6)).sum(-1)
    prior = torch.distributions.Normal(0, 1).log_prob(position).sum(-1)
    torch.testing.assert_close(ends.difference, likelihood.detach())
    torch.testing.assert_close(ends.start, prior.detach())
    (gradient,) = torch.autograd.grad(likelihood.sum(), position)
    torch.testing.assert_close(ends.difference_gradient, gradient)
    torch.testing.assert_close(ends.start_gradient, -position.detach())
    for cached, fresh in zip(
        pair.gradients(position.detach()),
        (ends.start_gradient, ends.difference_gradient),
        strict=True,
    ):
        torch.testing.assert_close(cached, fresh)


def test_leapfrog_returns_when_the_momentum_is_reversed(pair: ProposalToPosterior) -> None:
    state = initial_state(pair, normals(0, 3, 5, 2))
    momentum, step = normals(1, 3, 5, 2), torch.full((3, 5), 0.2).double()
    end, momentum_there = leapfrog(pair, state, momentum, BETA, step, 10)
    back, momentum_here = leapfrog(pair, end, -momentum_there, BETA, step, 10)
    torch.testing.assert_close(back.position, state.position, rtol=0, atol=1e-12)
    torch.testing.assert_close(momentum_here, -momentum, rtol=0, atol=1e-12)


def test_leapfrog_conserves_energy_to_second_order(pair: ProposalToPosterior) -> None:
    state, momentum = initial_state(pair, normals(0, 3, 5, 2)), normals(1, 3, 5, 2)
    errors = []
    for steps in (40, 80):
        step = torch.full((3, 5), 1.0 / steps).double()
        end, momentum_there = leapfrog(pair, state, momentum, BETA, step, steps)
        change = energy(end, momentum_there, BETA) - energy(state, momentum, BETA)
        errors.append(change.abs().mean().item())
    assert errors[0] < 1e-2
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)


def test_leapfrog_follows_the_harmonic_oscillator(linear_decoder: Callable[..., Any]) -> None:
    # With beta 0 the density is N(0, I): a position turns into the momentum in a quarter period.
    pair = ProposalToPosterior(
        linear_decoder(2, 4), torch.zeros(1, 1, 1, 4).double(), None, 0.1, StandardChart()
    )
    state, momentum = initial_state(pair, normals(0, 1, 3, 2)), normals(1, 1, 3, 2)
    steps = 1000
    step = torch.full((1, 3), math.pi / 2 / steps).double()
    end, momentum_there = leapfrog(pair, state, momentum, 0.0, step, steps)
    torch.testing.assert_close(end.position, momentum, rtol=0, atol=1e-6)
    torch.testing.assert_close(momentum_there, -state.position, rtol=0, atol=1e-6)


def test_each_chain_moves_by_its_own_step_size(pair: ProposalToPosterior) -> None:
    state, momentum = initial_state(pair, normals(0, 3, 4, 2)), normals(1, 3, 4, 2)
    uniform = torch.zeros(3, 4).double()
    step = torch.tensor([0.01, 0.1, 0.3, 0.5]).double().expand(3, 4)
    together, _ = transition(pair, state, momentum, uniform, BETA, step, 5)
    for chain in range(4):
        one = slice(chain, chain + 1)
        alone, _ = transition(
            pair,
            initial_state(pair, state.position[:, one]),
            momentum[:, one],
            uniform[:, one],
            BETA,
            step[:, one],
            5,
        )
        torch.testing.assert_close(together.position[:, one], alone.position)


class _Spoiled:
    """A pair whose evaluations at a trajectory's end are spoiled for chain 1 of image 0."""

    def __init__(self, pair: ProposalToPosterior, field: str, value: float) -> None:
        self._pair, self._field, self._value = pair, field, value

    def gradients(self, position: Tensor) -> tuple[Tensor, Tensor]:
        return self._pair.gradients(position)

    def evaluate(self, position: Tensor) -> PairEvaluation:
        ends = self._pair.evaluate(position)
        spoiled = getattr(ends, self._field).clone()
        spoiled[0, 1] = self._value
        return ends._replace(**{self._field: spoiled})


@pytest.mark.parametrize("field", ["start", "difference", "start_gradient", "difference_gradient"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_non_finite_proposal_changes_nothing(
    pair: ProposalToPosterior, field: str, value: float
) -> None:
    state, momentum = initial_state(pair, normals(0, 3, 4, 2)), normals(1, 3, 4, 2)
    # Uniform 0 accepts whatever has a positive probability.
    uniform, step = torch.zeros(3, 4).double(), torch.full((3, 4), 0.1).double()
    undisturbed, _ = transition(pair, state, momentum, uniform, BETA, step, 5)
    after, info = transition(_Spoiled(pair, field, value), state, momentum, uniform, BETA, step, 5)
    expected = undisturbed.position.clone()
    expected[0, 1] = state.position[0, 1]
    assert torch.equal(after.position, expected)
    for new, old in zip(after.ends, state.ends, strict=True):
        assert torch.isfinite(new).all()
        assert torch.equal(new[0, 1], old[0, 1])
    assert info.acceptance_probability[0, 1] == 0
    assert not info.accepted[0, 1]
    assert info.accepted.sum() == 11


def test_transitions_leave_the_density_invariant(linear_decoder: Callable[..., Any]) -> None:
    # beta tempers the likelihood, so the stationary density is Gaussian with a known covariance.
    decoder = linear_decoder(2, 4, seed=3, pixel_variance=1.0)
    images, _ = simulate(decoder, None, VARIANCE, [5], like=torch.empty(0).double())
    pair = ProposalToPosterior(decoder, images, None, VARIANCE, StandardChart())
    precision = BETA * decoder.weight.T @ decoder.weight / VARIANCE + torch.eye(2).double()
    covariance = torch.linalg.inv(precision)
    mean = BETA * covariance @ (decoder.weight.T @ (images.flatten() - 0.5)) / VARIANCE
    chains = 40_000
    exact = mean + normals(0, 1, chains, 2) @ torch.linalg.cholesky(covariance).T
    state = initial_state(pair, exact)
    step = torch.full((1, chains), 0.78).double()
    for number in range(5):
        uniform = torch.rand(
            1, chains, generator=torch.Generator().manual_seed(number), dtype=torch.float64
        )
        state, info = transition(
            pair, state, normals(10 + number, 1, chains, 2), uniform, BETA, step, 3
        )
    assert 0.2 < info.accepted.double().mean() < 0.95
    whitened = (state.position[0] - mean) @ torch.linalg.cholesky(precision)
    standard_error = 1 / math.sqrt(chains)
    assert (whitened.mean(0).abs() < 4 * standard_error).all()
    deviation = whitened.T @ whitened / chains - torch.eye(2)
    assert (deviation.abs() < 4 * math.sqrt(2) * standard_error).all()
