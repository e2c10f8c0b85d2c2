"""What a transition of chains costs beside the bare gradients of its generator, on this machine.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.transitions [GENERATOR ...]

Prints a line for each generator: processor milliseconds of the gradients alone, and how many times
that a classical and a guided transition take, each as it is, compiled (`core.compiled_chains`) and
with forces in bfloat16, and the processor seconds that compiling the two took, those of the C++
compiler included. All are timed in turn and the least of each is taken, so that a busy machine
disturbs the ratios little. What was compiled before is found in torch's cache, unless
TORCHINDUCTOR_CACHE_DIR names an empty folder. BigGAN and StyleGAN2 are thin (64 channels) with 128
and 512 latents at 32 pixels: beside wider ones the same transition costs less.
"""

import argparse
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from offmanifold.core.compilation import Compilation
from offmanifold.core.compiled_chains import move_of
from offmanifold.core.densities import ProposalToPosterior
from offmanifold.core.fixed_rows import FixedRows
from offmanifold.core.generators.protocol import Generator
from offmanifold.core.guided_run import GuidedProblem, search_modes
from offmanifold.core.laplace import laplace_proposal
from offmanifold.core.likelihood import simulate
from offmanifold.core.row_limit import LimitedGenerator, RowLimit
from offmanifold.core.samplers.charts import Chart, StandardChart
from offmanifold.core.samplers.hmc import initial_state
from offmanifold.core.samplers.proposal import MixtureChart
from offmanifold.core.settings.chains import Forces
from offmanifold.core.settings.guided import GuidedSettings
from offmanifold.workers.generators import open_generator

from ..small_generators import residual_arguments, stylegan2_arguments, untrained

CHAINS = GuidedSettings.chains
STEPS = GuidedSettings.leapfrog_steps
VARIANCE = 0.01
ROUNDS = 9
# Shorter times are those of so many calls.
LEAST_SECONDS = 0.02

MAKERS: Mapping[str, Callable[[], Generator]] = {
    "digits": lambda: open_generator("shipped:digits").generator,
    "fashion": lambda: open_generator("shipped:fashion").generator,
    "biggan": lambda: untrained("residual", residual_arguments(64, 128)),
    "stylegan2": lambda: untrained("stylegan2", stylegan2_arguments([64] * 4, 512, 10)),
}


# As many as keep the search for modes, which is not timed, short.
IMAGES = {"digits": 16, "fashion": 16, "biggan": 4, "stylegan2": 2}


def main() -> None:
    """Times each generator that is named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("generators", nargs="*", metavar="GENERATOR", choices=[*MAKERS, []])
    for name in parser.parse_args().generators or MAKERS:
        works = _works(MAKERS[name](), IMAGES[name])
        began = sum(os.times()[:4])
        for work in works.values():
            work()
        made = sum(os.times()[:4]) - began
        bare, *moves = _least(list(works.values()))
        ratios = zip(list(works)[1:], moves, strict=True)
        told = ", ".join(f"{work} {seconds / bare:.3f}" for work, seconds in ratios)
        print(f"{name}: bare {1e3 * bare:.1f} ms, {told}; compiling {made:.0f} s", flush=True)


def _works(generator: Generator, count: int) -> dict[str, Callable[[], object]]:
    torch.manual_seed(0)
    condition = torch.arange(count) % generator.num_classes if generator.num_classes else None
    images, _ = simulate(generator, condition, VARIANCE, range(count))
    problem = GuidedProblem(generator, images, condition, VARIANCE, tuple(range(count)), None, None)
    position = torch.randn(count * CHAINS, generator.latent_dim)
    classes = None if condition is None else condition.repeat_interleave(CHAINS)
    vector = torch.randn(count * CHAINS, *generator.image_shape)

    def bare() -> None:
        for _ in range(STEPS):
            latent = position.detach().requires_grad_()
            torch.autograd.grad(generator(latent, classes), latent, vector)

    compiled = replace(problem, generator=_compiled(generator, count * CHAINS))
    classical, guided = StandardChart(), _chart(problem)
    return {
        "bare": bare,
        "classical": _move(problem, classical),
        "compiled": _move(compiled, classical),
        "classical bfloat16": _move(problem, classical, "bfloat16"),
        "guided": _move(problem, guided),
        "guided compiled": _move(compiled, guided),
        "guided bfloat16": _move(problem, guided, "bfloat16"),
    }


def _compiled(generator: Generator, rows: int) -> Generator:
    """The generator as a worker has it, whatever its size, with a block of so many rows."""

    def declined(why: str) -> None:
        raise RuntimeError(why)

    return LimitedGenerator(FixedRows(generator, rows), RowLimit(), Compilation(declined))


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


def _least(works: list[Callable[[], object]]) -> list[float]:
    """The least processor seconds of each piece of work."""
    for work in works:
        work()
    calls = [max(1, round(LEAST_SECONDS / _seconds(work, 1))) for work in works]
    rounds = [
        [_seconds(work, number) for work, number in zip(works, calls, strict=True)]
        for _ in range(ROUNDS)
    ]
    return [min(column) for column in zip(*rounds, strict=True)]


def _seconds(work: Callable[[], object], calls: int) -> float:
    began = time.process_time()
    for _ in range(calls):
        work()
    return (time.process_time() - began) / calls


if __name__ == "__main__":
    main()
