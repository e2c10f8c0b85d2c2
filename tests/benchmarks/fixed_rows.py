"""What blocks of one shape cost on a CPU: classical chains in blocks, beside one whole batch.

    python -m tests.benchmarks.fixed_rows digits|fashion [ROWS ...]

prints, for several numbers of images, the processor time of 12 transitions of 4 chains each, as a
ratio to that without blocks: the least of four, taken in turn. ROWS are the sizes of the blocks; by
default the one that a worker takes.
"""

import sys
import time

import torch
from offmanifold.core.fixed_rows import in_fixed_rows
from offmanifold.core.generators.protocol import Generator
from offmanifold.core.likelihood import estimate_log_likelihood
from offmanifold.core.settings.classical import ClassicalSettings
from offmanifold.workers.generators import open_generator
from offmanifold.workers.row_memory import bytes_of_derivative, fixed_rows

SETTINGS = ClassicalSettings(transitions=12)
IMAGES = (1, 4, 20, 50, 128, 200)
REPEATS = 4
VARIANCE = 0.01


def seconds(generator: Generator, images: torch.Tensor) -> float:
    """Processor time of the chains of these images."""
    count = len(images)
    classes = torch.arange(count) % generator.num_classes if generator.num_classes else None
    start = time.process_time()
    estimate_log_likelihood(generator, images, classes, VARIANCE, SETTINGS, range(count))
    return time.process_time() - start


def main(name: str, *sizes: str) -> None:
    """Prints a line for each number of images."""
    torch.set_num_threads(1)
    generator = open_generator(f"shipped:{name}").generator
    own = fixed_rows(bytes_of_derivative(generator, torch.device("cpu")))
    blocks = [int(size) for size in sizes] or [own]
    ways = [generator, *(in_fixed_rows(generator, rows) for rows in blocks)]
    images = torch.rand(
        max(IMAGES), *generator.image_shape, generator=torch.Generator().manual_seed(0)
    )
    for count in IMAGES:
        rounds = [[seconds(way, images[:count]) for way in ways] for _ in range(REPEATS)]
        whole, *others = (min(times) for times in zip(*rounds, strict=True))
        ratios = ", ".join(
            f"{other / whole:.2f} in blocks of {rows}"
            for rows, other in zip(blocks, others, strict=True)
        )
        print(f"{name}, {count} images: {whole:.3f} s in one batch; {ratios} times")


if __name__ == "__main__":
    main(*sys.argv[1:])
