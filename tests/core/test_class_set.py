"""A set of generators, one a class, against one generator that has the classes itself."""

from collections.abc import Callable

import pytest
import torch
from offmanifold.core.curvature import StartVectors, gauss_newton
from offmanifold.core.generators.class_set import ClassSetGenerator
from offmanifold.core.generators.dense import DenseGenerator
from torch import Tensor

CLASSES = (1, 2, 4)
LATENT = 5


class Fixed:
    """A generator's class ``number`` as a generator of its own, which counts the rows it makes."""

    num_classes, latent_dim = 0, LATENT

    def __init__(self, whole: DenseGenerator, number: int, shape: tuple[int, int, int]) -> None:
        self._whole, self._number, self.image_shape = whole, number, shape
        self.rows: list[int] = []

    def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        assert condition is None
        self.rows.append(len(latent))
        same = torch.full((len(latent),), self._number)
        images: Tensor = self._whole(latent, same)
        return images

    def to(self, _: torch.device) -> "Fixed":
        return self


@pytest.fixture
def whole() -> DenseGenerator:
    torch.manual_seed(0)
    made = DenseGenerator(LATENT, 5, (1, 3, 4), width=16, depth=2)
    return made.eval().requires_grad_(False)


@pytest.fixture
def members(whole: DenseGenerator) -> dict[int, Fixed]:
    return {number: Fixed(whole, number, (1, 3, 4)) for number in CLASSES}


def mixed(count: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    classes = torch.tensor(CLASSES)[torch.randint(3, (count,), generator=random)]
    return torch.randn(count, LATENT, generator=random), classes


def test_each_row_is_made_once_by_the_generator_of_its_class(
    whole: DenseGenerator, members: dict[int, Fixed]
) -> None:
    made = ClassSetGenerator(members)
    assert (made.num_classes, made.latent_dim, made.image_shape) == (5, LATENT, (1, 3, 4))
    latent, condition = mixed(40)
    torch.testing.assert_close(made(latent, condition), whole(latent, condition))
    counts = condition.bincount().tolist()
    assert {number: each.rows for number, each in members.items()} == {
        number: [counts[number]] for number in CLASSES
    }
    one_class = torch.full((3,), 4)
    torch.testing.assert_close(made(latent[:3], one_class), whole(latent[:3], one_class))
    assert members[1].rows == [counts[1]]
    assert made.to(torch.device("cpu"))(latent[:1], one_class[:1]).shape == (1, 1, 3, 4)


def test_gradients_are_those_of_each_row(whole: DenseGenerator, members: dict[int, Fixed]) -> None:
    latent, condition = mixed(12)

    def gradient(generator: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        own = latent.clone().requires_grad_()
        return torch.autograd.grad(generator(own, condition).square().sum(), own)[0]

    torch.testing.assert_close(gradient(ClassSetGenerator(members)), gradient(whole))


@pytest.mark.parametrize("max_bytes", [10**9, 4 * 12 * (LATENT + 2)], ids=["many", "few at once"])
def test_curvature_of_mixed_classes(
    whole: DenseGenerator, members: dict[int, Fixed], max_bytes: int
) -> None:
    latent, condition = mixed(6)
    found = gauss_newton(
        ClassSetGenerator(members), latent, condition, 0.1, max_bytes, StartVectors()
    )
    expected = gauss_newton(whole, latent, condition, 0.1, max_bytes, StartVectors())
    torch.testing.assert_close(found.eigenvalue, expected.eigenvalue)


def test_curvature_by_subspace_iteration(whole: DenseGenerator, members: dict[int, Fixed]) -> None:
    latent, condition = mixed(4)
    found = gauss_newton(
        ClassSetGenerator(members), latent, condition, 0.1, 4 * 12 * 3, StartVectors()
    )
    expected = gauss_newton(whole, latent, condition, 0.1, 4 * 12 * 3, StartVectors())
    torch.testing.assert_close(found.eigenvalue, expected.eigenvalue)
    assert found.products == expected.products > LATENT


def test_what_it_cannot_do_is_said(whole: DenseGenerator, members: dict[int, Fixed]) -> None:
    made = ClassSetGenerator(members)
    latent, _ = mixed(2)
    with pytest.raises(IndexError, match="class 3 has no generator"):
        made(latent, torch.tensor([1, 3]))
    with pytest.raises(ValueError, match="needs a condition"):
        made(latent, None)
    with pytest.raises(ValueError, match="class 0 is class-conditional itself"):
        ClassSetGenerator({0: whole})
    with pytest.raises(ValueError, match="class 2 has another latent or shape"):
        ClassSetGenerator({1: members[1], 2: Fixed(whole, 2, (1, 4, 3))})
    with pytest.raises(ValueError, match="by class number"):
        ClassSetGenerator({})
