"""Decoders with known densities, following the generator protocol."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest
import torch
from torch import Tensor


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the fast tests of this folder ``shapes``: they run with all calls checked."""
    for item in items:
        fast = item.get_closest_marker("slow") is None
        if fast and item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("shapes")


class LinearDecoder:
    """G(z) = 1/2 + W z: x is Gaussian, so every density and projection has a closed form.

    W has independent entries with a mean pixel variance of ``pixel_variance``. Counts its calls.
    """

    num_classes = 0

    def __init__(
        self,
        latent_dim: int,
        dimensions: int,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        pixel_variance: float = 0.1,
    ) -> None:
        random = torch.Generator().manual_seed(seed)
        scale = math.sqrt(pixel_variance / latent_dim)
        self.weight = scale * torch.randn(
            dimensions, latent_dim, generator=random, dtype=torch.float64
        )
        self.latent_dim = latent_dim
        self.image_shape = (1, 1, dimensions)
        self.dtype = dtype
        self.calls = 0
        self._used_weight = self.weight.to(dtype)

    def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:  # noqa: ARG002
        self.calls += 1
        return (0.5 + latent @ self._used_weight.T).view(-1, *self.image_shape)

    def to(self, device: torch.device) -> Self:  # noqa: ARG002
        return self

    def log_density(self, images: Tensor, variance: float) -> Tensor:
        """Exact ln p(x) for x = G(z) + N(0, variance), by the matrix inversion lemma."""
        centred = images.double().flatten(1) - 0.5
        precision = self.weight.T @ self.weight / variance + torch.eye(
            self.latent_dim, dtype=torch.float64
        )
        projected = centred @ self.weight / variance
        explained = (projected * torch.linalg.solve(precision, projected.T).T).sum(1)
        quadratic = centred.square().sum(1) / variance - explained
        dimensions = centred.shape[1]
        log_determinant = dimensions * math.log(2 * math.pi * variance) + torch.logdet(precision)
        return -0.5 * (quadratic + log_determinant)


class CurvedDecoder:
    """A smooth curved map from 1 or 2 latent dimensions; its density is a quadrature away."""

    num_classes = 0

    def __init__(self, latent_dim: int, dimensions: int, seed: int = 0) -> None:
        random = torch.Generator().manual_seed(seed)
        self.frequency = 0.8 * torch.randn(
            dimensions, latent_dim, generator=random, dtype=torch.float64
        )
        self.phase = 2 * math.pi * torch.rand(dimensions, generator=random, dtype=torch.float64)
        self.latent_dim = latent_dim
        self.image_shape = (1, 1, dimensions)
        self.dtype = torch.float64

    def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:  # noqa: ARG002
        angle = latent @ self.frequency.T + self.phase
        return (0.5 + 0.4 * torch.sin(angle)).view(-1, *self.image_shape)

    def to(self, device: torch.device) -> Self:  # noqa: ARG002
        return self

    def log_density(self, images: Tensor, variance: float, half_width: float = 7.0) -> Tensor:
        """ln p(x) by the trapezoidal rule, which converges geometrically for a smooth integrand."""
        axis = torch.linspace(-half_width, half_width, 701, dtype=torch.float64)
        grid = torch.cartesian_prod(*[axis] * self.latent_dim).view(-1, self.latent_dim)
        decoded = self(grid, None).flatten(1)
        cell = (axis[1] - axis[0]).log() * self.latent_dim
        constant = 0.5 * self.latent_dim * math.log(2 * math.pi) + 0.5 * decoded.shape[
            1
        ] * math.log(2 * math.pi * variance)
        squared_error = torch.stack(
            [(decoded - image).square().sum(1) for image in images.double().flatten(1)]
        )
        exponent = -0.5 * grid.square().sum(1) - squared_error / (2 * variance)
        return exponent.logsumexp(1) + cell - constant


class SaturatingDecoder(CurvedDecoder):
    """A perceptron with one hidden layer: curved, several modes, none of them at infinity."""

    def __init__(self, latent_dim: int, dimensions: int, seed: int = 0) -> None:
        super().__init__(latent_dim, dimensions)
        random = torch.Generator().manual_seed(seed)

        def normals(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=random, dtype=torch.float64)

        self.first = 2 * normals(32, latent_dim) / math.sqrt(latent_dim)
        self.bias = normals(32)
        self.second = 2 * normals(dimensions, 32) / math.sqrt(32)

    def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:  # noqa: ARG002
        hidden = torch.tanh(latent @ self.first.T + self.bias)
        return (hidden @ self.second.T).sigmoid().view(-1, *self.image_shape)


class TwoModedDecoder:
    """G(z) = (z^2, z^2 / 2, ...) in one latent dimension: every posterior has two equal modes."""

    num_classes = 0
    latent_dim = 1
    log_density = CurvedDecoder.log_density

    def __init__(self, dimensions: int) -> None:
        self.image_shape = (1, 1, dimensions)
        self.slope = 1 / torch.arange(1, dimensions + 1, dtype=torch.float64)

    def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:  # noqa: ARG002
        return (latent.square() * self.slope).view(-1, *self.image_shape)

    def to(self, device: torch.device) -> Self:  # noqa: ARG002
        return self


class SphericalDecoder:
    """Normalises its latent, as StyleGAN does: the density is flat along the radius."""

    num_classes = 0
    latent_dim = 2
    image_shape = (1, 1, 8)

    def __init__(self) -> None:
        random = torch.Generator().manual_seed(2)
        self.weight = 0.2 * torch.randn(8, 2, generator=random, dtype=torch.float64)

    def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:  # noqa: ARG002
        direction = latent / latent.norm(dim=-1, keepdim=True)
        return (0.5 + direction @ self.weight.T).view(-1, *self.image_shape)

    def to(self, device: torch.device) -> Self:  # noqa: ARG002
        return self

    def log_density(self, images: Tensor, variance: float) -> Tensor:
        angle = torch.arange(4096, dtype=torch.float64) * 2 * math.pi / 4096
        decoded = self(torch.stack([angle.cos(), angle.sin()], 1), None).flatten(1)
        error = torch.cdist(images.flatten(1), decoded).square() / (2 * variance)
        constant = math.log(4096) + 4 * math.log(2 * math.pi * variance)
        return (-error).logsumexp(1) - constant


class ValleyDecoder:
    """G(z) = (a z_0, s (z_1 - c z_0^2), s (z_2 - c z_0^2), ...): a posterior bent like a valley.

    The first latent is hardly determined and bends all others: given z_0 the image is Gaussian, so
    its density is a quadrature over z_0.
    """

    num_classes = 0

    def __init__(self, latent_dim: int) -> None:
        self.latent_dim = latent_dim
        self.image_shape = (1, 1, latent_dim)
        self.slope, self.scale, self.bend = 0.005, 0.5, 0.1

    def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:  # noqa: ARG002
        first = latent[:, :1]
        others = self.scale * (latent[:, 1:] - self.bend * first.square())
        return torch.cat([self.slope * first, others], 1).view(-1, *self.image_shape)

    def to(self, device: torch.device) -> Self:  # noqa: ARG002
        return self

    def log_density(self, images: Tensor, variance: float) -> Tensor:
        """ln p(x) by quadrature over z_0 in [-9, 9]."""
        pixels = images.double().flatten(1)[:, None]
        first = torch.linspace(-9, 9, 20_001, dtype=torch.float64)[:, None]
        bottom = -self.scale * self.bend * first.square()
        others = torch.distributions.Normal(bottom, math.sqrt(self.scale**2 + variance))
        own = torch.distributions.Normal(self.slope * first, math.sqrt(variance))
        prior = torch.distributions.Normal(0.0, 1.0).log_prob(first)
        joint = prior + own.log_prob(pixels[..., :1])
        joint = joint[..., 0] + others.log_prob(pixels[..., 1:]).sum(-1)
        return joint.logsumexp(1) + math.log(18 / 20_000)


class ConditionalDecoder:
    """A linear decoder for each class."""

    def __init__(self, decoders: list[LinearDecoder]) -> None:
        self.decoders = decoders
        self.num_classes = len(decoders)
        self.latent_dim = decoders[0].latent_dim
        self.image_shape = decoders[0].image_shape

    def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        assert condition is not None
        every = torch.stack([decoder(latent, None) for decoder in self.decoders])
        return every[condition, torch.arange(len(latent))]

    def to(self, device: torch.device) -> Self:  # noqa: ARG002
        return self


@pytest.fixture
def linear_decoder() -> Callable[..., LinearDecoder]:
    return LinearDecoder


@pytest.fixture
def curved_decoder() -> Callable[..., CurvedDecoder]:
    return CurvedDecoder


@pytest.fixture
def saturating_decoder() -> Callable[..., SaturatingDecoder]:
    return SaturatingDecoder


@pytest.fixture
def spherical_decoder() -> Callable[..., SphericalDecoder]:
    return SphericalDecoder


@pytest.fixture
def two_moded_decoder() -> Callable[..., TwoModedDecoder]:
    return TwoModedDecoder


@pytest.fixture
def valley_decoder() -> Callable[..., ValleyDecoder]:
    return ValleyDecoder


@pytest.fixture
def conditional_decoder() -> Callable[..., ConditionalDecoder]:
    return ConditionalDecoder
