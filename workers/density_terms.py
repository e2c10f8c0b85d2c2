"""The ``density_terms`` stage: fit, prior and volume of each image's density."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from ..core.density_terms import density_terms
from .conditions import condition_tensor
from .generators import shard_generator
from .inversion import restart_latents
from .outcome import Failure, Outcome
from .resources import Resources
from .revisions import Computation
from .schema import TableSchema
from .shard import Item
from .subjects import subject_images

COMPUTATION = Computation("offmanifold.workers.density_terms:compute", "density_terms", 3)

# In nats on [0, 1], at the mode of largest evidence that the image's inversions lead to, or the
# latent that a simulated image was made from: ln p(x|z), ln p(z), and the volume of latents that
# explain the image as well.
DENSITY_TERMS_TABLE = TableSchema(
    "density_terms",
    1,
    (
        ("variance", pa.float64()),
        ("fit", pa.float64()),
        ("prior", pa.float64()),
        ("volume", pa.float64()),
    ),
    always=("variance", "fit", "prior", "volume"),
)


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``density_terms`` table; an image without an inversion is a failure."""
    generator = shard_generator(settings, resources)
    images, latent = subject_images(items, settings, resources)
    rows: list[Outcome] = [Failure("the image's inversion failed")] * len(items)
    starts = _starts(items, images, latent, generator.latent_dim, resources)
    chosen = list(starts)
    if not chosen:
        return rows
    found = density_terms(
        generator,
        images[chosen],
        condition_tensor([items[index] for index in chosen], resources.device),
        settings["variance"],
        torch.stack(list(starts.values())),
    )
    variance = settings["variance"]
    for index, *values in zip(
        chosen, found.fit.tolist(), found.prior.tolist(), found.volume.tolist(), strict=True
    ):
        fit, prior, volume = values
        rows[index] = (
            {"variance": variance, "fit": fit, "prior": prior, "volume": volume}
            if math.isfinite(fit + prior + volume)
            else Failure("a term is not finite; is the generator's output finite?")
        )
    return rows


def _starts(
    items: Sequence[Item],
    images: Tensor,
    latent: Tensor | None,
    latent_dim: int,
    resources: Resources,
) -> dict[int, Tensor]:
    """Points [starts, latent] near the modes of each item that has any, all equally many."""
    if latent is not None:
        return dict(enumerate(latent[:, None]))
    flat = [restart_latents(item, resources) for item in items]
    return {
        index: torch.from_numpy(np.asarray(each)).to(images).unflatten(0, (-1, latent_dim))
        for index, each in enumerate(flat)
        if len(each)
    }
