"""What the guided estimator costs beside the classical one, and its memory on a large model.

Ordinary test runs do not collect this file. Run it with

    pytest tests/benchmarks/bench_guided.py -s

The first benchmark times both estimators on the same images in one process and prints the ratio.
The second prints the sandwich gap by the rank of the curvature, 32 being all of it. The others
print the peak memory of a process that does nothing else.
"""

import resource
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from offmanifold.core.generators.convolutional import ConvolutionalGenerator
from offmanifold.core.guided import estimate_guided
from offmanifold.core.likelihood import estimate_log_likelihood, simulate
from offmanifold.core.settings.classical import ClassicalSettings
from offmanifold.core.settings.guided import GuidedMethod, GuidedSettings
from offmanifold.workers.generators import open_generator

AUDIT = GuidedSettings()


@pytest.mark.parametrize(("name", "variance"), [("fashion", 0.0089), ("digits", 0.003)])
def test_seconds_per_image_beside_the_classical_estimator(name: str, variance: float) -> None:
    generator = open_generator(f"shipped:{name}").generator
    condition, seeds = torch.arange(20) % 10, range(20)
    images, _ = simulate(generator, condition, variance, seeds)
    began = time.perf_counter()
    guided = estimate_guided(generator, images, condition, variance, AUDIT, seeds)
    between = time.perf_counter()
    estimate_log_likelihood(generator, images, condition, variance, ClassicalSettings(), seeds)
    ended = time.perf_counter()
    print(
        f"\n{name}: guided {(between - began) / 20:.2f} s and {guided.evaluations[0]} evaluations "
        f"an image, classical {(ended - between) / 20:.2f} s and 19964; ratio of the times "
        f"{(between - began) / (ended - between):.2f}"
    )


@pytest.mark.parametrize("rank", [32, 16, 4])
def test_sandwich_gap_by_rank_of_the_curvature(rank: int) -> None:
    generator = open_generator("shipped:fashion").generator
    condition, seeds = torch.arange(8), range(8)
    images, latent = simulate(generator, condition, 0.0089, seeds)
    # Memory for so many derivatives: a proposal of low rank takes eight beyond its own.
    vectors = rank if rank == generator.latent_dim else rank + 8
    method = GuidedMethod(jacobian_bytes=4 * images[0].numel() * vectors)
    settings = replace(AUDIT, method=method)
    found = estimate_guided(generator, images, condition, 0.0089, settings, seeds, latent)
    assert found.curvature_rank == rank
    gap = found.upper_bound - found.log_likelihood
    print(f"\nrank {rank}: gap mean {gap.mean():.2f}, median {gap.median():.2f}")


def large_model(jacobian_bytes: int) -> None:
    """Estimates one image of a model with 512 latents and 3 x 128 x 128 pixels."""
    torch.manual_seed(0)
    generator = ConvolutionalGenerator(
        512, 0, (3, 128, 128), width=512, coarse_channels=32, fine_channels=24
    ).requires_grad_(False)
    images, _ = simulate(generator, None, 0.01, [0])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    settings = GuidedSettings(
        transitions=10,
        restarts=4,
        candidates=4,
        bank=0,
        iterations=20,
        final_iterations=0,
        polish=1,
        method=GuidedMethod(modes=2, jacobian_bytes=jacobian_bytes),
    )
    began = time.perf_counter()
    estimate = estimate_guided(generator, images, None, 0.01, settings, [0])
    print(
        f"\n{jacobian_bytes / 2**20:.0f} MiB for derivatives: curvature of rank "
        f"{estimate.curvature_rank}, peak "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB, of which "
        f"{before / 2**20:.2f} before; {time.perf_counter() - began:.0f} s"
    )


@pytest.mark.parametrize("jacobian_bytes", [2**28, 2**25])
def test_memory_at_512_latents_and_128_by_128_pixels(jacobian_bytes: int) -> None:
    subprocess.run([sys.executable, __file__, str(jacobian_bytes)], check=True)


if __name__ == "__main__":
    large_model(int(sys.argv[1]))
