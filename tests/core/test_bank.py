"""The bank that searches start from."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from offmanifold.core.bank import Bank, bank_size
from offmanifold.core.guided import estimate_guided
from offmanifold.core.likelihood import simulate
from offmanifold.core.modes import find_modes
from offmanifold.core.posterior import Posterior
from offmanifold.core.settings.guided import GuidedMethod
from torch import Tensor

from tests.core.lean import LEAN
from tests.core.waves import Waves

DOUBLE = torch.empty(0).double()
COLOURS = torch.linspace(0, 1, 7, dtype=torch.float64).view(-1, 1, 1, 1).expand(-1, 1, 1, 20)
SIZE = 9000


class Counted:
    """A decoder of several classes, each shifted, that counts the latents it is given."""

    def __init__(self, decoder: Any, classes: int) -> None:
        self._decoder = decoder
        self.num_classes = classes
        self.latent_dim = decoder.latent_dim
        self.image_shape = decoder.image_shape
        self.decoded = 0

    def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        self.decoded += len(latent)
        images: Tensor = self._decoder(latent, None)
        shift = 0.0 if condition is None else 0.1 * condition.to(images).view(-1, 1, 1, 1)
        return images + shift

    def to(self, _: torch.device) -> "Counted":
        return self


@pytest.fixture
def counted(curved_decoder: Callable[..., Any]) -> Callable[..., Counted]:
    def make(classes: int, pixels: int = 20) -> Counted:
        return Counted(curved_decoder(2, pixels, 1), classes)

    return make


def nearest(bank: Bank, images: Tensor, labels: Tensor | None, **changes: Any) -> Tensor:
    asked = {"size": SIZE, "widest": 4.0, "kept": 5, **changes}
    return bank.nearest(images, labels, 0.01, **asked)


def test_the_best_of_the_bank_come_first(counted: Callable[..., Counted]) -> None:
    generator = counted(0)
    posterior = Posterior(generator, COLOURS, None, 0.01)
    # All of a bank of three blocks is asked for: what is kept of fewer must be the best of it.
    whole = nearest(Bank(generator), COLOURS, None, kept=SIZE)
    found = posterior.value(nearest(Bank(generator), COLOURS, None))
    # An error of half precision, 2^-12 of numbers up to 4, in each of 20 pixels of up to 2 noises.
    tolerance = 20 * 2 * 4 * 2**-12 / 0.01
    best = posterior.value(whole).sort(dim=1).values[:, :5]
    torch.testing.assert_close(found, best, atol=tolerance, rtol=0)
    assert (found.diff(dim=1) > -tolerance).all()
    assert whole[0].unique(dim=0).shape == (SIZE, 2)
    # s is even from 1 to 4, so that s^2 has a mean of 7, in the first few latents already.
    assert abs(whole[0].square().mean() - 7) < 0.4
    few = nearest(Bank(generator), COLOURS, None, size=500, kept=500)
    assert abs(few[0].square().mean() - 7) < 1.2
    assert torch.isin(few[0], whole[0]).all()


def test_a_sketch_of_larger_images_ranks_them_almost_as_well(
    counted: Callable[..., Counted],
) -> None:
    generator = counted(0, 600)
    images = torch.linspace(0, 1, 7, dtype=torch.float64).view(-1, 1, 1, 1).expand(-1, 1, 1, 600)
    whole = nearest(Bank(generator), images, None, kept=SIZE)
    value = Posterior(generator, images, None, 0.01).value(whole)
    true = value.argsort(dim=1)[:, :20]
    assert all(torch.isin(best, torch.arange(80)).double().mean() > 0.9 for best in true)


def test_without_the_prior_the_nearest_images_are_found(counted: Callable[..., Counted]) -> None:
    generator = counted(0)
    found = nearest(Bank(generator), COLOURS, None, kept=1, prior=False)[:, 0]
    whole = nearest(Bank(generator), COLOURS[:1], None, kept=SIZE)[0]
    error = torch.cdist(COLOURS.flatten(1), generator(whole, None).flatten(1)).square()
    own = (generator(found, None) - COLOURS).square().flatten(1).sum(1)
    torch.testing.assert_close(own, error.amin(1), atol=20 * 2 * 4 * 2**-12 * 2, rtol=0)


def test_starts_depend_on_seed_and_class_and_on_no_other_image(
    counted: Callable[..., Counted],
) -> None:
    generator = counted(3)
    labels = torch.arange(7).remainder(3)
    together = nearest(Bank(generator), COLOURS, labels)
    for row in range(7):
        alone = nearest(Bank(generator), COLOURS[row : row + 1], labels[row : row + 1])
        torch.testing.assert_close(alone[0], together[row])
    first, one = nearest(Bank(generator), COLOURS[:1], torch.tensor([0])), COLOURS[:1]
    assert not torch.isin(nearest(Bank(generator), one, None), first).any()
    assert not torch.isin(nearest(Bank(generator), one, torch.tensor([1])), first).any()
    assert not torch.isin(nearest(Bank(generator, seed=1), one, torch.tensor([0])), first).any()


def test_a_bank_is_decoded_once_and_kept_in_bounded_memory(
    counted: Callable[..., Counted],
) -> None:
    generator = counted(3)
    labels = torch.arange(7).remainder(3)
    bank = Bank(generator)
    first = nearest(bank, COLOURS, labels)
    decoded = generator.decoded
    assert decoded == 3 * SIZE
    assert torch.equal(nearest(bank, COLOURS, labels), first)
    assert generator.decoded == decoded
    # Two classes fit, 20 coordinates of 2 bytes and two norms of 8 each: one is decoded again.
    bank = Bank(generator, most_bytes=2 * (SIZE * 56 + 8 * 20 * 20))
    for _ in range(2):
        assert torch.equal(nearest(bank, COLOURS, labels), first)
    assert generator.decoded == decoded + 4 * SIZE


def test_many_classes_share_a_million() -> None:
    assert bank_size(100_000, 0, 600) == 100_000
    assert bank_size(100_000, 10, 600) == 100_000
    assert bank_size(100_000, 1000, 600) == 1000
    assert bank_size(100_000, 10_000, 600) == 600
    assert bank_size(0, 10_000, 600) == 0


def test_images_that_are_not_finite_are_no_starts(counted: Callable[..., Counted]) -> None:
    class Broken(Counted):
        def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:
            images = super().__call__(latent, condition)
            return images.masked_fill((latent[:, :1] > 0).view(-1, 1, 1, 1), math.nan)

    generator = Broken(counted(0)._decoder, 0)
    assert (nearest(Bank(generator), COLOURS, None)[..., 0] <= 0).all()


def test_images_too_bright_for_half_precision_are_no_starts(
    counted: Callable[..., Counted],
) -> None:
    class Bright(Counted):
        def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:
            images = super().__call__(latent, condition)
            return images + 1e6 * (latent[:, :1] > 0).view(-1, 1, 1, 1)

    generator = Bright(counted(0)._decoder, 0)
    assert (nearest(Bank(generator), COLOURS, None)[..., 0] <= 0).all()


def test_a_bank_of_its_own_or_a_shared_one_gives_the_same_estimate(
    counted: Callable[..., Counted],
) -> None:
    generator = counted(0)
    bank = Bank(generator)
    settings = replace(LEAN, transitions=4, restarts=3, bank=SIZE, iterations=5)
    found = [
        estimate_guided(generator, COLOURS, None, 0.01, settings, range(7), bank=given)
        for given in (None, bank, bank)
    ]
    for estimate in found[1:]:
        assert torch.equal(estimate.log_likelihood, found[0].log_likelihood)


def test_too_small_a_bank_is_refused(counted: Callable[..., Counted]) -> None:
    with pytest.raises(ValueError, match="bank = 3 is too few for 4 restarts"):
        find_modes(counted(0), COLOURS, None, 0.01, replace(LEAN, restarts=4, bank=3), range(7))


def test_a_sphere_keeps_the_starts_on_it(spherical_decoder: Callable[..., Any]) -> None:
    decoder = spherical_decoder()
    images, _ = simulate(decoder, None, 0.005, range(6), like=DOUBLE)
    settings = replace(LEAN, restarts=8, bank=2000)
    modes = find_modes(decoder, images, None, 0.005, settings, range(6)).modes
    radius = math.sqrt(decoder.latent_dim - 1)
    torch.testing.assert_close(
        modes.latent.norm(dim=-1), torch.full_like(modes.latent[..., 0], radius)
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("deviation", [0.5, 1.0, 1.4])
def test_outliers_of_wavy_decoders_are_exact_at_a_twelfth_of_the_cost(
    deviation: float, seed: int
) -> None:
    decoder = Waves(deviation, seed)
    images = torch.linspace(0, 1, 64).double().view(-1, 1, 1, 1).expand(-1, 1, 1, 20).contiguous()
    exact = decoder.log_density(images, 0.01)
    alone = replace(LEAN, method=GuidedMethod(widest=5.0))
    for name, settings in {"alone": alone, "bank": replace(LEAN, restarts=8, bank=20_000)}.items():
        estimate = estimate_guided(decoder, images, None, 0.01, settings, range(64))
        error = estimate.log_likelihood - exact
        print(
            f"\nfrequencies {deviation}, decoder {seed}, {name}: mean {error.mean():+.2f}, worst "
            f"{error.abs().max():.1f} nats, {estimate.evaluations.max()} evaluations",
            end="",
        )
    assert abs(error.mean()) < 0.5
    assert error.abs().max() < 2
    assert estimate.evaluations.max() <= 19_964 / 11


@pytest.mark.parametrize("transitions", [2, 10, pytest.param(66, marks=pytest.mark.slow)])
def test_the_mean_weight_is_the_density_with_a_bank(
    two_moded_decoder: Callable[..., Any], transitions: int
) -> None:
    # The modes depend on the image and the bank, the chains' noise on neither.
    decoder, weights = two_moded_decoder(3), 100_000
    image, _ = simulate(decoder, None, 0.1, [3], like=DOUBLE)
    settings = replace(
        LEAN, transitions=transitions, chains=weights, restarts=4, bank=2000, iterations=20
    )
    estimate = estimate_guided(decoder, image, None, 0.1, settings, [7])
    weight = (estimate.chain_log_weights[0] - decoder.log_density(image, 0.1)).exp()
    error = weight.std() / math.sqrt(weights)
    assert error < 0.02
    assert abs(weight.mean() - 1) < 4 * error
