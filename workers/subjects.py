"""The images that densities are computed for: stored ones, or simulated from the model anew."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..core.likelihood import simulate
from ..core.quantisation import quantise
from .generators import shard_generator
from .resources import Resources
from .shard import Item
from .stored_images import stored_images


def simulates_images(settings: Mapping[str, Any]) -> bool:
    """Whether a shard with these settings calls a generator for its subject images.

    In stages that call no other network only shards of simulated images name a generator.
    """
    return "weights" in settings


def subject_images(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> tuple[Tensor, Tensor | None]:
    """Images [items, C, H, W], and the latents of simulated ones; None for stored images.

    Simulated images are those of the model under ``settings`` (generator and variance), with its
    observation noise: the same from an item's ``image_seed`` in every stage. With a
    ``noise_variance`` of their own they are those of the null audit, rounded to ``levels``; their
    latents are then no exact samples of the posterior, and not given. A shard holds images of one
    kind.
    """
    if items[0].image_seed is None:
        return stored_images(items, resources), None
    generator = shard_generator(settings, resources)
    own = None
    if generator.num_classes:
        labels = [item.label for item in items]
        own = torch.tensor(labels, dtype=torch.int64, device=resources.device)
    seeds = [item.image_seed for item in items if item.image_seed is not None]
    with torch.no_grad():
        like = torch.empty(0, device=resources.device)
        noise = settings.get("noise_variance")
        if noise is not None:
            return quantise(
                simulate(generator, own, noise, seeds, like)[0], settings["levels"]
            ), None
        return simulate(generator, own, settings["variance"], seeds, like)
