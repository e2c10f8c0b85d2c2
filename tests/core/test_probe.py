"""The probe, a second search of another law."""

from dataclasses import replace

import torch
from offmanifold.core.bank import Bank
from offmanifold.core.calls import evaluations
from offmanifold.core.guided import estimate_guided
from offmanifold.core.modes import search_evaluations
from offmanifold.core.probe import probe_calls
from torch import Tensor

from tests.core.lean import LEAN
from tests.core.waves import Waves


def colours(count: int, least: float = 0.0) -> Tensor:
    value = torch.linspace(least, 1 - least, count, dtype=torch.float64)
    return value.view(-1, 1, 1, 1).expand(-1, 1, 1, 20)


def test_a_probe_finds_what_the_first_search_missed() -> None:
    decoder = Waves(1.4, 0)
    images = colours(12, 0.2)
    settings = replace(LEAN, transitions=4, restarts=1, candidates=4, iterations=30)
    alone, probed = (
        estimate_guided(decoder, images, None, 0.01, settings, range(12), probe=probe)
        for probe in (None, Bank(decoder, 1))
    )
    found = probed.probe_gain >= 0.5
    assert found.any()
    assert not found.all()
    assert (probed.probe_gain >= 0).all()
    # The gain is of evidence: the estimate follows it, as far as so few chains can.
    gained = (probed.log_likelihood - alone.log_likelihood)[probed.probe_gain > 20]
    assert (gained > 10).all()
    assert (probed.restarts == alone.restarts + 96).all()
    further = evaluations(probe_calls(settings, 2))
    assert (probed.evaluations - alone.evaluations == further).all()
    assert alone.probe_gain.isnan().all()
    # Where the bank's search found the best mode, the probe adds nothing.
    banked = replace(LEAN, transitions=4, restarts=8, bank=20_000)
    other = Bank(decoder, 1)
    settled = estimate_guided(decoder, images, None, 0.01, banked, range(12), probe=other)
    assert (settled.probe_gain < 0.5).all()


def test_a_probe_of_a_tolerant_estimate_is_searched_no_second_time() -> None:
    settings = replace(LEAN, transitions=4, restarts=2, iterations=5, tolerance=100.0)
    decoder = Waves(0.5, 0)
    estimate = estimate_guided(
        decoder, colours(1), None, 0.01, settings, range(1), probe=Bank(decoder, 1)
    )
    assert estimate.settled.all()
    assert (estimate.restarts == 2 + 96 + 2).all()
    gradients = [4 * (3 * (transitions - 1) + 1) for transitions in (4, 8, 8)]
    searches = 2 * search_evaluations(settings, 0, 2) + evaluations(probe_calls(settings, 2))
    expected = searches + sum(gradients)
    assert (estimate.evaluations == expected).all()


def test_where_latents_are_many_the_probe_sees_that_estimates_are_low() -> None:
    # With 8 latents and so lean a search nearly every estimate is nats low (docs/guided-ais.md),
    # and restarts of the first law or wider ones find next to none of what it missed.
    decoder, images = Waves(1.0, 0, 8), colours(8)
    settings = replace(LEAN, transitions=20, restarts=8, bank=5000)
    alone, probed = (
        estimate_guided(decoder, images, None, 0.01, settings, range(8), probe=probe)
        for probe in (None, Bank(decoder, 1))
    )
    low = probed.log_likelihood - alone.log_likelihood > 2
    assert low.sum() >= 5
    assert (probed.probe_gain[low] >= 0.5).all()


def test_a_probe_depends_on_no_other_image_of_the_batch() -> None:
    decoder, images = Waves(0.5, 0, 4), colours(4)
    settings = replace(LEAN, transitions=4, restarts=2, iterations=20, bank=800)
    whole = estimate_guided(decoder, images, None, 0.01, settings, range(4), probe=Bank(decoder, 1))
    last = estimate_guided(decoder, images[3:], None, 0.01, settings, [3], probe=Bank(decoder, 1))
    torch.testing.assert_close(whole.probe_gain[3:], last.probe_gain)
    torch.testing.assert_close(whole.log_likelihood[3:], last.log_likelihood)


def test_a_small_bank_has_room_for_a_probe() -> None:
    # An audit asks for 8 latents a restart at the least: here so few that 48 starts find no room.
    decoder, images = Waves(0.5, 0), colours(2)
    settings = replace(LEAN, transitions=4, restarts=2, iterations=5, bank=16)
    found = estimate_guided(decoder, images, None, 0.01, settings, [0, 1], probe=Bank(decoder, 1))
    assert (found.restarts == 2 + 96).all()
    assert found.probe_gain.isfinite().all()
