"""A user's own generator: ``module:function``, imported, called and checked before any work."""

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..core.curvature import tried_products
from ..core.generators.adapter import ImagesError, ModuleGenerator
from ..core.generators.native_range import (
    NativeRangeError,
    native_range_remarks,
    require_native_range,
)
from ..core.generators.protocol import Generator
from ..core.settings.search import JACOBIAN_BYTES
from .generator_errors import GeneratorError
from .held_numbers import holds_numbers, identity
from .own_function import FAILURES, call_function, told

_TRAINING_MODE = "Expected more than 1 value per channel when training"
_EVALUATION = (
    "put the network into evaluation mode, which fixes batch statistics (network.eval(), before it "
    "is returned, traced or exported)"
)
_ONE_DTYPE = re.compile("(must have|expected) .*same dtype|should be the same|expected scalar type")
_SINGLE = "compute in float32 (network.float(), before it is returned, traced or exported)"
_ROUNDING = 1e-5
_BATCH_ROUNDING = 1e-3
_CHECKED = 8
_NORMAL_LATENTS = (
    "assumed: its latents are N(0, I), as no other prior is said (latent_prior of ModuleGenerator, "
    "prior of the spec's network)"
)


def open_function(source: str, base_dir: str | Path | None) -> tuple[Generator, str]:
    """Calls ``module:function`` and checks what it returns.

    Returns:
        The generator, and the SHA-256 of the source file that holds the function, with that of the
        numbers which the generator holds (`held_numbers`), wherever the function read them from.

    Raises:
        GeneratorError: the function is not found or fails, or its result breaks the protocol.
    """
    generator, sha256 = _called(source, base_dir)
    check_generator(source, generator)
    return generator, sha256


def require_the_same_again(source: str, base_dir: str | Path | None, sha256: str) -> None:
    """Refuses a function whose network is another one each time: each worker calls it anew.

    Raises:
        GeneratorError: what it makes now does not have the SHA-256 of `open_function`.
    """
    if _called(source, base_dir)[1] != sha256:
        raise GeneratorError(
            f"generator '{source}': its weights differ each time that it is opened, and every "
            "worker opens it: load trained weights in the function, or seed it there "
            "(torch.manual_seed(0) before the network is made)"
        )


def _called(source: str, base_dir: str | Path | None) -> tuple[Any, str]:
    """What the function makes, unchecked, and what that is known by."""
    made, source_sha256 = call_function("generator", source, base_dir)
    if isinstance(made, nn.Module) and any(map(is_lazy, made.state_dict().values())):
        raise GeneratorError(
            f"generator '{source}' has parameters that its first call makes, at random "
            "(torch.nn.Lazy…): call the network once in the function, before its weights are loaded"
        )
    return made, identity(source_sha256, made) if holds_numbers(made) else source_sha256


def check_generator(source: str, generator: Any) -> None:
    """Checks a generator against the protocol on a few latents.

    Raises:
        GeneratorError: naming the attribute or the property of the images that is wrong.
    """
    _check_attributes(source, generator)
    _check_move(source, generator)
    latent, condition = few_inputs(generator)
    latent.requires_grad_(True)
    classes = generator.num_classes

    def called(count: int) -> Tensor:
        try:
            images: Tensor = generator(
                latent[:count], None if condition is None else condition[:count]
            )
        except ImagesError as error:
            raise GeneratorError(f"generator '{source}' {error}") from error
        except FAILURES as error:
            raise GeneratorError(
                f"generator '{source}': called with latents [{count}, {generator.latent_dim}] and "
                f"{f'class indices [{count}]' if classes else 'None'} it raised {_in_short(error)}"
            ) from error
        return images

    images, again = called(_CHECKED), called(_CHECKED)
    alone = called(1)
    _check_images(source, images, (_CHECKED, *generator.image_shape))
    try:
        require_native_range(images, _declared(generator) or (0.0, 1.0))
    except NativeRangeError as error:
        raise GeneratorError(f"generator '{source}' {error}") from error
    _check_repeatable(source, images, again, alone)
    _check_gradient(source, images, latent)


def _in_short(error: BaseException) -> str:
    """An error of the generator's, without the code that TorchScript puts before it."""
    text = str(error).strip()
    if _TRAINING_MODE in text:
        return f"torch's refusal of a single latent by a batch normalisation: {_EVALUATION}"
    if text.startswith("The following operation failed in the TorchScript interpreter"):
        text = text.splitlines()[-1]
    if isinstance(error, SystemExit):
        return told(error)
    found = f"{type(error).__name__}: {text}"
    return f"{found}; {_SINGLE}" if _ONE_DTYPE.search(text) else found


def jacobian_problem(generator: Generator) -> str | None:
    """What torch says where a Jacobian is tried, as a search takes it; None where there is one.

    Of a generator that `check_generator` passed, at two latents.
    """
    latent, condition = few_inputs(generator)
    classes = None if condition is None else condition[:2]
    try:
        columns = tried_products(generator, latent[:2], classes, JACOBIAN_BYTES)
    except Exception as error:  # noqa: BLE001
        # What a generator of the user's raises is of any type.
        return " ".join(_in_short(error).split())
    return None if bool(columns.isfinite().all()) else "it has numbers that are not finite"


def assumed_of(generator: Generator) -> tuple[str, ...]:
    """What was taken for granted of a generator that `check_generator` passed.

    And what looks wrong in the same few images.
    """
    latent, condition = few_inputs(generator)
    with torch.no_grad():
        images = generator(latent, condition)
    normal = isinstance(generator, ModuleGenerator) and generator.latent_prior is None
    prior = (_NORMAL_LATENTS,) if normal else ()
    return prior + native_range_remarks(images, _declared(generator))


def _declared(generator: Generator) -> tuple[float, float] | None:
    """The native range that it was given; None where it brings its images to [0, 1] itself."""
    return generator.native_range if isinstance(generator, ModuleGenerator) else None


def few_inputs(generator: Generator) -> tuple[Tensor, Tensor | None]:
    """A few latents [N, d] from N(0, I), the same each time, and classes [N]."""
    random = torch.Generator().manual_seed(0)
    latent = torch.randn(_CHECKED, generator.latent_dim, generator=random)
    classes = generator.num_classes
    # From the last class down, so that one class too many is found.
    condition = classes - 1 - torch.arange(_CHECKED) % classes if classes else None
    return latent, condition


def _check_attributes(source: str, generator: Any) -> None:
    def is_count(value: Any, least: int) -> bool:
        return type(value) is int and value >= least

    shape = getattr(generator, "image_shape", None)
    expectations = {
        "latent_dim": (
            is_count(getattr(generator, "latent_dim", None), 1),
            "a positive int, the number of latent dimensions",
        ),
        "num_classes": (
            is_count(getattr(generator, "num_classes", None), 0),
            "an int, 0 for an unconditional generator",
        ),
        "image_shape": (
            isinstance(shape, tuple) and len(shape) == 3 and all(is_count(n, 1) for n in shape),
            "a tuple (channels, height, width) of ints",
        ),
        "to": (callable(getattr(generator, "to", None)), "a method to(device)"),
    }
    for name, (fits, expected) in expectations.items():
        if not fits:
            found = repr(getattr(generator, name)) if hasattr(generator, name) else "missing"
            raise GeneratorError(
                f"generator '{source}': {type(generator).__name__}.{name} must be {expected}, but "
                f"is {found}; offmanifold.core.generators.adapter.ModuleGenerator adds it to a "
                f"torch module"
            )
    if not callable(generator):
        raise GeneratorError(f"generator '{source}': {type(generator).__name__} cannot be called")


def _check_move(source: str, generator: Any) -> None:
    try:
        moved = generator.to(torch.device("cpu"))
    except FAILURES as error:
        raise GeneratorError(
            f"generator '{source}': to(torch.device('cpu')) raised {_in_short(error)}"
        ) from error
    if not callable(moved) or getattr(moved, "latent_dim", None) != generator.latent_dim:
        raise GeneratorError(
            f"generator '{source}': to(device) must return the generator on that device, as torch "
            f"modules do (return self), not {'None' if moved is None else type(moved).__name__}"
        )


def _check_images(source: str, images: Any, shape: tuple[int, ...]) -> None:
    if not isinstance(images, Tensor) or not images.is_floating_point():
        found = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise GeneratorError(f"generator '{source}' must return a float tensor, not {found}")
    if images.shape != shape:
        raise GeneratorError(
            f"generator '{source}' returned images of shape {list(images.shape)} for {_CHECKED} "
            f"latents, but its image_shape says {list(shape)}"
        )
    if images.dtype != torch.float32:
        kept = (
            "images are computed in float32 throughout: add .float() to what it returns"
            if images.dtype == torch.float64
            else "that is too coarse for small errors and for derivatives, which no cast brings "
            f"back: {_SINGLE}"
        )
        raise GeneratorError(
            f"generator '{source}' returned {images.dtype} images for float32 latents; {kept}"
        )
    if not bool(images.isfinite().all()):
        raise GeneratorError(f"generator '{source}' returned numbers that are not finite")


def _check_repeatable(source: str, images: Tensor, again: Tensor, alone: Tensor) -> None:
    if not torch.allclose(images, again, atol=_ROUNDING):
        raise GeneratorError(
            f"generator '{source}' gave two different images for the same latent: fix its noise "
            f"inputs and switch off dropout"
        )
    if not torch.allclose(images[:1], alone, atol=_BATCH_ROUNDING):
        raise GeneratorError(
            f"generator '{source}' gave different images for a latent alone and in a batch: "
            f"{_EVALUATION}"
        )


def _check_gradient(source: str, images: Tensor, latent: Tensor) -> None:
    if not images.requires_grad:
        raise GeneratorError(
            f"generator '{source}' is not differentiable in its latent: remove torch.no_grad() "
            "or detach() from it"
        )
    (gradient,) = torch.autograd.grad(images.sum(), latent, allow_unused=True)
    if gradient is None or not bool(gradient.isfinite().all()):
        found = (
            "does not depend on its latent"
            if gradient is None
            else "has a gradient that is not finite"
        )
        raise GeneratorError(f"generator '{source}' {found}")
