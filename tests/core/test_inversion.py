"""Inversion against a closed form, a slow reference, and its own record."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import lpips
import numpy as np
import pytest
import torch
from offmanifold.core.inversion import invert, mean_squared_error
from offmanifold.core.likelihood import simulate
from offmanifold.core.perceptual import LpipsDistance
from offmanifold.core.settings.inversion import InversionSettings
from offmanifold.workers.generators import open_generator
from scipy import stats
from torch import Tensor

DOUBLE = torch.empty(0).double()


def test_recovers_a_linear_decoders_projection(linear_decoder: Callable[..., Any]) -> None:
    decoder = linear_decoder(4, 12)
    images, _ = simulate(decoder, None, 0.05, range(5), like=DOUBLE)
    settings = InversionSettings(bank=200, restarts=4, finalists=2)
    found = invert(decoder, images, None, settings, range(5))
    centred = images.flatten(1).T - 0.5
    projection = torch.linalg.lstsq(decoder.weight, centred).solution
    residual = (centred - decoder.weight @ projection).square().mean(0)
    torch.testing.assert_close(found.mse, residual, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.latent, projection.T, rtol=0, atol=1e-2)
    assert found.restart_distance.shape == (5, 2)
    assert found.mse.dtype == found.distance.dtype == torch.float64


def naive_inversion(decoder: Any, image: Tensor, seed: int, settings: InversionSettings) -> float:
    """One image at a time, random starts, the best of the restarts' last iterates."""
    random = torch.Generator().manual_seed(seed)
    errors = []
    for _ in range(settings.restarts):
        latent = torch.randn(1, decoder.latent_dim, generator=random, dtype=image.dtype)
        latent.requires_grad_()
        optimiser = torch.optim.Adam([latent], lr=settings.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.iterations)
        for _ in range(settings.iterations):
            optimiser.zero_grad()
            (decoder(latent, None) - image).square().mean().backward()
            optimiser.step()
            schedule.step()
        errors.append((decoder(latent, None) - image).square().mean().item())
    return min(errors)


def test_is_no_worse_than_a_naive_loop(curved_decoder: Callable[..., Any]) -> None:
    # Many turns of a sine: local minima everywhere, so the starting points matter.
    decoder = curved_decoder(2, 12)
    decoder.frequency *= 4
    images, _ = simulate(decoder, None, 0.001, range(8), like=DOUBLE)
    settings = InversionSettings(bank=2000, restarts=4, iterations=60)
    found = invert(decoder, images, None, settings, range(8))
    naive = [naive_inversion(decoder, image[None], 3, settings) for image in images]
    assert (found.mse <= 1.01 * torch.tensor(naive)).all()
    assert found.mse.mean() < 0.5 * sum(naive) / len(naive)


def test_the_length_of_latents_is_told_before_noise_fills_the_valleys() -> None:
    """Images from latents a third too long have longer ones than the model's own, by 40 of each."""
    generator = open_generator("shipped:digits").generator
    count, classes = 40, torch.arange(40) % 10
    random = torch.Generator().manual_seed(0)

    def lengths(scale: float) -> tuple[np.ndarray, np.ndarray]:
        latent = scale * torch.randn(count, generator.latent_dim, generator=random)
        with torch.no_grad():
            images = generator(latent, classes)
        images = images + math.sqrt(0.005) * torch.randn(images.shape, generator=random)
        settings = InversionSettings(restarts=8, bank=1000, iterations=60, final_iterations=60)
        found = invert(generator, images, classes, settings, range(count))
        each = (found.descended, found.latent)
        told, ended = (latent.square().mean(1).double().numpy() for latent in each)
        return told, ended

    (own, own_ended), (longer, _) = lengths(1.0), lengths(1.33)
    assert 0.5 < own.mean() < 2
    # The nearest points themselves lie far out, where only noise tells latents apart.
    assert own_ended.mean() > 4
    assert stats.mannwhitneyu(longer, own, alternative="greater").pvalue < 0.01


def test_keeps_the_best_iterate(curved_decoder: Callable[..., Any]) -> None:
    decoder = curved_decoder(2, 6)
    images, _ = simulate(decoder, None, 0.001, range(3), like=DOUBLE)
    seen: list[Tensor] = []

    def recorded(a: Tensor, b: Tensor) -> Tensor:
        # An oscillating offset makes some iterates look best for no reason of their position.
        distances = mean_squared_error(a, b) + 0.05 * (1 + math.cos(1.7 * len(seen)))
        seen.append(distances.detach())
        return distances

    settings = InversionSettings(
        bank=0, iterations=40, restarts=2, candidates=5, final_iterations=0, learning_rate=2.0
    )
    found = invert(decoder, images, None, settings, range(3), distance=recorded)
    history = torch.stack(seen)
    assert len(history) == 41
    best = history.amin(0).view(3, 2).sort(dim=1).values
    assert torch.equal(found.restart_distance, best)
    assert torch.equal(found.distance, found.restart_distance.amin(1))
    assert (history[-1] > history.amin(0)).any()
    recomputed = mean_squared_error(decoder(found.latent, None), images)
    torch.testing.assert_close(found.mse, recomputed)


def test_restarts_begin_at_the_nearest_candidate(linear_decoder: Callable[..., Any]) -> None:
    # Without iterations the result is the start: of one candidate, or the best of many.
    decoder = linear_decoder(3, 6)
    images, _ = simulate(decoder, None, 0.01, range(6), like=DOUBLE)
    errors = [
        invert(
            decoder,
            images,
            None,
            InversionSettings(
                bank=0, iterations=0, restarts=3, candidates=count, final_iterations=0, polish=0
            ),
            range(6),
        ).restart_distance
        for count in (1, 400)
    ]
    assert (errors[1].amax(1) < errors[0].mean(1)).all()
    assert (errors[1].std(1) > 0).all()


def test_a_candidate_without_an_image_is_never_the_nearest(
    linear_decoder: Callable[..., Any],
) -> None:
    decoder = linear_decoder(3, 6)
    images, _ = simulate(decoder, None, 0.01, range(6), like=DOUBLE)

    class Half:
        """Of half of all latents it makes what is no number."""

        latent_dim, num_classes, image_shape = 3, 0, decoder.image_shape

        def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:
            made: Tensor = decoder(latent, condition)
            return torch.where((latent[:, :1] < 0).view(-1, 1, 1, 1), math.nan, made)

        def to(self, _: torch.device) -> "Half":
            return self

    settings = InversionSettings(
        bank=0, iterations=0, restarts=3, candidates=50, final_iterations=0, polish=0
    )
    found = invert(Half(), images, None, settings, range(6))
    assert (found.restart_latent[..., 0] >= 0).all()
    assert found.restart_distance.isfinite().all()


def test_an_image_does_not_depend_on_its_batch(
    linear_decoder: Callable[..., Any], conditional_decoder: Callable[..., Any]
) -> None:
    decoder = conditional_decoder([linear_decoder(3, 6, seed=seed) for seed in range(3)])
    condition = torch.tensor([2, 0, 1, 1])
    seeds = [9, 4, 2**62, 1]
    images, _ = simulate(decoder, condition, 0.05, seeds, like=DOUBLE)
    images[2, 0, 0, 0] = math.nan
    settings = InversionSettings(bank=200, iterations=50, restarts=3, final_iterations=20, polish=2)
    together = invert(decoder, images, condition, settings, seeds)
    for row in (0, 1, 3):
        alone = invert(decoder, images[[row]], condition[[row]], settings, [seeds[row]])
        torch.testing.assert_close(alone.latent[0], together.latent[row], rtol=0, atol=1e-7)
        torch.testing.assert_close(
            alone.restart_distance[0], together.restart_distance[row], rtol=1e-9, atol=0
        )
    assert torch.isinf(together.distance[2])


@pytest.fixture(scope="module")
def perceptual() -> LpipsDistance:
    torch.manual_seed(0)
    # The published heads on a random backbone: the published backbone is a download.
    return LpipsDistance(lpips.LPIPS(net="alex", pnet_rand=True, verbose=False))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (3, 40, 33)])
def test_lpips_takes_small_grey_and_colour_images(
    perceptual: LpipsDistance, shape: tuple[int, int, int]
) -> None:
    torch.manual_seed(1)
    a, b = torch.rand(3, *shape), torch.rand(3, *shape)
    distances = perceptual(a, b)
    assert distances.shape == (3,)
    assert (distances > 0).all()
    assert torch.equal(perceptual(a, a), torch.zeros(3))
    torch.testing.assert_close(perceptual(a[1:2], b[1:2])[0], distances[1])


def test_lpips_of_a_grey_image_is_that_of_its_colour_copy(perceptual: LpipsDistance) -> None:
    torch.manual_seed(1)
    a, b = torch.rand(2, 1, 32, 32), torch.rand(2, 1, 32, 32)
    colour = [images.expand(-1, 3, -1, -1) for images in (a, b)]
    torch.testing.assert_close(perceptual(a, b), perceptual(*colour))
    expected = perceptual._backbone(*colour, normalize=True).flatten()
    torch.testing.assert_close(perceptual(a, b), expected)


def test_lpips_refuses_other_channel_counts(perceptual: LpipsDistance) -> None:
    with pytest.raises(ValueError, match="2 channels"):
        perceptual(torch.rand(1, 2, 32, 32), torch.rand(1, 2, 32, 32))


def test_inversion_minimises_lpips_and_reports_mse(perceptual: LpipsDistance) -> None:
    class Blend:
        """Two random images mixed by the latent: the first half of the images is recoverable."""

        latent_dim, num_classes, image_shape = 2, 0, (1, 16, 16)

        def __init__(self) -> None:
            torch.manual_seed(2)
            self._basis = torch.randn(2, 256)

        def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:  # noqa: ARG002
            return torch.sigmoid(latent @ self._basis).view(-1, *self.image_shape)

        def to(self, device: torch.device) -> "Blend":  # noqa: ARG002
            return self

    decoder = Blend()
    images = decoder(torch.tensor([[0.5, -1.0], [1.0, 0.3]]), None)
    settings = InversionSettings(bank=200, iterations=30, restarts=2, final_iterations=30)
    start_alone = replace(settings, iterations=0, final_iterations=0)
    start = invert(decoder, images, None, start_alone, range(2), distance=perceptual)
    found = invert(decoder, images, None, settings, range(2), distance=perceptual)
    assert (found.distance < 0.5 * start.distance).all()
    recomputed = mean_squared_error(decoder(found.latent, None), images)
    torch.testing.assert_close(found.mse, recomputed.double(), rtol=1e-5, atol=1e-12)
