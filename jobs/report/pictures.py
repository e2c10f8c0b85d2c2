"""Originals and their reconstructions, side by side, chosen by quantile and not by eye."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from ..reduce.context import GroupInfo, ReduceContext
from ..reduce.parts import RunTableError

# render(generator name, latents [N, d], class indices [N] or None) -> images [N, C, H, W]
Render = Callable[[str, np.ndarray, np.ndarray | None], np.ndarray]

Made = TypeVar("Made")

SHOWN = 8


class UndrawnError(Exception):
    """Raised by a `Render` that cannot draw, in a report that does without the picture."""


def if_drawn(make: Callable[[], Made]) -> Made | None:
    """What ``make`` gives; None where a picture in it cannot be drawn."""
    try:
        return make()
    except UndrawnError:
        return None


def quantile_positions(n: int, shown: int) -> np.ndarray:
    """At most ``shown`` positions among n sorted images, at even quantiles."""
    if n <= shown:
        return np.arange(n)
    return np.floor((np.arange(shown) + 0.5) * n / shown).astype(np.int64)


def group_title(group: GroupInfo) -> str:
    """A group's name, and its part in the comparisons where that is another word."""
    return group.name if group.role == group.name else f"{group.name} ({group.role})"


def originals(
    context: ReduceContext, image_ids: list[str], shape: tuple[int, int, int]
) -> np.ndarray:
    """The stored images [N, C, H, W] of these ids.

    Raises:
        RunTableError: an image of which the run has no pixels.
    """
    found = context.tables.read_images("images", image_ids, ["pixels"])
    pixels = dict(zip(found["image_id"], found["pixels"], strict=True))
    absent = [image_id for image_id in image_ids if pixels.get(image_id) is None]
    if absent:
        raise RunTableError(
            f"image {absent[0]} was used, but the images table has no pixels for it: the run is "
            "not complete"
        )
    return np.array([pixels[image_id] for image_id in image_ids]).reshape(-1, *shape)
