"""What sampling costs beside the generator's own evaluations.

Ordinary test runs do not collect this file. Run it with

    pytest tests/benchmarks/bench_sampling_cost.py -s

whose last option switches off the shape checks, which would be timed too. Compare the two
benchmarks of a group as a ratio; the shares and the peak memory are printed, and saved as extra
info with --benchmark-json.
"""

import resource
import time
from collections.abc import Callable

import pytest
import torch
from offmanifold.core.generators.convolutional import ConvolutionalGenerator
from offmanifold.core.generators.dense import DenseGenerator
from offmanifold.core.generators.protocol import Generator
from offmanifold.core.likelihood import estimate_log_likelihood, simulate
from offmanifold.core.samplers.noise import Stream, transition_noise
from offmanifold.core.settings.classical import ClassicalSettings
from pytest_benchmark.fixture import BenchmarkFixture

VARIANCE = 0.01
CASES = {
    "dense 16 to 64, 1000 chains": (250, 40),
    "dense 16 to 64, 64 chains": (16, 100),
    "convolutional 32 to 784, 64 chains": (16, 10),
}

pytestmark = pytest.mark.parametrize("case", CASES)


def generator_of(case: str) -> Generator:
    torch.manual_seed(0)
    if case.startswith("dense"):
        return DenseGenerator(16, 10, (1, 8, 8), width=128, depth=2).requires_grad_(False)
    return ConvolutionalGenerator(
        32, 10, (1, 28, 28), width=128, coarse_channels=32, fine_channels=16
    ).requires_grad_(False)


def annealing(case: str) -> Callable[[], object]:
    count, transitions = CASES[case]
    generator, condition = generator_of(case), torch.arange(count) % 10
    images, _ = simulate(generator, condition, VARIANCE, range(count))
    settings = ClassicalSettings(transitions=transitions)
    schedule = torch.full((transitions - 1,), 0.05, dtype=torch.float64)
    return lambda: estimate_log_likelihood(
        generator, images, condition, VARIANCE, settings, range(count), schedule
    )


def evaluations_alone(case: str) -> Callable[[], object]:
    count, transitions = CASES[case]
    generator = generator_of(case)
    condition = (torch.arange(count) % 10).repeat_interleave(4)
    position = torch.randn(4 * count, generator.latent_dim)
    vector = torch.randn(4 * count, *generator.image_shape)

    def run() -> None:
        for _ in range(10 * (transitions - 1) + 1):
            latent = position.detach().requires_grad_()
            torch.autograd.grad(generator(latent, condition), latent, vector)

    return run


def noise_alone(case: str) -> Callable[[], object]:
    count, transitions = CASES[case]
    like = torch.empty(count, 4, generator_of(case).latent_dim)
    return lambda: list(transition_noise(range(count), (Stream.FORWARD,), transitions - 1, like))


def cpu_seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def test_annealing(benchmark: BenchmarkFixture, case: str) -> None:
    benchmark.group = case
    count, transitions = CASES[case]
    run, alone, noise = annealing(case), evaluations_alone(case), noise_alone(case)
    benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    chain_evaluations = 4 * count * (10 * (transitions - 1) + 1)
    # Interleaved, and by processor time, so that a busy machine disturbs the ratios little.
    rounds = [(cpu_seconds(run), cpu_seconds(alone), cpu_seconds(noise)) for _ in range(5)]
    whole, decoder, random = (min(column) for column in zip(*rounds, strict=True))
    benchmark.extra_info["gradient evaluations per second"] = round(chain_evaluations / whole)
    benchmark.extra_info["share outside the generator"] = round(1 - decoder / whole, 3)
    benchmark.extra_info["share of noise"] = round(random / whole, 4)
    benchmark.extra_info["peak memory of the process in MiB"] = round(
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    )
    print(f"\n{case}: {benchmark.extra_info}")


def test_evaluations_alone(benchmark: BenchmarkFixture, case: str) -> None:
    benchmark.group = case
    benchmark.pedantic(evaluations_alone(case), rounds=5, warmup_rounds=1)
