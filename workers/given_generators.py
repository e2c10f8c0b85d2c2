"""A generator that a Python program hands over as an object: its copy, its hash, its opening.

What is given is known to this process alone, so only an audit in this process can use it.
"""

import copy
import hashlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from .generator_errors import GeneratorError
from .generator_source import GIVEN_PREFIX
from .held_numbers import tensor_bytes
from .opened_generator import OpenedGenerator
from .own_function import FAILURES, told
from .own_generator import check_generator, few_inputs
from .process import one_thread
from .user_networks import UserNetwork, wrapped

if TYPE_CHECKING:
    from ..core.generators.protocol import Generator

_CPU = torch.device("cpu")
_BATCH = 16
# Colours and their opacity.
_MOST_CHANNELS = 4

# By name, for as long as `given` lasts.
_generators: dict[str, "Generator"] = {}


def copies_of(generators: Mapping[str, object]) -> dict[str, "Generator"]:
    """Copies of generators, by their names: on the CPU, in evaluation mode, weights frozen.

    The objects themselves are left as they are, and what becomes of them later does not matter.

    Raises:
        GeneratorError: one cannot be copied, or breaks the protocol of generators.
    """
    copies: dict[str, Generator] = {}
    for name, generator in generators.items():
        source = GIVEN_PREFIX + name
        copies[name] = _copied(source, generator)
        check_generator(source, copies[name])
    return copies


@contextmanager
def given(generators: Mapping[str, "Generator"]) -> Iterator[None]:
    """Makes ``object:NAME`` mean that generator while the block lasts, in the whole process."""
    before = dict(_generators)
    try:
        _generators.update(generators)
        yield
    finally:
        _generators.clear()
        _generators.update(before)


def open_given(source: str) -> OpenedGenerator:
    """A copy of the generator that is given under a name, and the hash of what it is.

    Raises:
        GeneratorError: none is given here under that name.
    """
    found = _generators.get(source.removeprefix(GIVEN_PREFIX))
    if found is None:
        raise GeneratorError(
            f"generator '{source}' is an object of the Python program that started this audit, and "
            "no file: go on with the same call of offmanifold.audit, with generator= and out="
        )
    return OpenedGenerator.of_user(source, copy.deepcopy(found), _hash(found))


def generator_of(
    network: Callable[..., Any], said: UserNetwork, image_shape: tuple[int, int, int] | None
) -> "Generator":
    """A network, and what it does not say of itself, as a generator; the network is copied.

    Without ``image_shape`` the network is called once, and the shape is that of its images.

    Raises:
        GeneratorError: the network cannot be copied or called, or makes no images.
    """
    name = type(network).__name__
    module = _copied(name, network)
    if image_shape is None:
        image_shape = _shape_of_images(name, module, said)
    return wrapped(cast(nn.Module, module), replace(said, image_shape=image_shape))


def _shape_of_images(name: str, module: Any, said: UserNetwork) -> tuple[int, int, int]:
    square = wrapped(module, said)
    latent, condition = few_inputs(square)
    try:
        with torch.no_grad():
            images = square.module(latent, condition) if said.num_classes else square.module(latent)
    except FAILURES as error:
        raise GeneratorError(
            f"network {name}: called with latents [{len(latent)}, "
            f"{', '.join(map(str, said.latent_shape))}] it raised {told(error)}"
        ) from error
    if not isinstance(images, Tensor) or not images.is_floating_point():
        made = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise GeneratorError(
            f"network {name} must return a float tensor, not {made}: return its images alone, as "
            "they are before they are rounded"
        )
    if images.dim() != 4:
        raise GeneratorError(
            f"network {name}: expected images [N, channels, height, width], it made "
            f"{list(images.shape)}; give image_shape if it makes flat rows of pixels"
        )
    channels, height, width = images.shape[1:]
    if channels > _MOST_CHANNELS:
        raise GeneratorError(
            f"network {name} made images {list(images.shape)}; channels come first, and 1 or 3 of "
            f"them are expected, not {channels}: return images.permute(0, 3, 1, 2) if they come "
            "last, or give image_shape if they are channels"
        )
    return channels, height, width


def _copied(name: str, generator: Any) -> Any:
    held = _held_network(generator)
    if held is not None:
        raise GeneratorError(
            f"generator '{name}' is a function around a network ({type(held).__name__}), which "
            "would not be copied with it: give the network itself, or an nn.Module that holds it "
            "and calls it in forward"
        )
    try:
        kept = copy.deepcopy(generator)
    except Exception as error:
        # What a class of the user's, or a tensor with a history, raises is of any type.
        raise GeneratorError(
            f"generator '{name}' cannot be copied ({type(error).__name__}: {error}). Give it as "
            "source: module:function, a function that makes it"
        ) from error
    if isinstance(kept, nn.Module):
        kept = kept.to(_CPU).eval().requires_grad_(False)
    return kept


def _held_network(function: Any) -> nn.Module | None:
    """The network that a function or method only refers to, so that no copy of it is made."""
    own = getattr(function, "__self__", None)
    if isinstance(own, nn.Module):
        return own
    if not inspect.isfunction(function):
        return None
    try:
        names = inspect.getclosurevars(function)
    except ValueError:
        return None
    values = (*names.nonlocals.values(), *names.globals.values())
    return next((each for each in values if isinstance(each, nn.Module)), None)


def _hash(generator: "Generator") -> str:
    """SHA-256 of a generator's weights and of a few of its images, which code makes of them.

    What has no weights that torch knows is known by its images alone, and so by one of each class
    at least.
    """
    found = hashlib.sha256(f"{generator.latent_dim} {generator.num_classes}".encode())
    weighed = False
    if isinstance(generator, nn.Module):
        for name, values in sorted(generator.state_dict().items()):
            if isinstance(values, Tensor):
                weighed = True
                found.update(f"{name} {values.dtype} {list(values.shape)}".encode())
                found.update(tensor_bytes(values))
    batches = [few_inputs(generator)] if weighed else list(_inputs_of_every_class(generator))
    # The order of sums, and so the last digits, hang on the number of threads.
    with one_thread(), torch.no_grad():
        for latent, condition in batches:
            found.update(tensor_bytes(generator(latent, condition)))
    return found.hexdigest()


def _inputs_of_every_class(generator: "Generator") -> Iterator[tuple[Tensor, Tensor | None]]:
    random = torch.Generator().manual_seed(0)
    classes = generator.num_classes
    for start in range(0, max(classes, _BATCH), _BATCH):
        latent = torch.randn(_BATCH, generator.latent_dim, generator=random)
        condition = (start + torch.arange(_BATCH)) % classes if classes else None
        yield latent, condition
