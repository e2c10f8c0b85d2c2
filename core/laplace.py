"""A proposal out of posterior modes: Laplace approximations, widened, and a defensive prior."""

import math
from dataclasses import replace

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from .modes import Modes
from .samplers.proposal import MixtureProposal
from .search import distinct
from .settings.guided import PRIOR_COMPONENT, GuidedMethod, GuidedSettings


def distinct_modes(modes: Modes, method: GuidedMethod) -> Modes:
    """The best of the modes in descending order of evidence, without near-duplicates.

    Where an image has fewer than ``method.modes``, the last ones have an evidence of -inf.
    """
    modes = modes.order(modes.log_evidence.argsort(dim=1, descending=True, stable=True))
    offset = modes.latent[:, None] - modes.latent[:, :, None]
    along = (offset @ modes.directions).double().square()
    # Entry [better, other]: the other's distance from the better one, in the better one's metric.
    inside = (along @ modes.eigenvalue[..., None])[..., 0]
    near = offset.double().square().sum(-1) + inside < method.separation**2
    kept = distinct(near)
    first = (~kept).int().argsort(dim=1, stable=True)[:, : method.modes]
    found = modes.order(first)
    dropped = ~torch.take_along_dim(kept, first, 1)
    return replace(
        found, negative_log_joint=found.negative_log_joint.masked_fill(dropped, math.inf)
    )


def laplace_proposal(modes: Modes, settings: GuidedSettings) -> MixtureProposal:
    """Gaussians at the modes, a wide one at each, and the prior as the last component.

    A component's precision is I + J^T J / (variance inflation^2): Gauss-Newton's, with the
    likelihood's part tempered. Its weight follows from the Laplace evidence
    ln p(x, m) - ln det(I + J^T J / variance) / 2. `mode_of` tells components apart.

    Args:
        modes: of p(z) p(x|z); those without a finite evidence are left out.
        settings: of the proposal, what `GuidedMethod` says of it included.
    """
    evidence = modes.log_evidence
    present = torch.isfinite(evidence)
    widths = torch.tensor([settings.inflation, settings.method.wide_inflation]).to(evidence)
    scale = torch.rsqrt(1 + modes.eigenvalue[:, None] / widths[:, None, None].square())
    scale = torch.where(present[:, None, :, None], scale, 1.0).flatten(1, 2)
    return MixtureProposal(
        log_weight=_log_weights(evidence, present, settings.method),
        mean=torch.where(present[..., None], modes.latent, 0.0),
        directions=_side_by_side(torch.where(present[..., None, None], modes.directions, 0.0)),
        scale=_append(scale.to(modes.latent), 1.0),
        stiffness=_append(_stiffness(modes, present, widths), 1.0),
    )


def mode_of(
    component: Int64[Tensor, "images chains"], proposal: MixtureProposal
) -> Int64[Tensor, "images chains"]:
    """The modes that components of a `laplace_proposal` stand at, -1 for the prior."""
    return proposal.mode(component).masked_fill(component == proposal.prior, PRIOR_COMPONENT)


def _stiffness(modes: Modes, present: Tensor, widths: Tensor) -> Tensor:
    """The narrow components' highest frequencies, and the wide ones'.

    That of a direction is up to the inflation where the likelihood determines it. What a component
    does not resolve is no stiffer than the least of what it does.
    """
    whole = modes.directions.shape[-1] == modes.latent.shape[-1]
    unresolved = torch.ones_like(modes.log_evidence) if whole else 1 + modes.eigenvalue.amin(-1)
    square = torch.maximum(widths[:, None].square(), unresolved[:, None])
    return torch.where(present[:, None], square.sqrt(), 1.0).flatten(1)


def _log_weights(
    evidence: Tensor, present: Tensor, method: GuidedMethod
) -> Float64[Tensor, "images components"]:
    tempered = torch.where(present, evidence / method.temperature, -math.inf)
    found = present.any(1, keepdim=True)
    share = torch.where(found, tempered.log_softmax(1), -math.inf)
    narrow_weight = 1 - method.wide_weight - method.defensive_weight
    narrow = share + math.log(narrow_weight)
    wide = share + math.log(method.wide_weight)
    defensive = torch.where(found, math.log(method.defensive_weight), 0.0).to(share)
    return torch.cat([narrow, wide, defensive], 1)


def _side_by_side(directions: Tensor) -> Tensor:
    """The same, in memory as a proposal multiplies by those of all modes: it keeps no copy."""
    return directions.transpose(1, 2).contiguous().transpose(1, 2)


def _append(table: Tensor, value: float) -> Tensor:
    return torch.cat([table, torch.full_like(table[:, :1], value)], 1)
