"""Blocks of rows: the same numbers whatever their size, and what is done where memory runs out."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from offmanifold.core.curvature import StartVectors, gauss_newton
from offmanifold.core.fixed_rows import in_fixed_rows
from offmanifold.core.generators.protocol import Generator
from offmanifold.core.guided import estimate_guided
from offmanifold.core.inversion import invert
from offmanifold.core.likelihood import estimate_log_likelihood, simulate
from offmanifold.core.row_limit import Block, LimitedGenerator, RowLimit, bytes_of_row
from offmanifold.core.sensing import measurement_matrix, restore
from offmanifold.core.settings.classical import ClassicalSettings
from offmanifold.core.settings.guided import GuidedMethod, GuidedSettings
from offmanifold.core.settings.inversion import InversionSettings
from offmanifold.core.settings.sensing import SensingSettings
from torch import Tensor

CPU = torch.device("cpu")
SEEDS = range(3)
VARIANCE = 0.05


class Wasteful:
    """A generator for which memory suffices for a few rows only; it notes what it is given."""

    latent_dim, num_classes, image_shape = 3, 2, (1, 2, 4)

    def __init__(self, most: int = 1 << 40) -> None:
        random = torch.Generator().manual_seed(0)
        self.weight = torch.randn(2, 3, 8, generator=random, dtype=torch.float64)
        self.most = most
        self.given: list[int] = []

    def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        self.given.append(len(latent))
        if len(latent) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        assert condition is not None
        product = (latent[:, None] @ self.weight[condition])[:, 0]
        return torch.sigmoid(product).view(-1, 1, 2, 4)

    def to(self, device: torch.device) -> "Wasteful":
        del device
        return self


def classical(generator: Generator, images: Tensor, condition: Tensor) -> Mapping[str, Any]:
    settings = ClassicalSettings(transitions=4, chains=5, leapfrog_steps=2)
    return vars(estimate_log_likelihood(generator, images, condition, VARIANCE, settings, SEEDS))


def guided(generator: Generator, images: Tensor, condition: Tensor) -> Mapping[str, Any]:
    settings = GuidedSettings(
        transitions=3,
        chains=4,
        leapfrog_steps=2,
        restarts=4,
        bank=40,
        iterations=5,
        finalists=3,
        final_iterations=3,
        polish=1,
        method=GuidedMethod(modes=2),
    )
    return vars(estimate_guided(generator, images, condition, VARIANCE, settings, SEEDS))


def inversion(generator: Generator, images: Tensor, condition: Tensor) -> Mapping[str, Any]:
    settings = InversionSettings(bank=200, iterations=5, restarts=4, final_iterations=4, polish=2)
    return vars(invert(generator, images, condition, settings, SEEDS))


def sensing(generator: Generator, images: Tensor, condition: Tensor) -> Mapping[str, Any]:
    settings = SensingSettings(
        noise=0.1, bank=200, iterations=5, restarts=4, final_iterations=4, polish=2
    )
    matrix = measurement_matrix(0, 5, 8)
    return vars(restore(generator, images, condition, matrix, settings, SEEDS))


def curvature(generator: Generator, images: Tensor, condition: Tensor) -> Mapping[str, Any]:
    latent = images.flatten(1)[:, :3].contiguous()
    # A block's signs are the eigenvectors' own.
    eigenvalue = [
        gauss_newton(generator, latent, condition, 0.1, size, StartVectors()).eigenvalue
        for size in (10**9, 4 * 8)
    ]
    return dict(zip(("whole", "leading"), eigenvalue, strict=True))


WORK = [classical, guided, inversion, sensing, curvature]
Work = Callable[[Generator, Tensor, Tensor], Mapping[str, Any]]


def subjects() -> tuple[Tensor, Tensor]:
    condition = torch.tensor([0, 1, 1])
    like = torch.empty(0, dtype=torch.float64)
    return simulate(Wasteful(), condition, VARIANCE, SEEDS, like)[0], condition


def assert_same(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    # At the bottom of a valley a step is taken or not by the last bits of a value, which move it by
    # their root.
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-7, atol=1e-8, equal_nan=True)


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("rows", [1, 3, 5])
def test_blocks_of_any_size_give_the_same_rows(work: Work, rows: int) -> None:
    expected = work(Wasteful(), *subjects())
    generator = Wasteful()
    assert_same(work(LimitedGenerator(generator, RowLimit(rows)), *subjects()), expected)
    assert max(generator.given) <= rows


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("most", [1, 2])
def test_a_lack_of_memory_halves_the_rows_for_good(work: Work, most: int) -> None:
    expected = work(Wasteful(), *subjects())
    generator, limit = Wasteful(most), RowLimit()
    limited = LimitedGenerator(generator, limit)
    assert_same(work(limited, *subjects()), expected)
    assert 1 <= limit.rows <= most
    generator.given.clear()
    work(limited, *subjects())
    assert max(generator.given) <= most


@pytest.mark.parametrize("work", WORK)
def test_a_single_row_is_tried_twice_before_it_fails(work: Work) -> None:
    images, condition = subjects()
    generator = Wasteful(0)
    with pytest.raises(torch.OutOfMemoryError):
        work(LimitedGenerator(generator, RowLimit(1)), images, condition)
    assert generator.given[:2] == [1, 1]


def test_what_failed_is_let_go_of_before_it_is_tried_again() -> None:
    alive: list[int] = []

    class Held:
        def __init__(self) -> None:
            alive.append(1)

        def __del__(self) -> None:
            alive.pop()

    met: list[int] = []

    def compute() -> int:
        met.append(len(alive))
        held = Held()
        if len(met) < 3:
            raise torch.OutOfMemoryError
        del held
        return 7

    assert RowLimit().attempt(8, compute) == 7
    assert met == [0, 0, 0]


def test_a_row_takes_what_is_kept_for_it_and_not_the_weights() -> None:
    # Two layers of a thousand: the weights take 8 MB, and a row's activations 8 kB.
    class Wide:
        latent_dim, num_classes, image_shape = 4, 0, (1, 1, 1000)
        first, second = torch.ones(4, 1000), torch.ones(1000, 1000)

        def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:
            del condition
            hidden = torch.sigmoid(latent @ self.first)
            return torch.sigmoid(hidden @ self.second).view(-1, 1, 1, 1000)

        def to(self, device: torch.device) -> "Wide":
            del device
            return self

    # Each sigmoid keeps what it gives; the images are the second's.
    assert 8000 <= bytes_of_row(Wide(), CPU) <= 12_000 + 100


def test_all_rows_at_once_where_they_fit() -> None:
    generator = Wasteful()
    classical(LimitedGenerator(generator, RowLimit(15)), *subjects())
    assert set(generator.given) == {15}


@pytest.mark.parametrize("work", WORK)
def test_few_rows_that_are_differentiated_together_give_the_same_bits(work: Work) -> None:
    generator = in_fixed_rows(Wasteful(), 4)
    expected = work(LimitedGenerator(generator, RowLimit()), *subjects())
    few = LimitedGenerator(generator, RowLimit(quickest=6, filled=4))
    for name, value in work(few, *subjects()).items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    ("images", "points", "together"),
    [
        (32, 4, (8, 4)),
        (32, 75, (8, 75)),
        (5, 75, (5, 75)),
        (32, 6, (4, 6)),
        (32, 128, (1, 128)),
        (0, 4, (0, 4)),
    ],
)
def test_rows_that_are_differentiated_together_fill_whole_calls(
    images: int, points: int, together: tuple[int, int]
) -> None:
    limit = RowLimit(quickest=32, filled=8)
    assert limit.at_once(images, points) == together
    given: list[int] = []

    def compute(block: Block) -> tuple[Tensor, ...]:
        latent = torch.zeros(images, points, 1)[block]
        given.append(latent.shape[0] * latent.shape[1])
        return (latent,)

    limit.over(images, points, compute)
    assert sum(given) == images * points
    assert not any(rows % 8 for rows in given[:-1])


def test_memory_bounds_what_is_differentiated_together() -> None:
    limit = RowLimit(10, quickest=32, filled=8)
    assert limit.at_once(32, 4) == (2, 4)
    assert limit.at_once(32, 75) == (1, 10)
