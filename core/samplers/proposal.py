"""The proposal of guided annealed importance sampling: Gaussians at the posterior's modes."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor


@dataclass(frozen=True)
class MixtureProposal:
    """A normalised mixture q(z) = sum_k w_k N(z; m_k, A_k^2) for each image.

    The last component is the prior. The others stand at modes, with one or several widths: that of
    number k at mode k modulo their number, so that all of one width come first. They share their
    mode's ``mean`` m and orthonormal ``directions``, the columns of V: A_k = I + V diag(scale_k -
    1) V^T is the symmetric square root of a component's covariance, with ``scale`` along the
    directions and 1, the prior's, elsewhere. A mode that an image does not have (log weights of
    -inf) has V = 0 and scales of 1, as the prior has. ``stiffness`` is the highest frequency that
    the posterior may have at a component in the whitened coordinates, in which the component's own
    is 1: between the two, a chain's step size is to shrink with the path's.
    """

    log_weight: Float64[Tensor, "images components"]
    mean: Float[Tensor, "images modes latent"]
    directions: Float[Tensor, "images modes latent rank"]
    scale: Float[Tensor, "images components rank"]
    stiffness: Float64[Tensor, "images components"]

    @property
    def prior(self) -> int:
        """The prior's number among the components."""
        return self.log_weight.shape[1] - 1

    def mode(self, component: Int[Tensor, "images chains"]) -> Int[Tensor, "images chains"]:
        """The modes that components stand at; any for the prior."""
        return component.remainder(self.mean.shape[1])

    def log_components(
        self, latent: Float[Tensor, "images chains latent"]
    ) -> Float64[Tensor, "images components chains"]:
        """Each component's ln w_k N(z; m_k, A_k^2), without the constant -(d/2) ln(2 pi)."""
        offset, along = self._offset_and_projection(latent)
        return self._log_components_in_double(latent, offset, along)

    def log_density(
        self, latent: Float[Tensor, "images chains latent"]
    ) -> Float64[Tensor, "images chains"]:
        """The log density ln q(z)."""
        constant = 0.5 * latent.shape[-1] * math.log(2 * math.pi)
        return self.log_components(latent).logsumexp(1) - constant

    def gradient(
        self, latent: Float[Tensor, "images chains latent"]
    ) -> Float[Tensor, "images chains latent"]:
        """The gradient of ln q(z), in the latent's precision throughout: it only proposes."""
        offset, along = self._offset_and_projection(latent)
        excess = self._excess_precision
        inside = along.square() @ excess.mT
        norm = latent.square().sum(-1)
        heights = self._log_heights.to(latent.dtype)
        logs = self._log_components(heights, offset.square().sum(-1), inside, norm)
        return self._gradient(logs.softmax(1), latent, offset, along)

    def log_components_and_gradient(
        self, latent: Float[Tensor, "images chains latent"]
    ) -> tuple[Float64[Tensor, "images components chains"], Float[Tensor, "images chains latent"]]:
        """What `log_components` and `gradient` give, for little more than one of them costs."""
        offset, along = self._offset_and_projection(latent)
        logs = self._log_components_in_double(latent, offset, along)
        return logs, self._gradient(logs.softmax(1).to(latent.dtype), latent, offset, along)

    def frame(self, component: Int[Tensor, "images chains"]) -> "Frame":
        """Each chain's own component."""
        mode, of_prior = self.mode(component), (component == self.prior)[..., None]
        directions = _rows(self.directions.flatten(2), mode).masked_fill(of_prior, 0.0)
        return Frame(
            _rows(self.mean, mode).masked_fill(of_prior, 0.0),
            directions.unflatten(-1, self.directions.shape[2:]),
            _rows(self.scale, component),
        )

    def draw(
        self, uniform: Float64[Tensor, " images"], chains: int
    ) -> Int[Tensor, "images chains"]:
        """A component for each chain by systematic sampling: in the mean, its share is w_k.

        The chains of an image share one uniform number, so that they spread over the components as
        evenly as their weights allow; the mean over chains stays unbiased.
        """
        ladder = torch.arange(chains, dtype=torch.float64, device=uniform.device)
        return self._invert_weights((ladder + uniform[:, None]) / chains)

    def draw_given(
        self,
        uniform: Float64[Tensor, "images chains"],
        latent: Float[Tensor, "images chains latent"],
    ) -> Int[Tensor, "images chains"]:
        """A component for each chain from its posterior w_k N_k(z) / q(z) at a latent."""
        cumulative = self.log_components(latent).softmax(1).cumsum(1)
        return _choose(cumulative.movedim(1, -1), uniform)

    def _invert_weights(self, level: Float64[Tensor, "images chains"]) -> Tensor:
        cumulative = self.log_weight.softmax(-1).cumsum(-1)
        return _choose(cumulative[:, None].expand(-1, level.shape[1], -1), level)

    def _offset_and_projection(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Offsets z - m [images, modes, chains, latent] and V^T of them [..., rank]."""
        offset = latent[:, None] - self.mean[:, :, None]
        return offset, offset @ self.directions

    def _gradient(self, share: Tensor, latent: Tensor, offset: Tensor, along: Tensor) -> Tensor:
        """From each component's part of the density [images, components, chains]."""
        of_modes = share[:, :-1].unflatten(1, (-1, self.mean.shape[1]))
        pulled = (of_modes.permute(0, 2, 3, 1) @ self._excess_precision) * along
        inside = (pulled @ self.directions.mT).sum(1)
        at_modes = (of_modes.sum(1)[..., None] * offset).sum(1)
        gradient: Tensor = -(at_modes + inside + share[:, -1, :, None] * latent)
        return gradient

    def _log_components_in_double(self, latent: Tensor, offset: Tensor, along: Tensor) -> Tensor:
        whole = offset.square().sum(-1, dtype=torch.float64)
        inside = along.double().square() @ self._excess_in_double.mT
        norm = latent.square().sum(-1, dtype=torch.float64)
        return self._log_components(self._log_heights, whole, inside, norm)

    def _log_components(
        self, heights: Tensor, whole: Tensor, inside: Tensor, norm: Tensor
    ) -> Tensor:
        """From |z - m|^2, what is more of it in the components' metrics, and |z|^2."""
        squares = (whole[..., None] + inside).permute(0, 3, 1, 2).flatten(1, 2)
        logs: Tensor = heights[..., None] - 0.5 * torch.cat([squares, norm[:, None]], 1)
        return logs

    # They are constant along a chain, which asks for them at each of its steps.

    @cached_property
    def _log_heights(self) -> Tensor:
        """Each component's ln w_k N(m_k; m_k, A_k^2), without the constant."""
        return self.log_weight - self.scale.double().log().sum(-1)

    @cached_property
    def _excess_precision(self) -> Tensor:
        """How much more precise than the prior along a mode's directions, for each of its widths.

        [images, modes, widths, rank].
        """
        excess = self.scale[:, :-1].pow(-2) - 1
        by_mode: Tensor = excess.unflatten(1, (-1, self.mean.shape[1])).transpose(1, 2)
        return by_mode.contiguous()

    @cached_property
    def _excess_in_double(self) -> Tensor:
        return self._excess_precision.double()


@dataclass(frozen=True)
class Frame:
    """The component m + A u of each chain, with A as in `MixtureProposal`."""

    mean: Float[Tensor, "images chains latent"]
    directions: Float[Tensor, "images chains latent rank"]
    scale: Float[Tensor, "images chains rank"]

    def to_latent(
        self, position: Float[Tensor, "images chains latent"]
    ) -> Float[Tensor, "images chains latent"]:
        """The latents m + A u of whitened positions u."""
        return self.mean + self.scaled(position)

    def to_position(
        self, latent: Float[Tensor, "images chains latent"]
    ) -> Float[Tensor, "images chains latent"]:
        """The whitened positions A^-1 (z - m) of latents."""
        return self._stretched(latent - self.mean, (1 / self.scale - 1)[..., None, :])

    def scaled(
        self, vector: Float[Tensor, "images chains latent"]
    ) -> Float[Tensor, "images chains latent"]:
        """The product A v."""
        return self._stretched(vector, self._excess)

    @cached_property
    def _excess(self) -> Tensor:
        """What A adds along the directions: constant along a chain."""
        return (self.scale - 1)[..., None, :]

    def _stretched(self, vector: Tensor, excess: Tensor) -> Tensor:
        inside = (vector[..., None, :] @ self.directions) * excess
        return vector + (inside @ self.directions.mT)[..., 0, :]


class MixtureChart:
    """The coordinates that whiten each chain's component of a proposal: z = m_k + A_k u."""

    def __init__(self, proposal: MixtureProposal, component: Int[Tensor, "images chains"]) -> None:
        self._proposal = proposal
        self._frame = proposal.frame(component)

    def latent(
        self, position: Float[Tensor, "images chains latent"]
    ) -> Float[Tensor, "images chains latent"]:
        """The latents at whitened positions."""
        return self._frame.to_latent(position)

    def log_prior_ratio(
        self, latent: Float[Tensor, "images chains latent"]
    ) -> Float64[Tensor, "images chains"]:
        """The difference ln p(z) - ln q(z), with q the whole mixture."""
        return self._ratio(latent, self._proposal.log_components(latent))

    def pull_back(
        self,
        latent: Float[Tensor, "images chains latent"],
        gradient: Float[Tensor, "images chains latent"],
    ) -> Float[Tensor, "images chains latent"]:
        """The gradient of ln p(x|z) + ln p(z) - ln q(z) in u, given that of ln p(x|z) in z."""
        in_latent = gradient - latent - self._proposal.gradient(latent)
        return self._frame.scaled(in_latent)

    def evaluate(
        self,
        latent: Float[Tensor, "images chains latent"],
        gradient: Float[Tensor, "images chains latent"],
    ) -> tuple[Float64[Tensor, "images chains"], Float[Tensor, "images chains latent"]]:
        """What `log_prior_ratio` and `pull_back` give, the proposal being computed once."""
        log_components, of_proposal = self._proposal.log_components_and_gradient(latent)
        pulled = self._frame.scaled(gradient - latent - of_proposal)
        return self._ratio(latent, log_components), pulled

    @staticmethod
    def _ratio(latent: Tensor, log_components: Tensor) -> Tensor:
        log_prior = -0.5 * latent.square().sum(-1, dtype=torch.float64)
        return log_prior - log_components.logsumexp(1)


def _rows(table: Tensor, component: Tensor) -> Tensor:
    """The entries [images, chains, ...] of a table [images, components, ...]."""
    return table.gather(1, component[..., None].expand(-1, -1, table.shape[-1]))


def _choose(cumulative: Tensor, level: Tensor) -> Tensor:
    """The first entry whose cumulative probability exceeds the level."""
    last = (cumulative.diff(dim=-1, prepend=torch.zeros_like(cumulative[..., :1])) > 0).int()
    possible = last.shape[-1] - 1 - last.flip(-1).argmax(-1)
    found = (cumulative <= level[..., None]).sum(-1)
    return torch.minimum(found, possible)
