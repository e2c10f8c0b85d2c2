"""An image's numbers are its own: the same alone, in twos and in one batch, to the last bit."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from offmanifold.core.bank import Bank
from offmanifold.core.curvature import StartVectors, gauss_newton
from offmanifold.core.fixed_rows import FixedRows, in_blocks
from offmanifold.core.generators.class_set import ClassSetGenerator
from offmanifold.core.generators.protocol import Generator
from offmanifold.core.guided import estimate_guided
from offmanifold.core.inversion import invert
from offmanifold.core.likelihood import (
    bound_log_likelihood_above,
    estimate_log_likelihood,
    simulate,
    tune_step_sizes,
)
from offmanifold.core.sensing import measurement_matrix, restore
from offmanifold.core.settings.classical import ClassicalSettings
from offmanifold.core.settings.definition import build_settings
from offmanifold.core.settings.guided import GuidedSettings
from offmanifold.core.settings.inversion import InversionSettings
from offmanifold.core.settings.sensing import SensingSettings
from offmanifold.workers.generators import open_generator
from offmanifold.workers.row_memory import fixed_rows, limited
from torch import Tensor

WEIGHTS = Path(__file__).parents[2] / "workers" / "weights"
CPU = torch.device("cpu")
VARIANCE = 0.01
COUNT = 3
CHAINS = ClassicalSettings(transitions=8, chains=5, leapfrog_steps=2)

SHORT = InversionSettings(
    bank=500, restarts=5, iterations=8, finalists=3, final_iterations=4, polish=2
)

Batch = tuple[Tensor, Tensor, Tensor | None, Sequence[int]]
Work = Callable[[Generator, Batch], Mapping[str, Any]]


def classical(generator: Generator, batch: Batch) -> Mapping[str, Any]:
    images, _, condition, seeds = batch
    return vars(estimate_log_likelihood(generator, images, condition, VARIANCE, CHAINS, seeds))


def bounded(generator: Generator, batch: Batch) -> Mapping[str, Any]:
    images, latent, condition, seeds = batch
    arguments = generator, images, latent, condition, VARIANCE, CHAINS, seeds
    return {"upper_bound": bound_log_likelihood_above(*arguments)}


def tuning(generator: Generator, batch: Batch) -> Mapping[str, Any]:
    images, _, condition, seeds = batch
    settings = ClassicalSettings(transitions=8, chains=2, leapfrog_steps=2)
    trace = tune_step_sizes(generator, images, condition, VARIANCE, settings, seeds)
    return {"step_size": trace.step_size, "acceptance": trace.acceptance}


def guided(generator: Generator, batch: Batch) -> Mapping[str, Any]:
    images, latent, condition, seeds = batch
    settings = GuidedSettings(
        transitions=4,
        chains=4,
        leapfrog_steps=3,
        restarts=4,
        bank=500,
        iterations=8,
        finalists=3,
        final_iterations=4,
        polish=2,
    )
    bank = Bank(generator)
    return vars(
        estimate_guided(generator, images, condition, VARIANCE, settings, seeds, latent, None, bank)
    )


def inversion(generator: Generator, batch: Batch) -> Mapping[str, Any]:
    images, _, condition, seeds = batch
    return vars(invert(generator, images, condition, SHORT, seeds))


def sensing(generator: Generator, batch: Batch) -> Mapping[str, Any]:
    images, _, condition, seeds = batch
    settings = build_settings(SensingSettings, {**vars(SHORT), "noise": 0.01})
    matrix = measurement_matrix(0, 20, images[0].numel())
    return vars(restore(generator, images, condition, matrix, settings, seeds))


def low_rank(generator: Generator, batch: Batch) -> Mapping[str, Any]:
    _, latent, condition, _ = batch
    size = 4 * (8 + 3) * torch.Size(generator.image_shape).numel()
    found = gauss_newton(generator, latent, condition, VARIANCE, size, StartVectors())
    assert found.directions.shape[2] == 3
    return {"eigenvalue": found.eigenvalue, "directions": found.directions}


WORK = [classical, bounded, tuning, guided, inversion, sensing, low_rank]


def subjects(generator: Generator) -> Batch:
    seeds = range(20, 20 + COUNT)
    condition = torch.tensor([1, 0, 1]) if generator.num_classes else None
    images, latent = simulate(generator, condition, VARIANCE, seeds)
    return images, latent, condition, seeds


def part_of(batch: Batch, rows: slice) -> Batch:
    images, latent, condition, seeds = batch
    some = None if condition is None else condition[rows]
    return images[rows], latent[rows], some, seeds[rows]


def require_same_in_any_company(generator: Generator, work: Work) -> None:
    batch = subjects(generator)
    whole = work(generator, batch)
    for together in (1, 2):
        for start in range(0, COUNT, together):
            rows = slice(start, start + together)
            part = work(generator, part_of(batch, rows))
            for name, values in part.items():
                if isinstance(values, Tensor) and values.ndim:
                    assert torch.equal(values.nan_to_num(), whole[name][rows].nan_to_num()), name


@pytest.mark.parametrize("work", WORK)
def test_a_row_is_the_same_alone_in_twos_and_in_one_batch(work: Work) -> None:
    generator = open_generator(str(WEIGHTS / "digits")).generator
    require_same_in_any_company(limited(generator, CPU), work)


def test_of_convolutions_too() -> None:
    generator = open_generator(str(WEIGHTS / "fashion")).generator
    require_same_in_any_company(limited(generator, CPU), classical)


class OfClass:
    """An unconditional generator: one of the classes of a conditional one."""

    num_classes = 0

    def __init__(self, generator: Generator, label: int) -> None:
        self.latent_dim = generator.latent_dim
        self.image_shape = generator.image_shape
        self._generator = generator
        self._label = label

    def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        del condition
        return self._generator(latent, torch.full((len(latent),), self._label))

    def to(self, device: torch.device) -> "OfClass":
        del device
        return self


def test_of_a_set_of_generators_too() -> None:
    generator = open_generator(str(WEIGHTS / "digits")).generator
    members = ClassSetGenerator({label: OfClass(generator, label) for label in (0, 1)})
    require_same_in_any_company(limited(members, CPU), classical)


def test_without_blocks_it_depends_on_the_company() -> None:
    generator = open_generator(str(WEIGHTS / "digits")).generator
    with pytest.raises(AssertionError):
        require_same_in_any_company(generator, tuning)


def test_a_generator_is_given_blocks_of_one_shape() -> None:
    given = []

    class Noting(OfClass):
        def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:
            given.append(len(latent))
            return super().__call__(latent, condition)

    inner = open_generator(str(WEIGHTS / "digits")).generator
    generator = FixedRows(Noting(inner, 0), 4)
    latent = torch.randn(9, inner.latent_dim, generator=torch.Generator().manual_seed(0))
    latent.requires_grad_()
    images = generator(latent, None)
    (gradient,) = torch.autograd.grad(images.square().sum(), latent)
    expected = inner(latent, torch.zeros(9, dtype=torch.int64))
    torch.testing.assert_close(images, expected)
    torch.testing.assert_close(
        gradient, torch.autograd.grad(expected.square().sum(), latent)[0], rtol=1e-4, atol=1e-5
    )
    assert given == [4, 4, 4]
    assert not len(generator(latent[:0], None))


def test_blocks_of_no_rows_and_of_exactly_so_many() -> None:
    rows = torch.arange(12.0).view(6, 2)
    for at_once in (1, 2, 3, 6, 7):
        assert torch.equal(in_blocks(lambda part: 2 * part, rows, at_once), 2 * rows)


def test_a_block_is_larger_for_a_smaller_generator() -> None:
    sizes = [fixed_rows(bytes_of_each) for bytes_of_each in (1, 5_000, 10**5, 10**6, 10**9)]
    assert sizes == [256, 256, 64, 8, 8]
