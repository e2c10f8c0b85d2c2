"""Pictures that groups of different roles have in common, such as training and test images."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from ...workers.datasets import ImageError, ImageSet
from ...workers.datasets.survey import spread

# Of a group that takes more images, so many at equal distances are compared.
MOST_COMPARED = 5_000


@dataclass(frozen=True)
class ChosenImages:
    """The images that a group of data takes of its set."""

    group: str
    role: str
    images: ImageSet
    chosen: Sequence[int]


@dataclass(frozen=True)
class SharedImages:
    """So many images of group ``one`` are also in ``other``, pixel for pixel, of ``compared``.

    ``examples`` are the sources of one such picture, in either group. Where ``complete``, all
    images of both groups were compared; else there may be more.
    """

    one: str
    other: str
    count: int
    compared: int
    complete: bool
    examples: tuple[str, str]

    def __str__(self) -> str:
        """The line for whoever plans or runs the audit."""
        count = (
            f"{self.count:,} of {self.compared:,}" if self.complete else f"at least {self.count:,}"
        )
        first, second = self.examples
        same = first if first == second else f"{first} and {second}"
        return (
            f"{self.one} and {self.other} share pictures: {count} images of {self.one} are also in "
            f"{self.other}, such as {same}; what an audit says of the one it then says in part of "
            "the other"
        )


def shared_images(groups: Sequence[ChosenImages]) -> tuple[SharedImages, ...]:
    """Every two groups of different roles that have pictures in common, after any resizing.

    Images that cannot be read are left out, and so are sets without end, whose images are drawn.
    """
    stored = [each for each in groups if each.images.length is not None]
    if len({each.role for each in stored}) < 2:
        return ()
    sources = {each.group: _sources(each) for each in stored}
    found = []
    for one, other in combinations(stored, 2):
        if one.role == other.role:
            continue
        mine, theirs = sources[one.group], sources[other.group]
        common = [digest for digest in mine if digest in theirs]
        if common:
            first = common[0]
            found.append(
                SharedImages(
                    one.group,
                    other.group,
                    sum(len(mine[digest]) for digest in common),
                    sum(map(len, mine.values())),
                    max(len(one.chosen), len(other.chosen)) <= MOST_COMPARED,
                    (_source(one, mine[first]), _source(other, theirs[first])),
                )
            )
    return tuple(found)


def _sources(group: ChosenImages) -> dict[bytes, list[int]]:
    """Places in the set of the images with the same pixels, by the digest of these."""
    found: dict[bytes, list[int]] = {}
    for position in spread(len(group.chosen), MOST_COMPARED):
        index = group.chosen[position]
        try:
            pixels, _ = group.images.image(index)
        except ImageError:
            continue
        found.setdefault(hashlib.sha256(pixels.tobytes()).digest(), []).append(index)
    return found


def _source(group: ChosenImages, places: Sequence[int]) -> str:
    return group.images.source(places[0])
