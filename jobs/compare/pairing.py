"""Differences between two sides on the images that they share, paired image by image."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...core.statistics.classification import classify
from ...core.statistics.interval import Interval
from ...core.statistics.means import mean_interval
from ...core.statistics.proportions import paired_difference_interval
from ...workers.schema import STATUS_OK
from ...workers.shard import item_seed
from ..audits.across.classification.reduce import can_be_classified
from ..audits.inversion.reduce import reconstruction_conditions
from ..audits.likelihood.densities import Scores, read_scores
from ..reduce.groups import GroupValues, density_conditions
from ..reduce.schema import EVERY_CLASS, MARGINAL, NEAREST_CLASS
from ..reduce.tables import RunTables
from .sides import Side

# What a score's values are of an image, as a metric.
_METRICS = {
    "likelihood": "log_likelihood",
    "reconstruction": "reconstruction_mse",
    "reconstruction_lpips": "reconstruction_lpips",
}

# Of what a difference is: the value of every image of a group.
Key = tuple[str, str, str | None, str | None]


@dataclass(frozen=True)
class Difference:
    """Mean over shared images of a metric under ``second`` minus that under ``first``."""

    metric: str
    group: str
    condition: str | None
    estimator: str | None
    first: str
    second: str
    interval: Interval


@dataclass(frozen=True)
class Overlap:
    """How many images of a group two sides have, and share: the same source and the same pixels.

    ``altered`` counts images of one id and source whose pixels differ.
    """

    group: str
    first: str
    second: str
    first_images: int
    second_images: int
    shared: int
    altered: int


@dataclass(frozen=True)
class SideValues:
    """A side's images, by group and id with a hash of source and pixels, and values of each.

    The index of a series in ``by_key`` is (image id, class that the value is under): under its own
    class an image is only compared with itself under the same class.
    """

    side: Side
    images: dict[str, dict[str, tuple[str, str]]]
    by_key: "dict[Key, pd.Series[float]]"


@dataclass(frozen=True)
class _Content:
    """An image of a run: where it came from, and a hash of its ``pixels``."""

    generator: str | None
    group: str
    image_id: str
    source: str
    pixels: str


def side_values(sides: Sequence[Side]) -> list[SideValues]:
    """Reads what can be paired of each side, the images of a run once for all its generators.

    Raises:
        RunTableError: tables that contradict themselves.
    """
    runs = dict.fromkeys(side.context.tables for side in sides)
    contents = {tables: _contents(tables) for tables in runs}
    return [
        SideValues(side, _images(side, contents[side.context.tables]), dict(_values(side)))
        for side in sides
    ]


def overlaps(first: SideValues, second: SideValues) -> list[Overlap]:
    """The groups that both sides have images of."""
    found = []
    for group in first.images:
        if group in second.images:
            mine, theirs = first.images[group], second.images[group]
            common = mine.keys() & theirs.keys()
            shared = sum(mine[image] == theirs[image] for image in common)
            altered = sum(
                mine[image][0] == theirs[image][0] and mine[image][1] != theirs[image][1]
                for image in common
            )
            found.append(
                Overlap(
                    group,
                    first.side.letter,
                    second.side.letter,
                    len(mine),
                    len(theirs),
                    shared,
                    altered,
                )
            )
    return found


def differences(first: SideValues, second: SideValues) -> list[Difference]:
    """Every metric that both sides have of shared images, by group, condition and estimator."""
    found = []
    for key in [key for key in first.by_key if key in second.by_key]:
        metric, group, condition, estimator = key
        mine, theirs = first.images.get(group, {}), second.images.get(group, {})
        shared = {image for image, content in mine.items() if theirs.get(image) == content}
        joined = pd.concat([first.by_key[key], second.by_key[key]], axis=1, join="inner").dropna()
        kept = joined[joined.index.get_level_values(0).isin(shared)].sort_index()
        if not len(kept):
            continue
        difference = kept.iloc[:, 1].to_numpy(np.float64) - kept.iloc[:, 0].to_numpy(np.float64)
        interval = _difference_interval(first, second, key, difference)
        letters = first.side.letter, second.side.letter
        found.append(Difference(metric, group, condition, estimator, *letters, interval))
    return found


def _difference_interval(
    first: SideValues, second: SideValues, key: Key, difference: np.ndarray
) -> Interval:
    """The mean difference; of accuracies, by the images that one side alone has right."""
    is_accuracy = key[0].startswith("accuracy_")
    if not difference.any() and not (is_accuracy and first.side.weights != second.side.weights):
        # The same numbers: no interval is needed to call them equal. That two generators have the
        # same images right says less of all the others.
        return Interval(0.0, 0.0, 0.0, len(difference))
    if is_accuracy:
        gained, lost = (int(np.sum(difference * sign > 0)) for sign in (1, -1))
        return paired_difference_interval(gained, lost, len(difference))
    resamples = max(first.side.context.resamples, second.side.context.resamples)
    return mean_interval(difference, item_seed(0, "compare", *key), resamples=resamples)


def _contents(tables: RunTables) -> list[_Content]:
    """Every image that a run has the pixels of."""
    columns = ["status", "generator", "group", "image_id", "source", "pixels"]
    return [
        _Content(generator, group, image_id, source, _digest(pixels))
        for part in tables.read_parts("images", columns)
        for status, generator, group, image_id, source, pixels in zip(
            *(part[name].to_pandas() for name in columns), strict=True
        )
        if status == STATUS_OK
    ]


def _digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(np.asarray(pixels, np.float32).tobytes()).hexdigest()


def _images(side: Side, contents: Sequence[_Content]) -> dict[str, dict[str, tuple[str, str]]]:
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for content in contents:
        if pd.isna(content.generator) or content.generator == side.generator.name:
            of_group = found.setdefault(content.group, {})
            of_group[content.image_id] = (content.source, content.pixels)
    return found


def _values(side: Side) -> "Iterator[tuple[Key, pd.Series[float]]]":
    for scores in read_scores(side.context.tables):
        groups = scores.groups(side.context, side.generator)
        for values in groups.values():
            name, estimator = values.group.name, scores.estimator
            for condition, column in _columns(scores, values):
                yield (
                    (_METRICS[scores.method], name, condition, estimator),
                    _series(values, condition, column),
                )
            if can_be_classified(values):
                column = np.full(len(values.image_id), np.nan)
                whole = values.complete
                found = classify(scores.sign * values.by_class[whole])
                column[whole] = values.classes[found.predicted] == values.label[whole]
                accuracy = f"accuracy_{scores.method}"
                yield (accuracy, name, EVERY_CLASS, estimator), _series(values, EVERY_CLASS, column)


def _columns(scores: Scores, values: GroupValues) -> Iterator[tuple[str | None, np.ndarray]]:
    """Each image's value under every condition that its group has, nan where it failed."""
    if scores.method == "likelihood":
        for density in density_conditions(values):
            yield density, values.log_densities(density)
        return
    for condition in reconstruction_conditions(values):
        nearest = condition == NEAREST_CLASS
        yield condition, values.by_class.min(axis=1) if nearest else values.own


def _series(values: GroupValues, condition: str | None, column: np.ndarray) -> "pd.Series[float]":
    over_classes = condition in (MARGINAL, NEAREST_CLASS, EVERY_CLASS)
    under = np.full(len(column), -1) if over_classes else values.own_number
    return pd.Series(column, index=pd.MultiIndex.from_arrays([values.image_id, under]))
