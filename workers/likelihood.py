"""The stages that estimate ln p(x): ``likelihood``, ``comparison``, ``convergence``, ``sweep``."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from ..core.bank import Bank
from ..core.generators.protocol import Generator
from ..core.guided import estimate_guided
from ..core.guided_run import GuidedEstimate
from ..core.image_metrics import bits_per_dim
from ..core.likelihood import (
    LikelihoodEstimate,
    bound_log_likelihood_above,
    estimate_log_likelihood,
)
from ..core.settings.chains import chain_evaluations
from ..core.settings.classical import ClassicalSettings
from ..core.settings.definition import build_settings
from ..core.settings.guided import GuidedSettings
from .conditions import condition_tensor
from .generators import shard_generator
from .inversion import INVERSION_TABLE, restart_latents
from .latent_bank import shared_bank
from .outcome import Failure, Outcome
from .resources import Resources
from .revisions import Computation
from .schema import Columns, ListColumn, TableSchema
from .shard import Item
from .subjects import subject_images
from .variance_fit import NULL_FIT_TABLE

GUIDED = Computation("offmanifold.workers.likelihood:compute", "likelihood.guided", 5)
CLASSICAL = Computation("offmanifold.workers.likelihood:compute", "likelihood.classical", 2)
# A guided estimate with a second search for modes.
PROBED = Computation("offmanifold.workers.likelihood:compute", "likelihood.probed", 1)
# The estimators as settings name them.
ESTIMATORS: Mapping[str, Computation] = {"guided": GUIDED, "classical": CLASSICAL}

_COLUMNS: Columns = (
    ("estimator", pa.string()),
    ("variance", pa.float64()),
    ("transitions", pa.int32()),
    ("restarts", pa.int32()),
    ("evaluations", pa.int64()),
    ("settled", pa.bool_()),
    ("log_likelihood", pa.float64()),
    ("bits_per_dim", pa.float64()),
    ("chain_log_weights", pa.list_(pa.float64())),
    ("acceptance", pa.list_(pa.float64())),
    ("step_size", pa.list_(pa.float64())),
    ("effective_sample_size", pa.float64()),
    ("best_chain_share", pa.float64()),
    ("modes", pa.int32()),
    ("chain_component", pa.list_(pa.int32())),
    ("curvature", pa.string()),
    ("mode_mse", pa.float64()),
    ("upper_bound", pa.float64()),
)

# Log densities are natural logs on [0, 1]; per-chain lists have one entry a chain (acceptance is
# the mean over transitions, step_size the last); upper_bound only for images simulated from the
# model, under the condition that made them. estimator is guided or classical; of guided rows only:
# restarts of the search for modes, the distinct modes it left, the least mean squared error on
# [0, 1] of all points that it found or was given (mode_mse), the component that each chain started
# from (-1 is the prior) and whether the curvature was dense or of low rank. transitions, restarts
# and settled are those the row ended with; settled is null without a tolerance. With one, the
# chains are fresh ones, not those that settled. evaluations counts generator calls of the row:
# gradients, starts that were judged and products with the Jacobian alike, but not the bank's, which
# are all images' together.
_ALWAYS = ("variance", "log_likelihood", "bits_per_dim")
# A chain's weight may be nothing where the others' are not.
_LISTS = (
    ListColumn("chain_log_weights", ("setting:chains",), numbers="infinite too"),
    ListColumn("acceptance", ("setting:chains",), undefined_at_one="transitions"),
    ListColumn("step_size", ("setting:chains",), undefined_at_one="transitions"),
    ListColumn("chain_component", ("setting:chains",), optional=True),
)

LIKELIHOOD_TABLE = TableSchema("likelihood", 3, _COLUMNS, always=_ALWAYS, lists=_LISTS)

# The other half of the null's images, and the simulated ones, under the null's variance.
NULL_LIKELIHOOD_TABLE = TableSchema("null_likelihood", 1, _COLUMNS, always=_ALWAYS, lists=_LISTS)

# The same images by the other estimator.
COMPARISON_TABLE = TableSchema("comparison", 3, _COLUMNS, always=_ALWAYS, lists=_LISTS)

# The value of ``varied`` whose rows have a second search for modes, of another law.
_PROBED = "restarts"

# Each estimator again on a sample of every group, varied: transitions, chains or restarts twice as
# many, or replicate, the same settings with other seeds. The further restarts are a probe, a search
# of another law; probe_gain is by how many nats it raised the modes' evidence, null elsewhere.
CONVERGENCE_TABLE = TableSchema(
    "convergence",
    4,
    (*_COLUMNS, ("varied", pa.string()), ("probe_gain", pa.float64())),
    repeated_by=("estimator", "varied"),
    always=_ALWAYS,
    lists=_LISTS,
)

# A sample of every group by each estimator at every number of transitions.
SWEEP_TABLE = TableSchema(
    "sweep", 2, _COLUMNS, repeated_by=("estimator", "transitions"), always=_ALWAYS, lists=_LISTS
)


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``likelihood``, ``comparison``, ``convergence`` or ``sweep`` table.

    Images simulated from the model also get the upper bound of the reversed chains, under the
    condition that made them. An estimate that is not finite is a failure.
    """
    generator = shard_generator(settings, resources)
    images, latent = subject_images(items, settings, resources)
    estimate = _guided if settings["estimator"] == "guided" else _classical
    rows = estimate(generator, items, images, latent, settings, resources)
    dimensions = math.prod(generator.image_shape)
    named = ("estimator", "variance", "varied")
    common = {name: settings[name] for name in named if name in settings}
    return [
        {**common, "bits_per_dim": _bits(row["log_likelihood"], dimensions), **row}
        if math.isfinite(row["log_likelihood"])
        else Failure(
            f"the log likelihood is {row['log_likelihood']}; is the generator's output finite?"
        )
        for row in rows
    ]


def _guided(
    generator: Generator,
    items: Sequence[Item],
    images: Tensor,
    latent: Tensor | None,
    settings: Mapping[str, Any],
    resources: Resources,
) -> list[dict[str, Any]]:
    """The guided columns; items with an inversion and an exact latent are batches of their own."""
    rows: list[dict[str, Any]] = [{}] * len(items)
    batches: dict[tuple[bool, int], list[int]] = {}
    bank = shared_bank(generator, settings, resources)
    probe = _probe_bank(generator, settings, resources)
    known = [_known_latents(item, resources) for item in items]
    for index, (item, found) in enumerate(zip(items, known, strict=True)):
        exact = latent is not None and item.condition in (None, item.label)
        batches.setdefault((exact, len(found)), []).append(index)
    for (exact, size), batch in batches.items():
        own = [items[index] for index in batch]
        starts = None
        if size:
            flat = torch.from_numpy(np.stack([known[index] for index in batch]))
            starts = flat.to(images).unflatten(1, (-1, generator.latent_dim))
        estimate = estimate_guided(
            generator,
            images[batch],
            condition_tensor(own, resources.device),
            settings["variance"],
            build_settings(GuidedSettings, settings),
            [item.seed for item in own],
            latent[batch] if exact and latent is not None else None,
            starts,
            bank,
            probe,
        )
        for index, row in zip(batch, _guided_rows(estimate, generator, settings), strict=True):
            rows[index] = row
    return rows


def _probe_bank(
    generator: Generator, settings: Mapping[str, Any], resources: Resources
) -> Bank | None:
    """The bank of a probe's starts, that of the replicates; None where nothing is probed."""
    if settings.get("varied") != _PROBED:
        return None
    seed = settings["probe_bank_seed"]
    bank = shared_bank(generator, {**settings, "bank_seed": seed}, resources)
    return Bank(generator, seed) if bank is None else bank


def _known_latents(item: Item, resources: Resources) -> npt.NDArray[np.float32]:
    of_null = item.inversion_table == NULL_FIT_TABLE.name
    return restart_latents(item, resources, NULL_FIT_TABLE if of_null else INVERSION_TABLE)


def _guided_rows(
    estimate: GuidedEstimate, generator: Generator, settings: Mapping[str, Any]
) -> list[dict[str, Any]]:
    rank = estimate.curvature_rank
    curvature = "dense" if rank == generator.latent_dim else f"rank {rank}"
    columns = {
        "log_likelihood": estimate.log_likelihood,
        "chain_log_weights": estimate.chain_log_weights,
        "acceptance": estimate.acceptance,
        "step_size": estimate.step_size,
        "effective_sample_size": estimate.effective_sample_size,
        "best_chain_share": _best_share(estimate.chain_log_weights),
        "transitions": estimate.transitions,
        "restarts": estimate.restarts,
        "evaluations": estimate.evaluations,
        "modes": estimate.modes,
        "mode_mse": estimate.mode_mse,
        "chain_component": estimate.component,
        "settled": estimate.settled,
        "upper_bound": estimate.upper_bound,
    }
    if settings.get("varied") == _PROBED:
        columns["probe_gain"] = estimate.probe_gain
    rows = _rows(columns)
    for row in rows:
        row["curvature"] = curvature
        row["settled"] = None if settings["tolerance"] is None else row["settled"]
    return rows


def _classical(
    generator: Generator,
    items: Sequence[Item],
    images: Tensor,
    latent: Tensor | None,
    settings: Mapping[str, Any],
    resources: Resources,
) -> list[dict[str, Any]]:
    sampler, schedule = build_settings(ClassicalSettings, settings), _schedule(settings)
    estimate: LikelihoodEstimate = estimate_log_likelihood(
        generator,
        images,
        condition_tensor(items, resources.device),
        settings["variance"],
        sampler,
        [item.seed for item in items],
        schedule,
    )
    upper = torch.full_like(estimate.log_likelihood, torch.nan)
    exact = [index for index, item in enumerate(items) if item.condition in (None, item.label)]
    if latent is not None and exact:
        own = [items[index] for index in exact]
        upper[exact] = bound_log_likelihood_above(
            generator,
            images[exact],
            latent[exact],
            condition_tensor(own, resources.device),
            settings["variance"],
            sampler,
            [item.seed for item in own],
            schedule,
        )
    rows = _rows(
        {
            "log_likelihood": estimate.log_likelihood,
            "chain_log_weights": estimate.chain_log_weights,
            "acceptance": estimate.acceptance,
            "step_size": estimate.step_size,
            "effective_sample_size": estimate.effective_sample_size,
            "best_chain_share": _best_share(estimate.chain_log_weights),
            "upper_bound": upper,
        }
    )
    calls = chain_evaluations(sampler.chains, sampler.leapfrog_steps, sampler.transitions)
    for row in rows:
        row["transitions"] = sampler.transitions
        row["evaluations"] = calls
    return rows


def _rows(columns: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """A row an image out of tensors [images, ...]; a bound, error or gain that is nan is null."""
    lists = {name: column.tolist() for name, column in columns.items()}
    rows = [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]
    for row in rows:
        for name in ("upper_bound", "mode_mse", "probe_gain"):
            if math.isnan(row.get(name, 0.0)):
                row[name] = None
    return rows


def _best_share(log_weights: Tensor) -> Tensor:
    return log_weights.softmax(1).amax(1)


def _bits(log_likelihood: float, dimensions: int) -> float:
    return float(bits_per_dim(np.array([log_likelihood]), dimensions)[0])


def _schedule(settings: Mapping[str, Any]) -> Tensor | None:
    schedule = settings["step_size_schedule"]
    return None if schedule is None else torch.tensor(schedule, dtype=torch.float64)
