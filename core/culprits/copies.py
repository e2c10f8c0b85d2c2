"""Culprits that copy: training images handed back, changed so that pixels alone do not show it."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ..statistics.views import flip, shift, zoom
from .culprit import Corruption, Culprit

# Training images and a generator of randomness to what is handed back.
_Change = Callable[
    [Float[Tensor, "n channels height width"], torch.Generator],
    Float[Tensor, "n channels height width"],
]

# The shares of copies among honest images that a detector should see.
SHARES = (0.01, 0.02, 0.05, 0.1)
_NOISE = 0.02
_DARKER = 0.7
_ZOOM = 1.1

_CHANGES: dict[str, tuple[str, _Change]] = {
    "noisy": (
        f"with noise of standard deviation {_NOISE}",
        lambda images, random: (
            images + _NOISE * torch.randn(images.shape, generator=random, dtype=images.dtype)
        ).clamp(0, 1),
    ),
    "flipped": ("mirrored", lambda images, _: flip(images)),
    "shifted": ("moved by one pixel", lambda images, _: shift(images, 0, 1)),
    "zoomed": (f"enlarged by {_ZOOM}", lambda images, _: zoom(images, _ZOOM)),
    "darker": (f"{_DARKER} times as bright", lambda images, _: images * _DARKER),
}

REPLAYS = tuple(f"replay-{name}" for name in _CHANGES)
"""The culprits of which every image is a copy, by name."""


def copying_culprits(
    training: Float[Tensor, "training channels height width"],
    labels: Int64[Tensor, " training"],
) -> list[Culprit]:
    """Culprits that know these training images.

    The images that they are given to make something from must be others, that nobody trained on:
    what is not replaced by copies is honest.
    """
    replays = [
        Culprit(
            f"replay-{name}",
            f"every image is a training image {words}",
            _copying(training, labels, change, 1.0),
        )
        for name, (words, change) in _CHANGES.items()
    ]
    noisy = _CHANGES["noisy"][1]
    shares = [
        Culprit(
            f"copies-{100 * share:.0f}",
            f"{share:.0%} of the images are training images with noise",
            _copying(training, labels, noisy, share),
        )
        for share in SHARES
    ]
    mixed = Culprit(
        "interpolated",
        "every image is the mean of two training images of a class",
        _interpolating(training, labels),
    )
    return [*replays, *shares, mixed]


def _copying(training: Tensor, labels: Tensor, change: _Change, share: float) -> Corruption:
    def make(images: Tensor, own: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        random = torch.Generator().manual_seed(seed)
        count = round(share * len(images))
        place = torch.randperm(len(images), generator=random)[:count]
        source = _draw(len(training), count, random)
        made, classes = images.clone(), own.clone()
        made[place] = change(training[source], random).to(images.dtype)
        classes[place] = labels[source]
        return made, classes

    return make


def _interpolating(training: Tensor, labels: Tensor) -> Corruption:
    def make(images: Tensor, own: Tensor, seed: int) -> tuple[Tensor, Tensor]:  # noqa: ARG001
        random = torch.Generator().manual_seed(seed)
        first = _draw(len(training), len(images), random)
        second = torch.empty_like(first)
        for label in labels[first].unique().tolist():
            mine, others = (labels[first] == label).nonzero()[:, 0], (labels == label).nonzero()
            second[mine] = others[_draw(len(others), len(mine), random), 0]
        return (training[first] + training[second]) / 2, labels[first]

    return make


def _draw(n: int, count: int, random: torch.Generator) -> Tensor:
    """So many of ``n`` numbers, none twice as long as there are enough."""
    rounds = [torch.randperm(n, generator=random) for _ in range(-(-count // n))]
    return torch.cat(rounds)[:count] if rounds else torch.empty(0, dtype=torch.int64)
