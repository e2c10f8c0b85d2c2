"""A network of the user's as a generator, by a call from Python."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...core.generators.native_range import NativeRangeError
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
    shape = (latent_shape,) if isinstance(latent_shape, int) else tuple(latent_shape)
    if not shape or min(shape) < 1:
        raise GeneratorError(f"latent_shape: {shape}: expected positive sizes, such as 100")
    if len(prior_bounds) != _PRIORS.get(prior):
        raise GeneratorError(
            f"prior {prior} with the bounds {tuple(prior_bounds)}: expected normal without any, "
            "uniform with two, or truncated_normal with one"
        )
    low, high = native_range
    said = UserNetwork(
        "object",
        shape,
        image_shape or (1, 1, 1),
        num_classes,
        one_hot,
        native_range=(low, high),
        prior=prior,
        prior_bounds=tuple(prior_bounds),
    )
    try:
        return generator_of(network, said, image_shape)
    except NativeRangeError as error:
        raise GeneratorError(str(error)) from error
