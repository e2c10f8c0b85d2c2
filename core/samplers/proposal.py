"""The proposal of guided annealed importance sampling: Gaussians at the posterior's modes."""

import math
from dataclasses import dataclass, fields
from functools import cached_property
from typing import NamedTuple

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
    ) -> Float64[Tensor, "images chains components"]:
        """Each component's ln w_k N(z; m_k, A_k^2), without the constant -(d/2) ln(2 pi)."""
        norm = latent.square().sum(-1, keepdim=True, dtype=torch.float64)
        zero = self.origin(torch.zeros_like(latent[:, :1]))
        return self._log_ratios(latent, self._along(latent, zero)) - 0.5 * norm

    def log_density(
        self, latent: Float[Tensor, "images chains latent"]
    ) -> Float64[Tensor, "images chains"]:
        """The log density ln q(z)."""
        constant = 0.5 * latent.shape[-1] * math.log(2 * math.pi)
        return self.log_components(latent).logsumexp(-1) - constant

    def origin(self, point: Float[Tensor, "images #chains latent"]) -> "Origin":
        """A point that latents are to be near to."""
        means, directions = self.mean.unbind(1), self.directions.unbind(1)
        along = [
            (point - mean[:, None]) @ of_mode
            for mean, of_mode in zip(means, directions, strict=True)
        ]
        return Origin(point, torch.cat(along, -1))

    def log_prior_ratio(
        self, latent: Float[Tensor, "images chains latent"], origin: "Origin"
    ) -> Float64[Tensor, "images chains"]:
        """The difference ln p(z) - ln q(z), with p the prior."""
        return -self._log_ratios(latent, self._along(latent, origin)).logsumexp(-1)

    def with_ratio_gradient(
        self,
        latent: Float[Tensor, "images chains latent"],
        origin: "Origin",
        gradient: Float[Tensor, "images chains latent"],
    ) -> Float[Tensor, "images chains latent"]:
        """A gradient with that of ln p(z) - ln q(z) added, in the latent's precision throughout.

        That is enough of what only proposes.
        """
        along, terms = self._along(latent, origin), self._terms
        logs = torch.baddbmm(terms.height, latent, self._centre.mT)
        logs.baddbmm_(along.square(), terms.curvature)
        return self._with_gradient(gradient, logs.softmax(-1), along)

    def log_prior_ratio_and_gradient(
        self,
        latent: Float[Tensor, "images chains latent"],
        origin: "Origin",
        gradient: Float[Tensor, "images chains latent"],
    ) -> tuple[Float64[Tensor, "images chains"], Float[Tensor, "images chains latent"]]:
        """What `log_prior_ratio` and `with_ratio_gradient` give, for little more than one costs."""
        along = self._along(latent, origin)
        logs = self._log_ratios(latent, along)
        share = logs.softmax(-1).to(latent.dtype)
        return -logs.logsumexp(-1), self._with_gradient(gradient, share, along)

    def images(self, index: Int[Tensor, " some"]) -> "MixtureProposal":
        """The proposals of some of the images, which may be named more than once.

        What is constant along a chain is computed here: a graph takes it as it is.
        """
        chosen = {each.name: getattr(self, each.name)[index] for each in fields(self)}
        part = MixtureProposal(**chosen)
        _ = part._terms
        _ = part._all_directions
        return part

    def frame(self, component: Int[Tensor, "images chains"]) -> "Frame":
        """Each chain's own component."""
        mean, directions, scale = self._of_chains(component)
        return Frame(mean, *_stretch(directions, scale - 1))

    def to_position(
        self,
        component: Int[Tensor, "images chains"],
        latent: Float[Tensor, "images chains latent"],
    ) -> Float[Tensor, "images chains latent"]:
        """The whitened positions A^-1 (z - m) of latents, in each chain's own component."""
        mean, directions, scale = self._of_chains(component)
        inverse = Frame(torch.zeros_like(mean), *_stretch(directions, 1 / scale - 1))
        return inverse.scaled(latent - mean)

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
        return _choose(self.log_components(latent).softmax(-1).cumsum(-1), uniform)

    def _invert_weights(self, level: Float64[Tensor, "images chains"]) -> Tensor:
        cumulative = self.log_weight.softmax(-1).cumsum(-1)
        return _choose(cumulative[:, None].expand(-1, level.shape[1], -1), level)

    def _of_chains(self, component: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Each chain's mean, directions and scale; of the prior, no directions."""
        mode, of_prior = self.mode(component), (component == self.prior)[..., None]
        return (
            _rows(self.mean, mode).masked_fill_(of_prior, 0.0),
            _rows(self.directions, mode).masked_fill_(of_prior[..., None], 0.0),
            _rows(self.scale, component),
        )

    # The log of a component's density over the prior's is a constant + z.m - e.(V^T (z - m))^2 / 2
    # with e how much more precise it is than the prior along V: the |z|^2 of both cancel. All
    # components of an image are computed at once, by one product each with all V, m and e.

    def _along(self, latent: Tensor, origin: "Origin") -> Tensor:
        """V^T (z - m) of all modes, one after the other [images, chains, modes x rank]."""
        along: Tensor = torch.baddbmm(origin.along, latent - origin.point, self._all_directions)
        return along

    def _log_ratios(self, latent: Tensor, along: Tensor) -> Tensor:
        """The log of each weighted component over the prior, in float64."""
        terms = self._terms_in_double
        logs = torch.baddbmm(terms.height, latent.double(), self._centre.double().mT)
        return torch.baddbmm(logs, along.double().square(), terms.curvature)

    def _with_gradient(self, gradient: Tensor, share: Tensor, along: Tensor) -> Tensor:
        """From each component's part of the density [images, chains, components]."""
        pulled = torch.bmm(share, self._terms.curvature.mT).mul_(along)
        whole = torch.baddbmm(gradient, pulled, self._all_directions.mT, alpha=-2)
        return whole.baddbmm_(share, self._centre, alpha=-1)

    # They are constant along a chain, which asks for them at each of its steps.

    @cached_property
    def _all_directions(self) -> Tensor:
        """Those of all modes beside each other [images, latent, modes x rank]."""
        return self.directions.transpose(1, 2).flatten(2)

    @cached_property
    def _centre(self) -> Tensor:
        """Each component's mean [images, components, latent], 0 of the prior."""
        widths = (self.scale.shape[1] - 1) // self.mean.shape[1]
        return torch.cat([self.mean.repeat(1, widths, 1), torch.zeros_like(self.mean[:, :1])], 1)

    @cached_property
    def _terms_in_double(self) -> "_Terms":
        scale = self.scale.double()
        squares = self._centre.double().square().sum(-1)
        height = self.log_weight - scale.log().sum(-1) - 0.5 * squares
        images, modes, _ = self.mean.shape
        of_own = torch.arange(scale.shape[1] - 1, device=scale.device) % modes
        excess = scale.new_zeros(images, modes, scale.shape[2], scale.shape[1])
        number = torch.arange(len(of_own), device=scale.device)
        excess[:, of_own, :, number] = (scale[:, :-1].pow(-2) - 1).transpose(0, 1)
        return _Terms(height[:, None], -0.5 * excess.flatten(1, 2))

    @cached_property
    def _terms(self) -> "_Terms":
        return _Terms(*(each.to(self.mean) for each in self._terms_in_double))


class Origin(NamedTuple):
    """A point that latents are near to, and V^T (point - m) of all modes, one after the other.

    What latents are there is computed from their offset: a narrow component has a standard
    deviation of some thousandths, where a latent's own rounding would tell.
    """

    point: Float[Tensor, "images #chains latent"]
    along: Float[Tensor, "images #chains modes_by_rank"]


class _Terms(NamedTuple):
    """Of the logs of components over the prior, the constant and what squares are multiplied by.

    ``height`` is [images, 1, components]. ``curvature`` [images, modes x rank, components] is minus
    half of how much more precise than the prior a component is along its own mode's directions,
    and 0 along the others'.
    """

    height: Tensor
    curvature: Tensor


@dataclass(frozen=True)
class Frame:
    """The component m + A u of each chain, with A as in `MixtureProposal`.

    A - I is ``before`` times ``after``, or ``before`` alone where that is no larger.
    """

    mean: Float[Tensor, "images chains latent"]
    before: Float[Tensor, "images chains latent inner"]
    after: Float[Tensor, "images chains inner latent"] | None

    def to_latent(
        self, position: Float[Tensor, "images chains latent"]
    ) -> Float[Tensor, "images chains latent"]:
        """The latents m + A u of whitened positions u."""
        return self.mean + self.scaled(position)

    def scaled(
        self, vector: Float[Tensor, "images chains latent"]
    ) -> Float[Tensor, "images chains latent"]:
        """The product A v."""
        rows = vector.flatten(0, 1)[:, None]
        inside, last = rows, self.before.flatten(0, 1)
        if self.after is not None:
            inside, last = torch.bmm(rows, last), self.after.flatten(0, 1)
        return torch.baddbmm(rows, inside, last).view_as(vector)


def _stretch(directions: Tensor, excess: Tensor) -> tuple[Tensor, Tensor | None]:
    """V diag(excess) V^T as `Frame` has it: whole where that has fewer numbers than its factors."""
    scaled = (directions * excess[..., None, :]).mT
    if directions.shape[-2] <= 2 * directions.shape[-1]:
        return directions @ scaled, None
    return directions, scaled


class MixtureChart:
    """The coordinates that whiten each chain's component of a proposal: z = m_k + A_k u."""

    def __init__(self, proposal: MixtureProposal, component: Int[Tensor, "images chains"]) -> None:
        self._proposal = proposal
        self._component = component
        self._frame = proposal.frame(component)
        self._origin = proposal.origin(self._frame.mean)

    def latent(
        self, position: Float[Tensor, "images chains latent"]
    ) -> Float[Tensor, "images chains latent"]:
        """The latents at whitened positions."""
        return self._frame.to_latent(position)

    def log_prior_ratio(
        self, latent: Float[Tensor, "images chains latent"]
    ) -> Float64[Tensor, "images chains"]:
        """The difference ln p(z) - ln q(z), with q the whole mixture."""
        return self._proposal.log_prior_ratio(latent, self._origin)

    def pull_back(
        self,
        latent: Float[Tensor, "images chains latent"],
        gradient: Float[Tensor, "images chains latent"],
    ) -> Float[Tensor, "images chains latent"]:
        """The gradient of ln p(x|z) + ln p(z) - ln q(z) in u, given that of ln p(x|z) in z."""
        in_latent = self._proposal.with_ratio_gradient(latent, self._origin, gradient)
        return self._frame.scaled(in_latent)

    def evaluate(
        self,
        latent: Float[Tensor, "images chains latent"],
        gradient: Float[Tensor, "images chains latent"],
    ) -> tuple[Float64[Tensor, "images chains"], Float[Tensor, "images chains latent"]]:
        """What `log_prior_ratio` and `pull_back` give, the proposal being computed once."""
        ratio, in_latent = self._proposal.log_prior_ratio_and_gradient(
            latent, self._origin, gradient
        )
        return ratio, self._frame.scaled(in_latent)

    def images(self, index: Int[Tensor, " some"]) -> "MixtureChart":
        """The coordinates of some of the images, which may be named more than once."""
        return MixtureChart(self._proposal.images(index), self._component[index])


def _rows(table: Tensor, number: Tensor) -> Tensor:
    """The entries [images, chains, ...] of a table [images, components, ...]."""
    return table[torch.arange(len(table), device=table.device)[:, None], number]


def _choose(cumulative: Tensor, level: Tensor) -> Tensor:
    """The first entry whose cumulative probability exceeds the level."""
    last = (cumulative.diff(dim=-1, prepend=torch.zeros_like(cumulative[..., :1])) > 0).int()
    possible = last.shape[-1] - 1 - last.flip(-1).argmax(-1)
    found = (cumulative <= level[..., None]).sum(-1)
    return torch.minimum(found, possible)
