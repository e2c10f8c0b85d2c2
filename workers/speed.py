"""How fast a generator is: measured on a few batches, here and now."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..cluster.s3_settings import BY_ENVIRONMENT, S3Settings
from .generator_source import GeneratorSource
from .generators import GeneratorError, open_generator
from .row_memory import limited

if TYPE_CHECKING:
    import torch

    from ..core.generators.protocol import Generator

# They tell how many rows a slow generator can be given; others are not told by their time.
_FIRST = {"cpu": 16, "cuda": 256}
# A shard's items and its chains or restarts make no fewer rows, or more.
_FEW = {"cpu": 128, "cuda": 512}
_MANY = {"cpu": 512, "cuda": 2048}
# Fewer batches would time the machine's mood; more, of a slow generator, the user's patience.
_BATCHES = 2
# A fast generator's batches are repeated: clocks are no finer.
_LEAST_SECONDS = 0.2
_MOST_BATCHES = 200
# So long may a batch of many take, at the speed of few: a slower generator is given fewer.
_LARGE_SECONDS = 2.0


@dataclass(frozen=True)
class Speed:
    """Evaluations a second, images with their gradient, in batches of ``few`` and ``many`` rows."""

    few: float
    many: float


def source_speed(
    source: GeneratorSource, device: "torch.device", service: S3Settings = BY_ENVIRONMENT
) -> Speed:
    """As `generator_speed`, of the generator that a source names.

    Raises:
        GeneratorError: it cannot be opened.
    """
    import torch

    try:
        return generator_speed(open_generator(source, service).generator, device)
    finally:
        if device.type == "cuda":
            # Workers share the device with this process.
            torch.cuda.empty_cache()


def generator_speed(generator: "Generator", device: "torch.device") -> Speed:
    """That of one worker, on one thread.

    A batch of two rows goes before, so that what is done once is not timed. Latents are drawn from
    a seed of its own; no other random number of the process is touched.

    Raises:
        GeneratorError: it fails on one of these batches.
    """
    import torch

    # As a worker has it.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        moved = limited(generator.to(device), device)
        timed = _Timed(moved, device, _classes(generator))
        # A worker differentiates no more rows at once.
        most = moved.limit.rows
        timed.evaluate(min(2, most))
        rows = min(_FIRST[device.type], most)
        rate = timed.rate(rows)
        rates = []
        for wanted in (_FEW[device.type], _MANY[device.type]):
            larger = min(wanted, int(rate * _LARGE_SECONDS), most)
            if larger > rows:
                rows, rate = larger, timed.rate(larger)
            rates.append(rate)
        return Speed(*rates)
    except Exception as error:
        # What a generator of the user's raises is of any type.
        raise GeneratorError(
            f"called with up to {_MANY[device.type]} latents it raised {type(error).__name__}: "
            f"{error}"
        ) from error
    finally:
        torch.set_num_threads(threads)


def _classes(generator: "Generator") -> list[int]:
    """The classes that it makes; a set may have none of some."""
    from ..core.generators.class_set import ClassSetGenerator

    if isinstance(generator, ClassSetGenerator):
        return sorted(generator.members)
    return list(range(generator.num_classes))


@dataclass(frozen=True)
class _Timed:
    generator: "Generator"
    device: "torch.device"
    classes: list[int]

    def rate(self, rows: int) -> float:
        done, begun = 0, time.perf_counter()
        while True:
            self.evaluate(rows)
            done += 1
            taken = time.perf_counter() - begun
            if done >= _BATCHES and (taken >= _LEAST_SECONDS or done >= _MOST_BATCHES):
                return done * rows / taken

    def evaluate(self, rows: int) -> None:
        import torch

        random = torch.Generator().manual_seed(0)
        latent = torch.randn(rows, self.generator.latent_dim, generator=random).to(self.device)
        latent.requires_grad_(True)
        condition = None
        if self.classes:
            known = torch.tensor(self.classes, device=self.device)
            condition = known[torch.arange(rows, device=self.device) % len(known)]
        loss = self.generator(latent, condition).square().sum()
        (gradient,) = torch.autograd.grad(loss, latent)
        # Waits for the device.
        gradient.sum().item()
