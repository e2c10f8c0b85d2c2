"""A network of the user's as a generator, by a call from Python."""

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ...core.generators.native_range import NativeRangeError, missing
from ...workers.generator_errors import GeneratorError
from ...workers.given_generators import generator_of
from ...workers.user_networks import UserNetwork

if TYPE_CHECKING:
    from ...core.generators.protocol import Generator

_PRIORS = {"normal": 0, "uniform": 2, "truncated_normal": 1}


def generator(
    network: Callable[..., Any],
    *,
    latent_shape: int | Sequence[int],
    native_range: tuple[float, float],
    image_shape: tuple[int, int, int] | None = None,
    num_classes: int = 0,
    one_hot: bool = False,
    prior: str = "normal",
    prior_bounds: Sequence[float] = (),
) -> "Generator":
    """A torch module, or a function on tensors, as a generator that can be audited.

    The arguments mean what the keys of a spec's ``network`` mean (`docs/spec.md`). The network is
    copied as it is now, into evaluation mode; the given one stays as it is.

    Args:
        network: called with latents [N, *latent_shape], and with class indices [N], or one-hot rows
            if ``one_hot``, where ``num_classes`` is not 0.
        latent_shape: of one latent: ``100``, or ``(100, 1, 1)``.
        native_range: black and white in the network's output: (-1, 1) after tanh.
        image_shape: (channels, height, width); by default that of its images.
        num_classes: 0 for a network without classes.
        one_hot: whether a class is a row with a one, and no index.
        prior: of its latents: normal, uniform or truncated_normal.
        prior_bounds: the two ends of uniform latents, or the one of truncated normal ones.

    Raises:
        GeneratorError: what was found, what was expected and what to do.
    """
    sizes = latent_shape if isinstance(latent_shape, Iterable) else (latent_shape,)
    shape = _whole(sizes, 1, f"latent_shape: {latent_shape!r}: expected positive sizes: 100")
    pixels = None
    if image_shape is not None:
        expected = f"image_shape: {image_shape!r}: expected (channels, height, width)"
        found = _whole(image_shape, 1, expected)
        if len(found) != 3:
            raise GeneratorError(expected)
        pixels = (found[0], found[1], found[2])
    counted = f"num_classes: {num_classes!r}: expected a whole number, 0 for no classes"
    (classes,) = _whole((num_classes,), 0, counted)
    if native_range is None:
        raise GeneratorError(missing("native_range=(-1, 1)"))
    ends = _numbers(native_range, f"native_range: {native_range!r}: expected (black, white)")
    if len(ends) != 2:
        raise GeneratorError(f"native_range: {native_range!r}: expected (black, white)")
    bounds = _numbers(prior_bounds, f"prior_bounds: {prior_bounds!r}: expected numbers")
    if not isinstance(prior, str) or len(bounds) != _PRIORS.get(prior):
        raise GeneratorError(
            f"prior {prior!r} with the bounds {bounds}: expected normal without any, uniform with "
            "two, or truncated_normal with one"
        )
    if not callable(network):
        raise GeneratorError(
            f"network: {type(network).__name__} cannot be called; expected a torch module, or a "
            "function on tensors"
        )
    said = UserNetwork(
        "object",
        shape,
        pixels or (1, 1, 1),
        classes,
        one_hot,
        native_range=(ends[0], ends[1]),
        prior=prior,
        prior_bounds=bounds,
    )
    try:
        return generator_of(network, said, pixels)
    except NativeRangeError as error:
        raise GeneratorError(str(error)) from error


def _whole(values: Any, least: int, expected: str) -> tuple[int, ...]:
    """Whole numbers of any kind, such as numpy's, as Python's own."""
    try:
        found = tuple(operator.index(value) for value in values)
    except TypeError as error:
        raise GeneratorError(expected) from error
    if not found or min(found) < least:
        raise GeneratorError(expected)
    return found


def _numbers(values: Any, expected: str) -> tuple[float, ...]:
    """Finite numbers of any kind; whole ones stay whole."""
    if isinstance(values, str | bytes):
        raise GeneratorError(expected)
    try:
        found = tuple(value if type(value) is int else float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise GeneratorError(expected) from error
    if not all(map(math.isfinite, found)):
        raise GeneratorError(expected)
    return found
