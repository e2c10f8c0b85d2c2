"""Views: what an image and a changed copy of it look alike in. Nearness over a search of them.

A copy is rarely exact. In pixels a shift by one leaves nothing of it; so training images are
compared as they are, and flipped, shifted and zoomed, and images with their brightness divided out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn.functional import interpolate, pad

from .copies import NEAREST, nearness
from .neighbour_lists import nearest_lists

Change = Callable[
    [Float[Tensor, "n channels height width"]], Float[Tensor, "n channels height width"]
]
Features = Callable[[Float[Tensor, "n channels height width"]], Float[Tensor, "n ..."]]
# How far, in pixels, and by how much training images are moved and enlarged.
_SHIFTS = (1, 2)
_ZOOMS = (1.1, 1.2)


ALL_VIEWS = "all"
"""What all views together are called, beside each kind of them."""


@dataclass(frozen=True)
class View:
    """A way to compare: training images are changed by ``change``, then both are flat vectors.

    With ``unit`` these have length 1, which no change of brightness by a factor alters. Vectors
    are of an image's ``features``, which are its pixels if none are given.
    """

    name: str
    change: Change
    unit: bool = False
    features: Features | None = None

    def queries(
        self, images: Float[Tensor, "n channels height width"]
    ) -> Float[np.ndarray, "n columns"]:
        """Vectors of the images that are asked about."""
        seen = images if self.features is None else self.features(images)
        vectors: np.ndarray = seen.flatten(1).numpy()
        return _unit(vectors) if self.unit else vectors

    def references(
        self, images: Float[Tensor, "n channels height width"]
    ) -> Float[np.ndarray, "n columns"]:
        """Vectors of training images, changed."""
        return self.queries(self.change(images))


def same(
    images: Float[Tensor, "n channels height width"],
) -> Float[Tensor, "n channels height width"]:
    """The images themselves."""
    return images


def flip(
    images: Float[Tensor, "n channels height width"],
) -> Float[Tensor, "n channels height width"]:
    """The images mirrored left to right."""
    return images.flip(-1)


def shift(
    images: Float[Tensor, "n channels height width"], down: int, right: int
) -> Float[Tensor, "n channels height width"]:
    """The images moved by whole pixels, what comes in at the border a copy of the border."""
    height, width = images.shape[-2:]
    border = max(abs(down), abs(right))
    wide = pad(images, (border,) * 4, mode="replicate")
    top, left = border - down, border - right
    return wide[..., top : top + height, left : left + width].contiguous()


def zoom(
    images: Float[Tensor, "n channels height width"], factor: float
) -> Float[Tensor, "n channels height width"]:
    """The middle of the images enlarged by ``factor``, bilinearly, to their own size."""
    height, width = images.shape[-2:]
    grown = [round(side * factor) for side in (height, width)]
    large = interpolate(images, size=grown, mode="bilinear", align_corners=False)
    top, left = ((now - side) // 2 for now, side in zip(grown, (height, width), strict=True))
    return large[..., top : top + height, left : left + width].contiguous()


def pixel_views() -> list[View]:
    """The search: as they are, brightness divided out, flipped, shifted by 1 or 2, enlarged."""
    moves = {
        f"shift {down:+d} {right:+d}": (down, right)
        for step in _SHIFTS
        for down in (-step, 0, step)
        for right in (-step, 0, step)
        if (down, right) != (0, 0)
    }
    return [
        View("pixels", same),
        View("brightness", same, unit=True),
        View("flip", flip),
        *(View(name, _shifted(*move)) for name, move in moves.items()),
        *(View(f"zoom {factor:g}", _zoomed(factor)) for factor in _ZOOMS),
    ]


def kinds_of_views() -> dict[str, list[int]]:
    """The places of `pixel_views` that are of a kind, by the kind, as `shift`; and of ``all``."""
    names = [view.name for view in pixel_views()]
    kinds = dict.fromkeys(name.split()[0] for name in names)
    by_kind = {
        kind: [place for place, name in enumerate(names) if name.split()[0] == kind]
        for kind in kinds
    }
    return {**by_kind, ALL_VIEWS: list(range(len(names)))}


def view_nearness(
    images: Float[Tensor, "n channels height width"],
    references: Float[Tensor, "references channels height width"],
    views: Sequence[View],
) -> dict[str, Float64[np.ndarray, " n"]]:
    """Each image's nearness among the references, in each view by its name.

    Raises:
        ValueError: there are fewer than `NEAREST` references.
    """
    found = {}
    for view in views:
        lists = nearest_lists(view.queries(images), view.references(references), NEAREST)
        found[view.name] = nearness(lists.distance)
    return found


def nearest_view(
    by_view: Mapping[str, Float64[np.ndarray, " images"]],
) -> tuple[Float64[np.ndarray, " images"], list[str]]:
    """Each image's nearness in the view in which it is nearest, and which that is.

    Ranked among held-out images, whose nearness is the least of as many views too, the least of
    many is as good a value as any.

    Raises:
        ValueError: no views.
    """
    if not by_view:
        raise ValueError("no views: give the nearness in at least one")
    names, values = list(by_view), np.stack(list(by_view.values()))
    first = values.argmin(axis=0)
    return values.min(axis=0), [names[view] for view in first]


def _shifted(down: int, right: int) -> Change:
    return lambda images: shift(images, down, right)


def _zoomed(factor: float) -> Change:
    return lambda images: zoom(images, factor)


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: np.ndarray = vectors / np.where(length > 0, length, 1)
    return unit
