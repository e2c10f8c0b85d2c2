"""What a transition of chains costs beside the bare gradients of its generator, on this machine.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.transitions [GENERATOR ...]

Prints for each generator the processor milliseconds of the gradients alone, and a line for each
kind of transition: how many times as long it takes, classical or guided, each as it is, compiled
(`core.compiled_chains`) and with forces in bfloat16. It is the median, with its 95% interval, of
rounds that time bare gradients before and after one transition, so that neither what disturbs the
machine for a while nor the luck of one call decides. The generator is as a worker has it, in blocks
of rows, and has those of a shard of the default size, or of fewer images where that takes long.
Of compiled transitions it also prints the processor seconds that compiling took, those of the C++
compiler included. What was compiled before is found in torch's cache, unless
TORCHINDUCTOR_CACHE_DIR names an empty folder. BigGAN and StyleGAN2 are thin (64 channels) with 128
and 512 latents at 32 pixels: beside wider ones the same transition costs less. ``stylegan2_wide``
has 128 channels.
"""

import argparse
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from statistics import fmean, median

import numpy as np
import torch
from offmanifold.core.compilation import Compilation
from offmanifold.core.compiled_chains import move_of
from offmanifold.core.densities import ProposalToPosterior
from offmanifold.core.generators.protocol import Generator
from offmanifold.core.guided_run import GuidedProblem, search_modes
from offmanifold.core.laplace import laplace_proposal
from offmanifold.core.likelihood import simulate
from offmanifold.core.row_limit import Block, LimitedGenerator
from offmanifold.core.samplers.charts import Chart, StandardChart
from offmanifold.core.samplers.hmc import initial_state
from offmanifold.core.samplers.proposal import MixtureChart
from offmanifold.core.settings.chains import Forces
from offmanifold.core.settings.guided import GuidedSettings
from offmanifold.core.statistics.medians import median_interval
from offmanifold.workers.generators import open_generator
from offmanifold.workers.process import set_up
from offmanifold.workers.row_memory import limited

from ..small_generators import residual_arguments, stylegan2_arguments, untrained
from .processor_time import seconds_a_call

CHAINS = GuidedSettings.chains
STEPS = GuidedSettings.leapfrog_steps
VARIANCE = 0.01
# So many rounds, or fewer where they take longer than so many seconds.
MOST_ROUNDS, FEWEST_ROUNDS, SECONDS = 60, 10, 30.0
# Shorter times are those of so many calls.
LEAST_SECONDS = 0.02

MAKERS: Mapping[str, Callable[[], Generator]] = {
    "digits": lambda: open_generator("shipped:digits").generator,
    "fashion": lambda: open_generator("shipped:fashion").generator,
    "biggan": lambda: untrained("residual", residual_arguments(64, 128)),
    "stylegan2": lambda: untrained("stylegan2", stylegan2_arguments([64] * 4, 512, 10)),
    "stylegan2_wide": lambda: untrained("stylegan2", stylegan2_arguments([128] * 4, 512, 10)),
}

# Those of a shard, by default or in the preset, or as many as keep a round within a second or two.
IMAGES = {"digits": 64, "fashion": 32, "biggan": 4, "stylegan2": 2, "stylegan2_wide": 1}


def main() -> None:
    """Times each generator that is named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("generators", nargs="*", metavar="GENERATOR", choices=[*MAKERS, []])
    set_up(1)
    for name in parser.parse_args().generators or MAKERS:
        bare, moves = works(limited(MAKERS[name](), torch.device("cpu")), IMAGES[name])
        bare()
        seconds = median(seconds_a_call(bare, LEAST_SECONDS) for _ in range(FEWEST_ROUNDS))
        print(f"{name}: {IMAGES[name]} x {CHAINS} rows, bare {1e3 * seconds:.1f} ms", flush=True)
        for kind, move in moves.items():
            made = _processor_seconds(move)
            compiling = f", compiling {made:.0f} s" if "compiled" in kind else ""
            print(f"  {kind}: {_over(bare, move)}{compiling}", flush=True)


def works(
    generator: LimitedGenerator, count: int
) -> tuple[Callable[[], object], dict[str, Callable[[], object]]]:
    """The bare gradients of one transition, and transitions of each kind, their modes searched."""
    torch.manual_seed(0)
    condition = torch.arange(count) % generator.num_classes if generator.num_classes else None
    images, _ = simulate(generator, condition, VARIANCE, range(count))
    problem = GuidedProblem(generator, images, condition, VARIANCE, tuple(range(count)), None, None)
    compiled = replace(problem, generator=_compiled(generator))
    classical, guided = StandardChart(), _chart(problem)
    return _bare(problem), {
        "classical": _move(problem, classical),
        "guided": _move(problem, guided),
        "classical compiled": _move(compiled, classical),
        "guided compiled": _move(compiled, guided),
        "classical bfloat16": _move(problem, classical, "bfloat16"),
        "guided bfloat16": _move(problem, guided, "bfloat16"),
    }


def _bare(problem: GuidedProblem) -> Callable[[], object]:
    generator, count = problem.generator, len(problem.images)
    assert isinstance(generator, LimitedGenerator)
    unlimited, limit = generator.unlimited, generator.limit
    position = torch.randn(count, CHAINS, generator.latent_dim)
    vector = torch.randn(count, CHAINS, *generator.image_shape)
    classes = problem.condition
    labels = None if classes is None else classes[:, None].expand(-1, CHAINS).contiguous()

    def gradient(block: Block) -> tuple[torch.Tensor, ...]:
        latent = position[block].flatten(0, 1).requires_grad_()
        images = unlimited(latent, None if labels is None else labels[block].flatten())
        (found,) = torch.autograd.grad(images, latent, vector[block].flatten(0, 1))
        return (found.view_as(position[block]),)

    def bare() -> None:
        for _ in range(STEPS):
            limit.over(count, CHAINS, gradient)

    return bare


def _compiled(generator: LimitedGenerator) -> LimitedGenerator:
    """The generator as a worker has it that compiles its chains, whatever its size."""

    def declined(why: str) -> None:
        raise RuntimeError(why)

    return LimitedGenerator(generator.unlimited, generator.limit, Compilation(declined))


def _chart(problem: GuidedProblem) -> Chart:
    """Of some eight modes, hardly searched for: chains cost the same from any."""
    settings = GuidedSettings(restarts=8, candidates=1, bank=0, iterations=3)
    few = replace(settings, finalists=8, final_iterations=0, polish=0)
    proposal = laplace_proposal(search_modes(problem, few, 0, None).modes, few)
    uniform = torch.full((len(problem.images),), 0.5, dtype=torch.float64)
    return MixtureChart(proposal, proposal.draw(uniform, CHAINS))


def _move(
    problem: GuidedProblem, chart: Chart, forces: Forces | None = None
) -> Callable[[], object]:
    generator, images, condition = problem.generator, problem.images, problem.condition
    pair = ProposalToPosterior(generator, images, condition, VARIANCE, chart, forces)
    momentum = torch.randn(len(images), CHAINS, generator.latent_dim)
    state = initial_state(pair, torch.randn_like(momentum))
    move_one = move_of(pair)
    uniform, step = torch.rand(len(images), CHAINS), torch.full((len(images), CHAINS), 0.01)

    def move() -> object:
        with torch.no_grad():
            return move_one(pair, state, momentum, uniform, 0.5, step, STEPS)

    return move


def _over(bare: Callable[[], object], move: Callable[[], object]) -> str:
    """How many times the bare gradients' time a transition takes."""
    ratios: list[float] = []
    before, began = seconds_a_call(bare, LEAST_SECONDS), time.monotonic()
    while len(ratios) < MOST_ROUNDS:
        if len(ratios) >= FEWEST_ROUNDS and time.monotonic() - began > SECONDS:
            break
        moved = seconds_a_call(move, LEAST_SECONDS)
        after = seconds_a_call(bare, LEAST_SECONDS)
        ratios.append(moved / fmean([before, after]))
        before = after
    found = median_interval(np.array(ratios))
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _processor_seconds(work: Callable[[], object]) -> float:
    """Of this process and of those that it starts and waits for."""
    began = sum(os.times()[:4])
    work()
    return sum(os.times()[:4]) - began


if __name__ == "__main__":
    main()
