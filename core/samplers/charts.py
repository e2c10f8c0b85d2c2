"""Coordinates that annealed chains move in: the standard ones, or those that whiten a proposal."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor


@runtime_checkable
class Chart(Protocol):
    """Coordinates u for each chain, in which the density that it starts from is N(0, I).

    A chain's path is N(u; 0, I) (p(z) p(x|z) / q(z))^beta with z = z(u): q is the whole proposal,
    whatever part of it the chain started from.
    """

    def latent(
        self, position: Float[Tensor, "images chains latent"]
    ) -> Float[Tensor, "images chains latent"]:
        """The latents z at positions u."""
        ...

    def log_prior_ratio(
        self, latent: Float[Tensor, "images chains latent"]
    ) -> Float64[Tensor, "images chains"]:
        """The difference ln p(z) - ln q(z)."""
        ...

    def pull_back(
        self,
        latent: Float[Tensor, "images chains latent"],
        gradient: Float[Tensor, "images chains latent"],
    ) -> Float[Tensor, "images chains latent"]:
        """The gradient of ln p(x|z) + ln p(z) - ln q(z) in u, given that of ln p(x|z) in z."""
        ...

    def evaluate(
        self,
        latent: Float[Tensor, "images chains latent"],
        gradient: Float[Tensor, "images chains latent"],
    ) -> tuple[Float64[Tensor, "images chains"], Float[Tensor, "images chains latent"]]:
        """What `log_prior_ratio` and `pull_back` give."""
        ...

    def images(self, index: Int[Tensor, " some"]) -> "Chart":
        """The coordinates of some of the images, which may be named more than once."""
        ...


class StandardChart:
    """The latents themselves, with q = p(z): classical annealed importance sampling."""

    def latent(
        self, position: Float[Tensor, "images chains latent"]
    ) -> Float[Tensor, "images chains latent"]:
        """The positions."""
        return position

    def log_prior_ratio(
        self, latent: Float[Tensor, "images chains latent"]
    ) -> Float64[Tensor, "images chains"]:
        """Zeros."""
        return torch.zeros(latent.shape[:2], dtype=torch.float64, device=latent.device)

    def pull_back(
        self,
        latent: Float[Tensor, "images chains latent"],  # noqa: ARG002
        gradient: Float[Tensor, "images chains latent"],
    ) -> Float[Tensor, "images chains latent"]:
        """The gradient of ln p(x|z)."""
        return gradient

    def evaluate(
        self,
        latent: Float[Tensor, "images chains latent"],
        gradient: Float[Tensor, "images chains latent"],
    ) -> tuple[Float64[Tensor, "images chains"], Float[Tensor, "images chains latent"]]:
        """Zeros, and the gradient of ln p(x|z)."""
        return self.log_prior_ratio(latent), gradient

    def images(self, index: Int[Tensor, " some"]) -> "StandardChart":  # noqa: ARG002
        """The same for any images."""
        return self
