"""Image sets: each module opens one kind of source as float images in [0, 1]."""

from .image_set import DatasetError, ImageError, ImageSet, file_error
from .opening import (
    list_datasets,
    open_dataset,
    open_shard_set,
    shard_image_set,
    takes_pictures,
)

__all__ = [
    "DatasetError",
    "ImageError",
    "ImageSet",
    "file_error",
    "list_datasets",
    "open_dataset",
    "open_shard_set",
    "shard_image_set",
    "takes_pictures",
]
