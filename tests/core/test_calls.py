"""Calls of a generator as they are foreseen, against those that are made."""

import torch
from offmanifold.core.bank import Bank
from offmanifold.core.calls import Kind, evaluations
from offmanifold.core.curvature import (
    StartVectors,
    gauss_newton,
    jacobian_bytes,
    jacobian_products,
)
from offmanifold.core.generators.protocol import Generator
from offmanifold.core.inversion import inversion_calls, invert
from offmanifold.core.settings.inversion import InversionSettings
from torch import Tensor

from .conftest import LinearDecoder

SETTINGS = InversionSettings(
    restarts=3, bank=24, iterations=4, finalists=2, final_iterations=5, polish=0
)
# Of fewer, more latents than images are asked whether a generator normalises them.
IMAGES = 8


class Counting:
    """Counts the rows of calls that are to be differentiated, and of others."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self.latent_dim, self.num_classes = generator.latent_dim, generator.num_classes
        self.image_shape = generator.image_shape
        self.differentiated = self.others = 0

    def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        if latent.requires_grad and torch.is_grad_enabled():
            self.differentiated += len(latent)
        else:
            self.others += len(latent)
        return self._generator(latent, condition)

    def to(self, device: torch.device) -> "Counting":
        return Counting(self._generator.to(device))


def test_an_inversions_calls_are_foreseen_by_kind() -> None:
    decoder = LinearDecoder(4, 20, dtype=torch.float32)
    counting, images = Counting(decoder), torch.rand(IMAGES, *decoder.image_shape)
    # The bank's decoding is all images' together, and no image's.
    found = invert(counting, images, None, SETTINGS, range(IMAGES), bank=Bank(decoder))
    calls = inversion_calls(SETTINGS, decoder.latent_dim, polished=True)
    assert found.evaluations == evaluations(calls)
    rows = {
        kind: sum(each.times * each.rows for each in calls if each.kind == kind) for kind in Kind
    }
    # Where a descent ends no gradient is taken, though the call is made as if.
    ends = SETTINGS.restarts + SETTINGS.finalists
    assert counting.differentiated == IMAGES * (rows[Kind.DESCENT] + ends)
    assert counting.others == IMAGES * (rows[Kind.IMAGES] - ends)
    assert rows[Kind.CHAIN] == rows[Kind.JACOBIAN] == 0


def test_the_products_of_a_jacobian_are_foreseen() -> None:
    decoder = LinearDecoder(16, 20, dtype=torch.float32)
    latent = torch.randn(2, decoder.latent_dim)
    # Whole, and where the derivatives of a few directions fit.
    for max_bytes in (2**20, 4 * 20 * 12):
        found = gauss_newton(decoder, latent, None, 0.1, max_bytes, StartVectors())
        assert found.products == jacobian_products(decoder.latent_dim, 20, max_bytes)


def test_a_jacobians_memory_is_of_its_columns_and_of_the_rows_at_once_within_the_bounds() -> None:
    # Of 4 points of 5 latents and 6 pixels: the columns twice, and 20 rows of eight layers.
    limits = {"rows": 1000, "block": 1}
    assert jacobian_bytes(5, 6, 4, 2**20, **limits) == 4 * 6 * (2 * 4 * 5 + 8 * 4 * 5)
    few = jacobian_bytes(5, 6, 4, 2**20, rows=4, block=1)
    assert few == 4 * 6 * (2 * 4 * 5 + 8 * 4)
    for latent, max_bytes in ((5, 2**10), (300, 2**16), (3000, 2**16)):
        most = jacobian_bytes(latent, 6, 10**6, max_bytes, **limits)
        # Columns twice, layers once or of a single direction at as many points as fit.
        assert most <= 4 * max_bytes
