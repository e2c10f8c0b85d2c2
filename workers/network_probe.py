"""What a user's network in a file takes and makes, found by calling it: for whoever begins a spec.

Nothing here is used by an audit, whose spec says what its network is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.generators.native_range import usual_range
from .user_networks import open_module

if TYPE_CHECKING:
    from torch import Tensor, nn

_IMAGES = 16
# The first layers say how long a latent is, an embedding how many classes there are.
_LAYERS = 12
_MOST_CLASSES = 20_000


@dataclass(frozen=True)
class FoundNetwork:
    """What a network was found to take and to make.

    ``values`` are the least and the largest of its output, for a few latents from N(0, I);
    ``native_range`` is the usual range that holds them all, None where none does.
    """

    latent_shape: tuple[int, ...]
    image_shape: tuple[int, int, int]
    num_classes: int
    one_hot: bool
    values: tuple[float, float]
    native_range: tuple[float, float] | None


def probe_network(path: Path, network_format: str) -> FoundNetwork | None:
    """Calls the network in a file with latents as its weights suggest; None where none fits.

    A TorchScript or torch.export file is a program, which this runs.

    Raises:
        GeneratorError: the file cannot be read, or is of another format.
    """
    import torch

    module, _ = open_module(path, network_format)
    shapes = [tuple(each.shape) for each in (*module.parameters(), *module.buffers())]
    with torch.no_grad():
        for latent_shape, classes in product(_latent_shapes(shapes), _classes(shapes)):
            found = _call(module, latent_shape, *classes)
            if found is not None:
                return found
    return None


def _latent_shapes(shapes: list[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    layers = [shape for shape in shapes if len(shape) in (2, 4)][:_LAYERS]
    # What a linear layer takes stands last in its weights; of a transposed convolution, first.
    sizes = [shape[1] if len(shape) == 2 else shape[0] for shape in layers]
    sizes += [shape[0] if len(shape) == 2 else shape[1] for shape in layers]
    for size in dict.fromkeys(sizes):
        yield (size,)
        yield (size, 1, 1)


def _classes(shapes: list[tuple[int, ...]]) -> Iterator[tuple[int, bool]]:
    """Numbers of classes, and whether they are given one-hot; none come first."""
    yield 0, False
    layers = [shape for shape in shapes if len(shape) == 2]
    # An embedding takes any number of classes up to its own, and no larger one.
    for size in sorted({shape[0] for shape in layers}, reverse=True):
        if 1 < size <= _MOST_CLASSES:
            yield size, False
    for size in dict.fromkeys(shape[1] for shape in layers):
        if 1 < size <= _MOST_CLASSES:
            yield size, True


def _call(
    module: "nn.Module", latent_shape: tuple[int, ...], num_classes: int, one_hot: bool
) -> FoundNetwork | None:
    import torch

    random = torch.Generator().manual_seed(0)
    latent = torch.randn(_IMAGES, *latent_shape, generator=random)
    classes = torch.arange(_IMAGES) % num_classes if num_classes else None
    arguments: list[Any] = [latent]
    if classes is not None:
        # The last class is among them, so that a network with fewer refuses.
        indices = num_classes - 1 - classes
        rows = torch.nn.functional.one_hot(indices, num_classes).to(torch.get_default_dtype())
        arguments.append(rows if one_hot else indices)
    try:
        images = module(*arguments)
    except Exception:  # noqa: BLE001
        # What a network raises for a latent that is not its own is of any type.
        return None
    if not _are_images(images):
        return None
    channels, height, width = images.shape[1:]
    values = float(images.min()), float(images.max())
    return FoundNetwork(
        latent_shape,
        (channels, height, width),
        num_classes,
        one_hot,
        values,
        usual_range(*values),
    )


def _are_images(images: "Tensor | object") -> bool:
    import torch

    return (
        isinstance(images, torch.Tensor)
        and images.is_floating_point()
        and images.ndim == 4
        and images.shape[0] == _IMAGES
        and images.shape[1] in (1, 3)
        and min(images.shape[2:]) > 1
        and bool(images.isfinite().all())
    )
