"""How many blocks of rows a CPU should differentiate together: gradients of chains, by blocks.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.rows_together [GENERATOR ...]

prints a line for each generator: processor milliseconds of the gradients of all rows in one
derivative, and of 1, 2, 4 ... of its blocks at once as a ratio to that, the least of five taken in
turn, and whether all give the same bits. But for `digits` and `fashion` generators have random
weights, with 10 classes; widths are of 4x4, 8x8 and so on.
"""

import argparse
from collections.abc import Callable, Mapping

import torch
from offmanifold.core.densities import ProposalToPosterior
from offmanifold.core.fixed_rows import in_fixed_rows
from offmanifold.core.generators.protocol import Generator
from offmanifold.core.row_limit import LimitedGenerator, RowLimit
from offmanifold.core.samplers.charts import StandardChart
from offmanifold.workers.generators import open_generator
from offmanifold.workers.row_memory import bytes_of_derivative, fixed_rows

from ..small_generators import residual_arguments, stylegan2_arguments, untrained
from .processor_time import seconds_a_call

CHAINS = 4
VARIANCE = 0.01
ROUNDS = 5
# Shorter times are those of so many calls.
LEAST_SECONDS = 0.3

# With as many rows as a shard of some generators has, or as time allows.
MAKERS: Mapping[str, tuple[Callable[[], Generator], int]] = {
    "digits": (lambda: open_generator("shipped:digits").generator, 8192),
    "fashion": (lambda: open_generator("shipped:fashion").generator, 1024),
    "biggan": (lambda: untrained("residual", residual_arguments(64, 128)), 128),
    "biggan, wide": (lambda: untrained("residual", residual_arguments(256, 128)), 64),
    "stylegan2": (lambda: untrained("stylegan2", stylegan2_arguments([64] * 4, 512, 10)), 128),
    "stylegan2, 64 pixels": (
        lambda: untrained("stylegan2", stylegan2_arguments([256, 128, 64, 64, 32], 512, 10)),
        64,
    ),
}


def main() -> None:
    """Times each generator that is named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("generators", nargs="*", metavar="GENERATOR", choices=[*MAKERS, []])
    torch.set_num_threads(1)
    for name in parser.parse_args().generators or MAKERS:
        make, rows = MAKERS[name]
        print(f"{name}: {_line(make(), rows)}", flush=True)


def _line(generator: Generator, rows: int) -> str:
    each = bytes_of_derivative(generator, torch.device("cpu"))
    block = fixed_rows(each)
    together = [block << power for power in range((rows // block).bit_length())]
    works = [_gradients(generator, block, rows, at_once) for at_once in together]
    found = [work() for work in works]
    best = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        seconds = [seconds_a_call(work, LEAST_SECONDS) for work in works]
        best = [min(pair) for pair in zip(best, seconds, strict=True)]
    ratios = ", ".join(
        f"{seconds / best[-1]:.2f} of {at_once} ({at_once * each / 2**20:.0f} MiB)"
        for at_once, seconds in zip(together, best, strict=True)
    )
    same = all(torch.equal(one, found[-1]) for one in found)
    return f"{1e3 * best[-1]:.1f} ms; {ratios}; same bits: {same}"


def _gradients(
    generator: Generator, block: int, rows: int, at_once: int
) -> Callable[[], torch.Tensor]:
    images = rows // CHAINS
    random = torch.Generator().manual_seed(0)
    given = torch.rand(images, *generator.image_shape, generator=random)
    latent = torch.randn(images, CHAINS, generator.latent_dim, generator=random)
    classes = torch.arange(images) % generator.num_classes if generator.num_classes else None
    limited = LimitedGenerator(in_fixed_rows(generator, block), RowLimit(at_once))
    pair = ProposalToPosterior(limited, given, classes, VARIANCE, StandardChart())
    return lambda: pair.gradients(latent)[1]


if __name__ == "__main__":
    main()
