"""The ``support`` stage: the closest pairs of a set of images, generated or real."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..core.statistics.support import closest_pairs, duplicate_threshold, pairs_within
from .datasets import ImageError, shard_image_set
from .generated_images import draws_images, sample_order, shard_generated_images
from .outcome import Failure, Outcome
from .reference_block import Vectors, flat
from .resources import Resources
from .revisions import Computation
from .schema import ListColumn, TableSchema
from .shard import Item
from .usable_images import image_failure, usable_generated


def _calls_networks(settings: Mapping[str, Any]) -> bool:
    return settings["set"] == "generated" and draws_images(settings)


COMPUTATION = Computation("offmanifold.workers.support:compute", "support", 2, _calls_networks)

# A row is a set of n images, or one of a generator's by its number: then n is 1, and it has no
# pairs. first, second and distance (l2 in pixels) are its pairs at most
# threshold apart, which the first set of real images gave: allowed pairs of it are as close.
# closest_pixels and beside_pixels are the images of the closest pairs, one after the other.
SUPPORT_TABLE = TableSchema(
    "support",
    1,
    (
        ("n", pa.int32()),
        ("allowed", pa.int32()),
        ("threshold", pa.float64()),
        ("first", pa.list_(pa.int32())),
        ("second", pa.list_(pa.int32())),
        ("distance", pa.list_(pa.float64())),
        ("closest_pixels", pa.list_(pa.float32())),
        ("beside_pixels", pa.list_(pa.float32())),
    ),
    always=("threshold",),
    lists=(
        ListColumn("first", ()),
        ListColumn("second", ("first",)),
        ListColumn("distance", ("first",)),
        ListColumn("closest_pixels", ()),
        ListColumn("beside_pixels", ("closest_pixels",)),
    ),
)

ALLOWED = 20
"""So many pairs of the first real images count as duplicates, besides equal ones."""
SHOWN = 10
"""Of how many of the closest pairs pixels are kept."""
FEWEST = 64
"""Nothing is said of fewer images of a set."""
_GENERATED_TOGETHER = 256


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``support`` table: the set of generated or real images of the settings.

    Images that cannot be used are left out; of fewer than `FEWEST` nothing is computed. Of a
    generator each image has an item too, the one with a number, which fails where it is left out.
    """
    which = settings["set"]
    failures: Mapping[int, Failure] = {}
    numbers = [item.index for item in items if item.index is not None]
    asks_for_set = len(numbers) < len(items)
    try:
        (calibrating, judged) = resources.kept(
            "real images", _real_key(settings), lambda: _real_images(settings, resources), most=1
        )
        allowed, threshold = _threshold(calibrating)
        if which == "generated":
            every = range(settings["images"]) if asks_for_set else numbers
            images, failures = _generated(every, settings, resources)
        else:
            images = judged if which == "judged" else calibrating
    except ImageError as error:
        return [image_failure(error) for _ in items]
    return [
        _set_row(images, allowed, threshold)
        if item.index is None
        else failures.get(item.index, _image_row(allowed, threshold))
        for item in items
    ]


def _set_row(images: Vectors, allowed: int, threshold: float) -> Outcome:
    if len(images) < FEWEST:
        return Failure(f"{len(images)} images can be used, at least {FEWEST} are needed")
    near = pairs_within(images, threshold)
    # Pairs beyond the threshold are shown too, where there are few within it.
    is_enough = len(near.distance) >= SHOWN
    shown = near if is_enough else closest_pairs(images, min(SHOWN, _every(images)))
    return {
        "n": len(images),
        "allowed": allowed,
        "threshold": threshold,
        "first": near.first.astype(np.int32),
        "second": near.second.astype(np.int32),
        "distance": near.distance,
        "closest_pixels": images[shown.first[:SHOWN]].ravel().tolist(),
        "beside_pixels": images[shown.second[:SHOWN]].ravel().tolist(),
    }


def _image_row(allowed: int, threshold: float) -> Outcome:
    """That of an image of the set, which has no pair by itself."""
    none: dict[str, list[float]] = {
        name: [] for name in ("first", "second", "distance", "closest_pixels", "beside_pixels")
    }
    return {"n": 1, "allowed": allowed, "threshold": threshold, **none}


def _every(images: Vectors) -> int:
    return len(images) * (len(images) - 1) // 2


def _real_key(settings: Mapping[str, Any]) -> tuple[Any, ...]:
    keys = ("real_length", "real_images", "real_seed")
    return (settings["real"]["hash"], *(settings[key] for key in keys))


def _real_images(settings: Mapping[str, Any], resources: Resources) -> tuple[Vectors, Vectors]:
    """Two sets of real images with none in common; those that cannot be used are left out.

    Raises:
        ImageError: there are too few that can.
    """
    images = shard_image_set(settings["real"], resources)
    count, pixels, unusable = settings["real_images"], [], None
    for place in sample_order(settings["real_length"], settings["real_seed"]).tolist():
        try:
            pixels.append(images.image(place)[0])
        except ImageError as error:
            unusable = error
            continue
        if len(pixels) == 2 * count:
            break
    half = len(pixels) // 2
    _require(half, "real images in each of two sets", unusable)
    vectors = flat(np.stack(pixels))
    return vectors[:half], vectors[half:]


def _generated(
    numbers: Sequence[int], settings: Mapping[str, Any], resources: Resources
) -> tuple[Vectors, dict[int, Failure]]:
    """Images of the classes that are asked for, and why others cannot be used, by number."""
    generator = shard_generated_images(settings["generated"], resources)
    classes = settings.get("classes") or [None] * settings["images"]
    parts: list[Vectors] = []
    failures: dict[int, Failure] = {}
    for start in range(0, len(numbers), _GENERATED_TOGETHER):
        together = numbers[start : start + _GENERATED_TOGETHER]
        made = usable_generated(generator, [(classes[number], number) for number in together])
        failures |= {together[place]: failure for place, failure in made.failures.items()}
        if len(made.images):
            parts.append(flat(made.images.cpu().numpy()).astype(np.float32, copy=False))
    return np.concatenate(parts) if parts else np.empty((0, 0), np.float32), failures


def _require(count: int, what: str, unusable: ImageError | None) -> None:
    if count < FEWEST:
        reason = "" if unusable is None else f"; one that cannot be: {unusable}"
        raise ImageError(f"{count} {what} can be used, at least {FEWEST} are needed{reason}")


def _threshold(calibrating: Vectors) -> tuple[int, float]:
    """How many pairs may lie within the threshold, and the threshold.

    Equal images among the real ones are not counted: else no distance would tell duplicates.
    """
    different = len(np.unique(calibrating, axis=0))
    if different * (different - 1) // 2 <= ALLOWED:
        raise ImageError(
            f"of {len(calibrating)} real images {different} differ, so that no distance tells a "
            "generator's duplicates from them: name real images that differ from each other"
        )
    pairs = closest_pairs(calibrating, min(ALLOWED + 1, _every(calibrating)))
    equal = int(np.sum(pairs.distance == 0))
    if equal:
        pairs = closest_pairs(calibrating, min(equal + ALLOWED + 1, _every(calibrating)))
    return equal + ALLOWED, duplicate_threshold(pairs, equal + ALLOWED)
