"""Adversarial training of a class-conditional generator on tensors.

Non-saturating loss (Goodfellow et al. 2014) with the R1 gradient penalty on real images (Mescheder
et al. 2018, eq. 9) taken lazily every few steps (Karras et al. 2020), and an exponential moving
average of the generator's weights, which is the model that is kept.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad, softplus


@dataclass(frozen=True)
class AdversarialSettings:
    """One training run's settings; both learning rates fall linearly to 0 over the last half.

    ``translation`` shifts the discriminator's images, real and generated, by up to that many
    pixels, half of the time: a small data set is then harder to memorise (Zhao et al. 2020).
    """

    steps: int
    batch_size: int
    generator_learning_rate: float
    discriminator_learning_rate: float
    r1_weight: float
    r1_interval: int
    ema_decay: float
    translation: int


@dataclass(frozen=True)
class Losses:
    """The losses of one step, counted from 1."""

    step: int
    generator_loss: float
    discriminator_loss: float


class AdversarialTraining:
    """Trains ``generator`` against ``discriminator``; ``average`` is the generator to keep."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        latent_dim: int,
        settings: AdversarialSettings,
        random: torch.Generator,
    ) -> None:
        self.average = copy.deepcopy(generator).requires_grad_(False)
        self._generator = generator
        self._discriminator = discriminator
        self._latent_dim = latent_dim
        self._settings = settings
        self._random = random
        # No momentum: the two players' gradients turn (as in Karras et al. 2018, appendix A).
        betas = (0.0, 0.99)
        self._generator_optimizer = torch.optim.Adam(
            generator.parameters(), lr=settings.generator_learning_rate, betas=betas
        )
        self._discriminator_optimizer = torch.optim.Adam(
            discriminator.parameters(), lr=settings.discriminator_learning_rate, betas=betas
        )

    def run(
        self, images: Float[Tensor, "n channels height width"], labels: Int[Tensor, " n"]
    ) -> Iterator[Losses]:
        """Trains for the planned steps, yielding the losses after each one."""
        schedules = [
            torch.optim.lr_scheduler.LambdaLR(optimizer, self._learning_rate_factor)
            for optimizer in (self._generator_optimizer, self._discriminator_optimizer)
        ]
        for step in range(1, self._settings.steps + 1):
            rows = torch.randint(len(images), (self._settings.batch_size,), generator=self._random)
            rows = rows[labels[rows].argsort(stable=True)]
            real, condition = images[rows], labels[rows]
            if (step - 1) % self._settings.r1_interval == 0:
                self._penalise(real, condition)
            discriminator_loss = self._improve_discriminator(real, condition)
            generator_loss = self._improve_generator(condition)
            self._update_average(step)
            for schedule in schedules:
                schedule.step()
            yield Losses(step, generator_loss, discriminator_loss)

    def _learning_rate_factor(self, step: int) -> float:
        return min(1.0, 2.0 * (1.0 - step / self._settings.steps))

    def _generate(self, condition: Int[Tensor, " batch"]) -> Tensor:
        latent = torch.randn(len(condition), self._latent_dim, generator=self._random)
        generated: Tensor = self._generator(latent, condition)
        return generated

    def _score(self, images: Tensor, condition: Int[Tensor, " batch"]) -> Tensor:
        shifted = translate(images, self._settings.translation, self._random)
        score: Tensor = self._discriminator(shifted, condition)
        return score

    def _penalise(self, real: Tensor, condition: Int[Tensor, " batch"]) -> None:
        """One discriminator step on R1 alone, scaled for the steps that go without it."""
        real = real.clone().requires_grad_(True)
        score = self._score(real, condition).sum()
        (gradient,) = torch.autograd.grad(score, real, create_graph=True)
        penalty = gradient.square().sum(dim=(1, 2, 3)).mean()
        scale = 0.5 * self._settings.r1_weight * self._settings.r1_interval
        self._discriminator_optimizer.zero_grad(set_to_none=True)
        (scale * penalty).backward()
        self._discriminator_optimizer.step()

    def _improve_discriminator(self, real: Tensor, condition: Int[Tensor, " batch"]) -> float:
        with torch.no_grad():
            generated = self._generate(condition)
        loss = (
            softplus(-self._score(real, condition)).mean()
            + softplus(self._score(generated, condition)).mean()
        )
        self._discriminator_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._discriminator_optimizer.step()
        return float(loss.detach())

    def _improve_generator(self, condition: Int[Tensor, " batch"]) -> float:
        self._discriminator.requires_grad_(False)
        loss = softplus(-self._score(self._generate(condition), condition)).mean()
        self._generator_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._generator_optimizer.step()
        self._discriminator.requires_grad_(True)
        return float(loss.detach())

    @torch.no_grad()
    def _update_average(self, step: int) -> None:
        # A short memory at first, or the untrained weights would linger in the average.
        decay = min(self._settings.ema_decay, (1 + step) / (10 + step))
        for kept, current in zip(
            self.average.parameters(), self._generator.parameters(), strict=True
        ):
            kept.lerp_(current, 1.0 - decay)


def translate(
    images: Float[Tensor, "batch channels height width"],
    distance: int,
    random: torch.Generator,
) -> Float[Tensor, "batch channels height width"]:
    """Shifts each image, half of the time, by up to ``distance`` pixels; black comes in."""
    if distance == 0:
        return images
    batch, _, height, width = images.shape
    offset = torch.randint(-distance, distance + 1, (2, batch), generator=random)
    offset = offset * (torch.rand(batch, generator=random) < 0.5)
    padded = pad(images, (distance,) * 4)
    rows = torch.arange(height)[None, :] + offset[0, :, None] + distance
    columns = torch.arange(width)[None, :] + offset[1, :, None] + distance
    picked = torch.arange(batch)[:, None, None]
    shifted: Tensor = padded.permute(0, 2, 3, 1)[picked, rows[:, :, None], columns[:, None, :]]
    return shifted.permute(0, 3, 1, 2)
