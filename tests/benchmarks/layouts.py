"""What a generator takes whose kernels have their channels last, beside one as it was built.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.layouts [GENERATOR ...]

prints a line for each generator and number of rows: processor milliseconds, as built, of images, of
their gradient in the latent and of a product with the Jacobian, and what each takes with channels
last as a ratio to that, the least of nine taken in turn. But for `fashion` generators have random
weights. StyleGANs are built with their channels last: theirs is the error of the ratios.
"""

import argparse
import copy
from collections.abc import Callable, Mapping

import torch
from offmanifold.core.generators.protocol import Generator
from offmanifold.core.generators.stylegan2 import weights_channels_last
from offmanifold.workers.generators import open_generator
from torch import nn

from ..small_generators import residual_arguments, stylegan2_arguments, untrained
from .processor_time import seconds_a_call

ROWS = (8, 64)
ROUNDS = 9
# Shorter times are those of so many calls.
LEAST_SECONDS = 0.05
DCGAN = {
    "latent_dim": 100,
    "num_classes": 0,
    "image_shape": [3, 64, 64],
    "channels": [512, 256, 128, 64],
    "rectified_start": True,
    "enlarging_output": True,
}

MAKERS: Mapping[str, Callable[[], Generator]] = {
    "biggan": lambda: untrained("residual", residual_arguments(64, 128)),
    "dcgan": lambda: untrained("deep_convolutional", DCGAN),
    "fashion": lambda: open_generator("shipped:fashion").generator,
    "stylegan2": lambda: untrained("stylegan2", stylegan2_arguments([64] * 4, 512, 10)),
}


def main() -> None:
    """Times each generator that is named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("generators", nargs="*", metavar="GENERATOR", choices=[*MAKERS, []])
    torch.set_num_threads(1)
    for name in parser.parse_args().generators or MAKERS:
        built = MAKERS[name]()
        ordered = copy.deepcopy(built)
        assert isinstance(ordered, nn.Module)
        weights_channels_last(ordered, None)
        for rows in ROWS:
            print(f"{name}, {rows} rows: {_line(built, ordered, rows)}", flush=True)


def _line(built: Generator, ordered: Generator, rows: int) -> str:
    as_built, last = _works(built, rows), _works(ordered, rows)
    least = _least([*as_built.values(), *last.values()])
    return ", ".join(
        f"{name} {1e3 * before:.1f} ms, {after / before:.2f}"
        for name, before, after in zip(
            as_built, least[: len(as_built)], least[len(as_built) :], strict=True
        )
    )


def _works(generator: Generator, rows: int) -> dict[str, Callable[[], object]]:
    random = torch.Generator().manual_seed(0)
    latent = torch.randn(rows, generator.latent_dim, generator=random)
    direction = torch.randn(rows, generator.latent_dim, generator=random)
    vector = torch.randn(rows, *generator.image_shape, generator=random)
    classes = torch.arange(rows) % generator.num_classes if generator.num_classes else None

    def images(at: torch.Tensor = latent) -> torch.Tensor:
        return generator(at, classes)

    def gradient() -> object:
        at = latent.clone().requires_grad_()
        return torch.autograd.grad(images(at), at, vector)

    def undifferentiated() -> object:
        with torch.no_grad():
            return images()

    return {
        "images": undifferentiated,
        "gradient": gradient,
        "J v": lambda: torch.func.jvp(images, (latent,), (direction,)),
    }


def _least(works: list[Callable[[], object]]) -> list[float]:
    """The least processor seconds of each piece of work."""
    for work in works:
        work()
    rounds = [[seconds_a_call(work, LEAST_SECONDS) for work in works] for _ in range(ROUNDS)]
    return [min(column) for column in zip(*rounds, strict=True)]


if __name__ == "__main__":
    main()
