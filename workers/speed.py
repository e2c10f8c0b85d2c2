"""How fast a generator is: measured on a few batches, here and now."""

import time
from typing import TYPE_CHECKING

from ..cluster.s3_settings import BY_ENVIRONMENT, S3Settings
from .generator_source import GeneratorSource
from .generators import open_generator

if TYPE_CHECKING:
    import torch

    from ..core.generators.protocol import Generator

_ROWS = {"cpu": 16, "cuda": 256}
# Fewer batches would time the machine's mood; more, of a slow generator, the user's patience.
_BATCHES = 2
# A fast generator's batches are repeated: clocks are no finer.
_LEAST_SECONDS = 0.2
_MOST_BATCHES = 200


def source_speed(
    source: GeneratorSource, device: "torch.device", service: S3Settings = BY_ENVIRONMENT
) -> float:
    """As `generator_speed`, of the generator that a source names.

    Raises:
        GeneratorError: it cannot be opened.
    """
    return generator_speed(open_generator(source, service).generator, device)


def generator_speed(generator: "Generator", device: "torch.device") -> float:
    """Evaluations a second: images with their gradient in the latent, in batches, on one thread.

    A batch of two rows goes before, so that what is done once is not timed. Latents are drawn from
    a seed of its own; no other random number of the process is touched.
    """
    import torch

    # As a worker has it.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        moved = generator.to(device)
        rows = _ROWS[device.type]
        _evaluate(moved, device, 2)
        done, begun = 0, time.perf_counter()
        while True:
            _evaluate(moved, device, rows)
            done += 1
            taken = time.perf_counter() - begun
            if done >= _BATCHES and (taken >= _LEAST_SECONDS or done >= _MOST_BATCHES):
                return done * rows / taken
    finally:
        torch.set_num_threads(threads)


def _evaluate(generator: "Generator", device: "torch.device", rows: int) -> None:
    import torch

    random = torch.Generator().manual_seed(0)
    latent = torch.randn(rows, generator.latent_dim, generator=random).to(device)
    latent.requires_grad_(True)
    classes = generator.num_classes
    condition = (torch.arange(rows) % classes).to(device) if classes else None
    loss = generator(latent, condition).square().sum()
    (gradient,) = torch.autograd.grad(loss, latent)
    # Waits for the device.
    gradient.sum().item()
