"""The nearest training images of images that a user asks about, with p-values where there are any.

A p-value is the rank of an image's nearness among those of held-out images, as in the audit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from ....core.statistics.copies import (
    NEAREST,
    benjamini_hochberg,
    held_out_p_values,
    nearness,
    share_of_copies,
)
from ....core.statistics.interval import CONFIDENCE
from ....core.statistics.views import View, nearest_view, view_nearness
from ....workers.datasets import ImageError, ImageSet, shard_image_set
from ....workers.held_out import held_out_halves
from ....workers.nearest_training import NearestTraining, NoTrainingImageError, nearest_training
from ....workers.resources import Resources
from ...plan.stage import AuditContext
from ...report.verdict import ERROR_RATE
from ...spec.loading import SpecError
from ..images.plan import reference_settings
from ..neighbours.settings import NEIGHBOURS
from .plan import block_images, shared_settings
from .settings import COPIES

SHOWN = 5
"""Of how many nearest training images of each image there is an account."""
_TOGETHER = 1024
NO_P_VALUES = (
    "There are no p-values: the spec names no held-out images, and how near images come to "
    "training images that they were not copied from is only known from real images that the "
    "generator was not trained on. Add `stages.copies: {dataset: ..., held_out: {dataset: ..., "
    "split: test}}` to the spec."
)


@dataclass(frozen=True)
class Neighbour:
    """A training image: its place in its set, its source, and its distance in a view."""

    index: int
    source: str
    distance: float


@dataclass(frozen=True)
class Nearest:
    """What is nearest to an image that was asked about, the one at place ``index`` of its set.

    ``nearness`` is that in the ``view`` in which it is least, and ``neighbours`` the nearest
    training images there, the nearest first. ``p_value`` is its rank among held-out images, and
    ``placebo`` the same with held-out images in the place of training images, from which nothing
    can have been copied. ``found`` says whether it is nearer than held-out images are, at a false
    discovery rate of 5% of all images asked about, and ``is_copy`` whether the placebo lets that
    count: None where it does not, or where nothing was found. None without held-out images.
    """

    index: int
    source: str
    nearness: float
    view: str
    neighbours: tuple[Neighbour, ...]
    p_value: float | None = None
    placebo: float | None = None
    found: bool | None = None
    is_copy: bool | None = None


@dataclass(frozen=True)
class Ranking:
    """How many held-out images the p-values rest on, and the placebo's.

    ``placebo_p`` is the p-value that the images, all together, lie no nearer to held-out images
    than others of these do: where it is small, nearness to training images is no sign of copying.
    """

    held_out: int
    placebo: int
    placebo_p: float


@dataclass(frozen=True)
class Answer:
    """The images that could be used, in their order, and why the others could not."""

    images: tuple[Nearest, ...]
    unusable: tuple[str, ...]
    training: ImageSet
    ranking: Ranking | None


@dataclass(frozen=True)
class Ranks:
    """The p-values of images, the placebo's, that of all together, and what follows for each."""

    p_value: Float64[np.ndarray, " images"]
    placebo: Float64[np.ndarray, " images"]
    placebo_p: float
    found: Bool[np.ndarray, " images"]
    is_copy: Bool[np.ndarray, " images"]


def ranked(
    values: Float64[np.ndarray, " images"],
    held_out: Float64[np.ndarray, " held"],
    placebo: Float64[np.ndarray, " images"],
    others: Float64[np.ndarray, " others"],
) -> Ranks:
    """Which of some images are copies: nearness ranked among that of held-out images.

    ``values`` and ``held_out`` are nearness among the training images; ``placebo`` and ``others``,
    of the same images and of held-out ones, nearness among the rest of the held-out images.
    """
    p_values, placebos = held_out_p_values(values, held_out), held_out_p_values(placebo, others)
    whole = _placebo_p(placebo, others)
    discovered = benjamini_hochberg(p_values, 1 - CONFIDENCE)
    counts = discovered & (placebos > ERROR_RATE) & (whole > ERROR_RATE)
    return Ranks(p_values, placebos, whole, discovered, counts)


class Query:
    """The training images that a spec names, and held-out ones if it names any."""

    def __init__(self, context: AuditContext, resources: Resources) -> None:
        """The training images are those of ``stages.copies``, or of ``stages.neighbours``.

        Raises:
            SpecError: neither is there.
        """
        stages = context.spec.stages
        copies, neighbours = COPIES.of(stages), NEIGHBOURS.of(stages)
        if copies is not None:
            self._settings = shared_settings(context)
        elif neighbours is not None:
            facts = context.facts.references[NEIGHBOURS.name]
            self._settings = {
                "training": reference_settings(context, NEIGHBOURS.name),
                "training_length": facts.length,
                "block_images": block_images(context, neighbours.block_mib),
            }
        else:
            raise SpecError(
                "stages: none says what the training images are; add `copies: {dataset: ..., "
                "split: train, held_out: {dataset: ..., split: test}}`"
            )
        self._key = f"stages.{NEIGHBOURS.name if copies is None else COPIES.name}"
        self._has_held_out = copies is not None
        self._resources = resources

    def answer(self, images: ImageSet, views: Sequence[View]) -> Answer:
        """The nearest training images of all images of a set with an end, in these views.

        Raises:
            SpecError: none of them can be used, or too few of those that the spec names.
        """
        unusable: list[str] = []
        found: list[Nearest] = []
        placebo: list[np.ndarray] = []
        first = self._held_out(0) if self._has_held_out else None
        training = None
        for batch, used in _batches(images, range(images.length or 0), unusable):
            training = self._training(batch, views)
            found += _found(training, images, used)
            if first is not None:
                placebo.append(_among(batch, first, views))
        if training is None:
            raise SpecError(f"none of these images can be used: {unusable[0]}")
        ranking = None
        if first is not None:
            found, ranking = self._ranked(found, np.concatenate(placebo), first, views)
        return Answer(tuple(found), tuple(unusable), training.images, ranking)

    def _ranked(
        self,
        found: list[Nearest],
        placebo: np.ndarray,
        first: Tensor,
        views: Sequence[View],
    ) -> tuple[list[Nearest], Ranking]:
        second = self._held_out(1)
        among_training = np.concatenate([self._least(half, views) for half in (first, second)])
        others = _among(second, first, views)
        ranks = ranked(np.array([each.nearness for each in found]), among_training, placebo, others)
        judged = [
            replace(
                each,
                p_value=float(ranks.p_value[row]),
                placebo=float(ranks.placebo[row]),
                found=bool(ranks.found[row]),
                is_copy=True if ranks.is_copy[row] else None,
            )
            for row, each in enumerate(found)
        ]
        return judged, Ranking(len(among_training), len(second), ranks.placebo_p)

    def _held_out(self, half: int) -> Tensor:
        """The usable images of a half of those that the audit would choose."""
        images = shard_image_set(self._settings["held_out"], self._resources)
        places = held_out_halves(
            self._settings["held_out_length"],
            self._settings["held_out_images"],
            self._settings["held_out_seed"],
        )[half]
        usable = [batch for batch, _ in _batches(images, places, [])]
        count = sum(len(each) for each in usable)
        if count < NEAREST:
            raise SpecError(
                f"{self._key}.held_out: {count} of {len(places)} chosen images can be used, but "
                f"{NEAREST} are needed; name others, or more with {self._key}.images"
            )
        return torch.cat(usable)

    def _least(self, images: Tensor, views: Sequence[View]) -> np.ndarray:
        """Nearness among the training images, in the view in which it is least."""
        values = []
        for batch in images.split(_TOGETHER):
            lists = self._training(batch, views).lists
            values.append(
                nearest_view({name: nearness(each.distance) for name, each in lists.items()})[0]
            )
        return np.concatenate(values)

    def _training(self, images: Tensor, views: Sequence[View]) -> NearestTraining:
        try:
            found = nearest_training(images, views, self._settings, self._resources)
            usable = len(found.index)
        except NoTrainingImageError:
            usable = 0
        except ValueError as error:
            raise SpecError(f"{self._key}: the images could not be compared: {error}") from error
        if usable < NEAREST:
            raise SpecError(
                f"{self._key}.dataset: {usable} of the {self._settings['training_length']} images "
                f"of {self._settings['training']['dataset']} can be used, but the nearest "
                f"{NEAREST} of an image are looked at; give at least {NEAREST}"
            )
        return found


def _found(training: NearestTraining, images: ImageSet, used: Sequence[int]) -> Iterator[Nearest]:
    least, best = nearest_view(
        {name: nearness(lists.distance) for name, lists in training.lists.items()}
    )
    for row, place in enumerate(used):
        lists = training.lists[best[row]]
        near = zip(lists.index[row, :SHOWN], lists.distance[row, :SHOWN], strict=True)
        known = [(int(training.index[index]), float(distance)) for index, distance in near]
        neighbours = tuple(
            Neighbour(index, training.images.source(index), distance) for index, distance in known
        )
        yield Nearest(place, images.source(place), float(least[row]), best[row], neighbours)


def _placebo_p(values: np.ndarray, held_out: np.ndarray) -> float:
    """1 where all held-out images are at distance 0, so that nothing is nearer."""
    try:
        return share_of_copies(values, held_out).p_value
    except ValueError:
        return 1.0


def _among(images: Tensor, references: Tensor, views: Sequence[View]) -> np.ndarray:
    return nearest_view(view_nearness(images, references, views))[0]


def _batches(
    images: ImageSet, places: Sequence[int], unusable: list[str]
) -> Iterator[tuple[Tensor, list[int]]]:
    """The usable images [n, C, H, W] and their places; of the others, the reasons."""
    pixels: list[np.ndarray] = []
    used: list[int] = []
    for place in places:
        try:
            pixels.append(images.image(place)[0])
        except ImageError as error:
            unusable.append(str(error))
            continue
        used.append(place)
        if len(used) == _TOGETHER:
            yield torch.from_numpy(np.stack(pixels)), used
            pixels, used = [], []
    if used:
        yield torch.from_numpy(np.stack(pixels)), used
