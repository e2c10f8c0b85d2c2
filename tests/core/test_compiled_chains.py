"""Compiled chains are the chains that are not, but for rounding; what has no graph needs none.

Where g++ is not the point, torch's own back end "eager" takes its place: it makes the same graphs,
and computes them by the same kernels. What is traced has no shapes checked: such tests are marked
``slow`` and ``ci``, so that they run where nothing is.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
import torch
from offmanifold.core import guided_run
from offmanifold.core.compilation import Compilation
from offmanifold.core.compiled_chains import move_of
from offmanifold.core.densities import ProposalToPosterior
from offmanifold.core.fixed_rows import FixedRows
from offmanifold.core.generators.protocol import Generator
from offmanifold.core.guided import estimate_guided
from offmanifold.core.laplace import laplace_proposal
from offmanifold.core.likelihood import (
    bound_log_likelihood_above,
    estimate_log_likelihood,
    simulate,
    tune_step_sizes,
)
from offmanifold.core.row_limit import LimitedGenerator, RowLimit
from offmanifold.core.samplers.ais import anneal
from offmanifold.core.samplers.charts import Chart, StandardChart
from offmanifold.core.samplers.noise import Stream, item_normals, transition_noise
from offmanifold.core.samplers.proposal import MixtureChart
from offmanifold.core.samplers.schedule import sigmoid_schedule
from offmanifold.core.samplers.step_size import ScheduledStepSize
from offmanifold.core.settings.classical import ClassicalSettings
from offmanifold.core.settings.guided import GuidedSettings
from torch import Tensor, nn

from ..small_generators import small_generator

DOUBLE = torch.empty(0, dtype=torch.float64)
VARIANCE = 0.01
SEEDS = range(5)
# Six steps: a graph of three, and one of two and the last.
CLASSICAL = ClassicalSettings(transitions=5, chains=2, leapfrog_steps=6)
GUIDED = GuidedSettings(
    transitions=5,
    chains=2,
    leapfrog_steps=2,
    restarts=4,
    candidates=1,
    bank=0,
    iterations=3,
    finalists=4,
    final_iterations=0,
    polish=1,
)


@pytest.fixture
def by_torchs_kernels() -> Iterator[None]:
    with patch("torch.compile", partial(torch.compile, backend="eager")):
        yield


def fail(why: str) -> None:
    pytest.fail(why)


def dense_in_double() -> Generator:
    generator = small_generator("dense")
    assert isinstance(generator, nn.Module)
    generator.double()
    return generator


def limited(
    generator: Generator,
    compilation: Compilation | None = None,
    evaluating: Callable[[int], None] | None = None,
) -> LimitedGenerator:
    """In blocks of eight rows: of five images with two chains, the second is filled up."""
    return LimitedGenerator(FixedRows(generator, 8), RowLimit(evaluating=evaluating), compilation)


def everything(generator: Generator, images: int = len(SEEDS)) -> dict[str, Tensor]:
    """What chains compute: classical and guided estimates, and their upper bounds."""
    seeds = SEEDS[:images]
    condition = torch.arange(images) % generator.num_classes if generator.num_classes else None
    x, z = simulate(generator, condition, VARIANCE, seeds, DOUBLE)
    arguments = condition, VARIANCE, CLASSICAL, seeds
    classical = estimate_log_likelihood(generator, x, *arguments)
    guided = estimate_guided(generator, x, condition, VARIANCE, GUIDED, seeds, z)
    return {
        "classical": classical.chain_log_weights,
        "upper": bound_log_likelihood_above(generator, x, z, *arguments),
        "guided": guided.chain_log_weights,
        "guided upper": guided.upper_bound,
    }


def require_equal(found: dict[str, Tensor], expected: dict[str, Tensor], relative: float) -> None:
    for name, each in expected.items():
        torch.testing.assert_close(found[name], each, rtol=relative, atol=0, msg=name)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.usefixtures("by_torchs_kernels")
def test_rows_are_those_of_chains_that_are_not_compiled() -> None:
    generator = dense_in_double()
    told: list[int] = []
    expected = everything(limited(generator, evaluating=told.append))
    whole, once = sum(told), everything(limited(generator))
    require_equal(once, expected, 0)
    told.clear()
    compiled = limited(generator, Compilation(fail), told.append)
    require_equal(everything(compiled), expected, 1e-9)
    # Of the first step of each kind, which is computed twice, the second is not told.
    assert sum(told) == whole
    made = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    fewer = everything(compiled, 3)
    require_equal(fewer, {name: each[:3] for name, each in expected.items()}, 1e-9)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == made


class Branching(nn.Module):
    """A generator whose way depends on a number that is read back: it has no graph."""

    latent_dim, num_classes, image_shape = 2, 0, (1, 2, 2)

    def forward(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        assert condition is None
        if latent.sum().item() > 1e30:
            raise ValueError("far off")
        return torch.sigmoid(latent.repeat(1, 2)).view(-1, 1, 2, 2)


class Uncounted(nn.Module):
    """A linear decoder that does not count its calls."""

    num_classes = 0

    def __init__(self, decoder: Any) -> None:
        super().__init__()
        self.weight = decoder.weight
        self.latent_dim, self.image_shape = decoder.latent_dim, decoder.image_shape

    def forward(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        assert condition is None
        return (0.5 + latent @ self.weight.T).view(-1, *self.image_shape)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.usefixtures("by_torchs_kernels")
def test_a_generator_without_a_graph_is_computed_as_it_is_and_that_is_told_once() -> None:
    told: list[str] = []
    generator = Branching()
    found = everything(limited(generator, Compilation(told.append)))
    require_equal(found, everything(limited(generator)), 1e-9)
    assert len(told) == 1
    assert "data-dependent" in told[0]
    assert "\n" not in told[0]


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.usefixtures("by_torchs_kernels")
def test_a_generator_that_changes_with_each_call_is_not_compiled_again_and_again(
    linear_decoder: Callable[..., Any],
) -> None:
    told: list[str] = []
    decoder = linear_decoder(2, 4)
    found = everything(limited(decoder, Compilation(told.append)))
    require_equal(found, everything(limited(decoder)), 1e-9)
    assert len(told) == 1
    assert "recompile" in told[0]


def test_a_graph_that_computes_something_else_is_not_used() -> None:
    def wrong(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        del options

        def graph(*arguments: Any) -> Any:
            result = function(*arguments)
            # Of inner steps, the momentum.
            return (result[0], 1.1 * result[1]) if isinstance(result[1], Tensor) else result

        return graph

    told: list[str] = []
    generator = dense_in_double()
    with patch("torch.compile", wrong):
        found = everything(limited(generator, Compilation(told.append)))
    require_equal(found, everything(limited(generator)), 1e-9)
    assert told == ["the graph does not compute what the generator does"]


def test_memory_without_room_for_a_block_compiles_nothing() -> None:
    generator = dense_in_double()
    compiled = LimitedGenerator(FixedRows(generator, 8), RowLimit(4), Compilation(fail))
    with patch("torch.compile", lambda function, **_: lambda *_: pytest.fail(str(function))):
        plain = LimitedGenerator(FixedRows(generator, 8), RowLimit(4))
        classes = torch.arange(len(SEEDS))
        images, _ = simulate(generator, classes, VARIANCE, SEEDS, DOUBLE)
        rows = [
            estimate_log_likelihood(each, images, classes, VARIANCE, CLASSICAL, SEEDS)
            for each in (compiled, plain)
        ]
    assert rows[0].log_likelihood.equal(rows[1].log_likelihood)


@pytest.mark.slow
def test_rows_by_the_compiler_are_those_of_chains_that_are_not_compiled() -> None:
    generator = dense_in_double()
    found = everything(limited(generator, Compilation(fail)))
    require_equal(found, everything(limited(generator)), 1e-9)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.usefixtures("by_torchs_kernels")
def test_tuned_step_sizes_are_those_of_chains_that_are_not_compiled() -> None:
    # The passes have different numbers of chains, the last more than rows in a block.
    generator = dense_in_double()
    classes = torch.arange(len(SEEDS))
    images, _ = simulate(generator, classes, VARIANCE, SEEDS, DOUBLE)
    found, expected = (
        tune_step_sizes(each, images, classes, VARIANCE, CLASSICAL, SEEDS).step_size
        for each in (limited(generator, Compilation(fail)), limited(generator))
    )
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("transitions", [2, 10])
@pytest.mark.parametrize("chains", ["classical", "guided"])
def test_the_mean_weight_of_compiled_chains_is_the_density(
    linear_decoder: Callable[..., Any], transitions: int, chains: str
) -> None:
    decoder, count = linear_decoder(2, 4), 200_000
    image, _ = simulate(decoder, None, 0.1, [3], like=DOUBLE)
    chart: Chart = StandardChart()
    if chains == "guided":
        problem = guided_run.GuidedProblem(decoder, image, None, 0.1, (7,), None, None)
        modes = guided_run.search_modes(problem, GUIDED, 0, None).modes
        proposal = laplace_proposal(modes, GUIDED)
        component = proposal.draw(torch.tensor([0.37]).double(), count)
        chart = MixtureChart(proposal, component)
    compiled = LimitedGenerator(Uncounted(decoder), RowLimit(), Compilation(fail))
    pair = ProposalToPosterior(compiled, image, None, 0.1, chart)
    stream = (Stream.GUIDED, 0)
    position = item_normals([7], stream, (count, 2), image)
    step = torch.full((transitions - 1, 1, 1), 0.3).double()
    annealed = anneal(
        pair,
        position,
        sigmoid_schedule(transitions, 1.0),
        3,
        ScheduledStepSize(step, 0.3, position),
        transition_noise([7], stream, transitions - 1, position),
        move_of(pair),
    )
    weight = (annealed.log_weight - decoder.log_density(image, 0.1)).exp()
    error = weight.std().item() / math.sqrt(count)
    print(f"\n{chains}, T = {transitions}: mean weight {weight.mean():.4f} +- {error:.4f}", end="")
    assert abs(weight.mean().item() - 1) < 4 * error
