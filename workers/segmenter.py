"""A user's own segmenter: ``module:function``, tried on images of noise before any work."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .generator_errors import GeneratorError
from .held_numbers import holds_numbers, identity
from .on_cpu import on_cpu
from .own_function import FAILURES, call_function, told
from .resources import ChangedInputError, Resources

_TOGETHER = 16
_CHECKED = 3


class SegmenterError(ValueError):
    """A segmenter cannot be used: what was found, what was expected and what to do."""


@dataclass(frozen=True)
class Segmenter:
    """What a user's function returned, and how many classes of objects it tells apart."""

    call: Any
    classes: int

    def areas(self, images: Tensor) -> Tensor:
        """The share of each image's pixels that each class has, float64 [N, classes].

        Args:
            images: [N, C, H, W] in [0, 1].

        Raises:
            SegmenterError: it returns no maps of class numbers, or a number beyond the classes.
        """
        found = []
        with torch.no_grad():
            for some in images.split(_TOGETHER):
                maps = self.call(some)
                self._check(maps, len(some))
                flat = maps.flatten(1).long().cpu()
                counts = torch.zeros(len(flat), self.classes, dtype=torch.float64)
                ones = torch.ones(flat.shape, dtype=torch.float64)
                found.append(counts.scatter_add_(1, flat, ones) / flat.shape[1])
        return torch.cat(found)

    def _check(self, maps: Any, count: int) -> None:
        if not isinstance(maps, Tensor) or maps.is_floating_point() or maps.is_complex():
            kind = maps.dtype if isinstance(maps, Tensor) else type(maps).__name__
            raise SegmenterError(
                f"it returns {kind}, expected whole numbers [N, height, width], the class of each "
                "pixel (of logits [N, classes, height, width] the argmax(1))"
            )
        if maps.ndim != 3 or len(maps) != count or not maps[0].numel():
            raise SegmenterError(
                f"it returns shape {list(maps.shape)} for {count} images, expected "
                f"[{count}, height, width]"
            )
        low, high = int(maps.min()), int(maps.max())
        if low < 0 or high >= self.classes:
            raise SegmenterError(
                f"it returns class {low if low < 0 else high}, but there are {self.classes} "
                f"classes, 0 to {self.classes - 1}; name every class that it knows, in its order"
            )


def open_segmenter(
    source: str, import_path: str | None, classes: int, device: torch.device
) -> tuple[Segmenter, str]:
    """The segmenter on a device, and the SHA-256 of its source, and of its numbers if it has any.

    Raises:
        SegmenterError: there is no such function, it raises, or what it returns cannot be called.
    """
    try:
        found, source_sha256 = call_function("segmenter", source, import_path)
    except GeneratorError as error:
        raise SegmenterError(str(error)) from error
    if not callable(found):
        raise SegmenterError(
            f"segmenter '{source}': its function returned {type(found).__name__}, expected what "
            "can be called with images [N, C, H, W] in [0, 1]"
        )
    if not isinstance(found, nn.Module):
        sha256 = identity(source_sha256, found) if holds_numbers(found) else source_sha256
        return Segmenter(on_cpu(found), classes), sha256
    sha256 = identity(source_sha256, found)
    return Segmenter(found.eval().to(device), classes), sha256


def describe_segmenter(
    source: str, import_path: str | None, classes: int, image_shape: tuple[int, int, int]
) -> str:
    """Tries a segmenter on images of noise; its SHA-256.

    Raises:
        SegmenterError: it cannot be opened or used, or gives other maps for the same image.
    """
    segmenter, sha256 = open_segmenter(source, import_path, classes, torch.device("cpu"))
    images = torch.rand(_CHECKED, *image_shape, generator=torch.Generator().manual_seed(0))
    try:
        areas, again = segmenter.areas(images), segmenter.areas(images)
    except SegmenterError as error:
        raise SegmenterError(f"segmenter '{source}': {error}") from error
    except FAILURES as error:
        # What a user's code raises is of any type.
        raise SegmenterError(
            f"segmenter '{source}': called with images {[_CHECKED, *image_shape]} in [0, 1] it "
            f"raised {told(error, brief=True)}"
        ) from error
    if not torch.equal(areas, again):
        raise SegmenterError(
            f"segmenter '{source}' gives other maps for the same images: switch off dropout and "
            "what else is random"
        )
    return sha256


def shard_segmenter(settings: Mapping[str, Any], resources: Resources) -> Segmenter:
    """The segmenter that a shard's settings name, on the worker's device; opened once.

    Raises:
        ChangedInputError: what lies there is not what the run was planned with.
        SegmenterError: as :func:`open_segmenter`.
    """
    source, planned = settings["source"], settings["sha256"]

    def opened() -> Segmenter:
        found, sha256 = open_segmenter(
            source, settings["import_path"], settings["classes"], resources.device
        )
        if sha256 != planned:
            raise ChangedInputError.of(f"SHA-256 of segmenter {source}", sha256, planned)
        return found

    return resources.kept("segmenter", (source, planned, settings["classes"]), opened)
