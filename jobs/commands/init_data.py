"""What is found of the images that a spec begins with: groups of the data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...cluster.locations import is_remote
from ...workers.datasets import DatasetError, ImageError, ImageSet, open_dataset
from ...workers.datasets.class_map import found_classes
from ...workers.datasets.kind_of_path import kind_of_path
from ...workers.datasets.survey import survey
from ..spec.loading import SpecError
from .init_generator import FoundGenerator, Shape
from .init_request import Request, spec_path

_HELD_OUT = ("test", "val", "valid", "validation")
_SPLIT_SETS = ("cifar10", "svhn", "mnist", "fashion_mnist")
# Under all of more classes an image takes too long.
_MOST_CLASSES = 10
# Of what lies in a bucket, by its name; all else there is a folder.
_REMOTE_KINDS = {".zip": "zip", ".npz": "npz"}
# Tried in turn: the fewest with which the images fit the generator are kept.
_OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"resize": "lanczos"},
    {"alpha": "white"},
    {"resize": "lanczos", "alpha": "white"},
)


@dataclass(frozen=True)
class FoundGroup:
    """Images of the data: the keys that open them, how many there are, and remarks on them."""

    name: str
    keys: dict[str, Any]
    length: int | None
    remarks: tuple[str, ...] = ()


def found_groups(request: Request, generator: FoundGenerator) -> list[FoundGroup]:
    """Training images, and held-out ones where the place has them apart.

    Raises:
        SpecError: none of them fit the generator, or nothing is there.
    """
    if request.images is None:
        return []
    place = request.images
    if is_remote(place):
        kind: str | None = _REMOTE_KINDS.get(Path(place).suffix.lower(), "folder")
    else:
        kind = kind_of_path(Path(place))
    if kind is None:
        raise SpecError(
            f"--images {place}: no folder of pictures, archive or image set is there "
            "(`offmanifold list datasets` names the kinds)"
        )
    base = {
        "dataset": kind,
        "path": place if is_remote(place) else spec_path(Path(place), request.out),
    }
    splits: dict[str, str | None] = {"train": None}
    if kind in _SPLIT_SETS:
        splits = {"train": "train", "test": "test"}
    elif kind == "folder" and not is_remote(place) and (Path(place) / "train").is_dir():
        held_out = [name for name in _HELD_OUT if (Path(place) / name).is_dir()]
        splits = {"train": "train", **({"test": held_out[0]} if held_out else {})}
    return [
        _group(name, base | ({"split": split} if split else {}), place, generator)
        for name, split in splits.items()
    ]


def _group(name: str, keys: dict[str, Any], place: str, generator: FoundGenerator) -> FoundGroup:
    if generator.image_shape is None:
        remark = "Not looked at, as the generator was not; resize: lanczos brings them to its size."
        return FoundGroup(name, keys, None, (remark,))
    images, options = _opened(keys, place, generator.image_shape)
    remarks = []
    if "resize" in options:
        remarks.append(
            "Pictures of another size are brought to the generator's; the training's own "
            "preparation may have been another."
        )
    if "alpha" in options:
        remarks.append("Transparent pictures are laid on white; alpha: drop takes their colours.")
    keys = keys | options
    classes = found_classes(images)
    if generator.num_classes and classes is None:
        keys["conditions"] = "all" if generator.num_classes <= _MOST_CLASSES else "in_turn"
        remarks.append(
            "Its images have no classes. all: every class, at that many times the cost; in_turn: "
            "one each, whatever the image shows, and no verdict; or in place of conditions "
            "class: N, or labels: FILE."
        )
    elif generator.num_classes and classes is not None and not classes.numbered:
        found = sorted(classes.names.values())
        if len(found) < generator.num_classes and not all(map(str.isdigit, found)):
            shown = ", ".join(f"{each}: ?" for each in found[:3])
            remarks.append(
                f"The generator has {generator.num_classes} classes, and here are {len(found)}: "
                f"say which they are, classes: {{{shown}, …}}."
            )
    return FoundGroup(name, keys, images.length, tuple(remarks))


def _opened(
    keys: dict[str, Any], place: str, image_shape: Shape
) -> tuple[ImageSet, dict[str, Any]]:
    """The set, and the fewest options under which its images fit the generator."""
    refusals = []
    for options in _OPTIONS:
        try:
            images = open_dataset(
                keys["dataset"],
                split=keys.get("split", ""),
                path=place,
                image_shape=image_shape,
                **options,
            )
            survey(images)
        except (DatasetError, ImageError) as error:
            refusals.append(error)
        else:
            return images, options
    raise SpecError(f"--images {place}: {refusals[0]}") from refusals[0]
