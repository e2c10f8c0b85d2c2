"""How near a few images come to a generator's, tried before a run: how long its grids will be.

An audit fits its observation variance on a grid that is as long as the errors of its inversion ask
for (`core.observation_variance`). A plan tries that inversion on a few images, or a leaner one
where that would take long.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ..cluster.s3_settings import S3Settings
from ..core.calls import Calls
from ..core.curvature import jacobian_products
from ..core.inversion import inversion_calls, invert
from ..core.likelihood import simulate
from ..core.quantisation import quantise
from ..core.search import size_of_bank
from ..core.settings.inversion import InversionSettings
from ..core.settings.search import BANKED
from .datasets import open_shard_set
from .timing import Seconds

if TYPE_CHECKING:
    from ..core.row_limit import LimitedGenerator

IMAGES = 4
"""So many of the data are tried, and so many of the generator's own."""
# So long may a trial take, by what was timed before.
_LONGEST_SECONDS = 12.0
# Banks are no larger than this: most of a run's is decoded for all of its images.
_BANK = 1024
_LEAN = {
    "bank": 256,
    "restarts": 2,
    "iterations": 20,
    "finalists": 1,
    "final_iterations": 10,
    "polish": 1,
}
# Most of the time goes into Jacobians where latents are long.
_LEANER = {**_LEAN, "bank": 128, "restarts": 1, "final_iterations": 0, "polish": 0}


@dataclass(frozen=True)
class Trial:
    """What is tried: ``data`` [images, C, H, W] on [0, 1], by the ``settings`` of a run.

    ``conditions`` are the classes of the data's images, and of as many of the generator's own,
    which are rounded to ``levels``; None for an unconditional generator.
    """

    data: NDArray[np.float32]
    conditions: Sequence[int] | None
    levels: int | None
    settings: InversionSettings


@dataclass(frozen=True)
class TriedErrors:
    """Mean squared errors that a trial left, of the data and of the generator's own images.

    Of a ``lean`` one, which searched less than the run will, they are larger than the run's.
    """

    data: float
    own: float
    lean: bool


class Pace(Protocol):
    """How fast the generator is (`speed.Speed`)."""

    @property
    def decoding(self) -> Seconds:
        """Of a latent of a bank."""
        ...

    def of_calls(self, calls: Iterable[Calls], images: int) -> Seconds:
        """Of calls that so many images make together."""
        ...


def read_images(
    settings: Mapping[str, Any], indices: Sequence[int], service: S3Settings
) -> tuple[NDArray[np.float32], list[int | None]]:
    """The images of a set at ``indices``, [images, C, H, W], and their labels, if any.

    Raises:
        DatasetError: the set cannot be opened.
        ImageError: one of the images cannot be used.
    """
    images = open_shard_set(settings, service)
    found = [images.image(index) for index in indices]
    return np.stack([pixels for pixels, _ in found]), [label for _, label in found]


def tried_errors(
    generator: "LimitedGenerator", device: torch.device, trial: Trial, pace: Pace
) -> TriedErrors | None:
    """Inverts images as a run will, or more leanly; None where even that would take long.

    None as well where it fails, or no error is finite: what is wrong is for the run to say.
    """
    settings = _affordable(generator, trial, pace)
    if settings is None:
        return None
    try:
        data, own = _errors(generator, device, trial, settings)
    except Exception:  # noqa: BLE001 - of a generator of the user's, or for want of memory
        return None
    if not (math.isfinite(data) and math.isfinite(own)):
        return None
    return TriedErrors(data, own, lean=settings != _as_run(trial.settings))


def _as_run(settings: InversionSettings) -> InversionSettings:
    return replace(settings, bank=min(settings.bank, max(_BANK, BANKED * settings.restarts)))


def _affordable(
    generator: "LimitedGenerator", trial: Trial, pace: Pace
) -> InversionSettings | None:
    forms = [_as_run(trial.settings)]
    for most in (_LEAN, _LEANER):
        lower = {name: min(value, getattr(trial.settings, name)) for name, value in most.items()}
        forms.append(replace(trial.settings, **lower))
    return next(
        (each for each in forms if _seconds(generator, trial, pace, each) <= _LONGEST_SECONDS),
        None,
    )


def _seconds(
    generator: "LimitedGenerator", trial: Trial, pace: Pace, settings: InversionSettings
) -> float:
    """Those of a trial, and of the banks that it decodes."""
    memory = settings.method.jacobian_bytes
    products = jacobian_products(generator.latent_dim, trial.data[0].size, memory)
    calls = inversion_calls(settings, products, polished=True)
    classes = 1 if trial.conditions is None else len(set(trial.conditions))
    latents = classes * size_of_bank(settings, generator.num_classes) if settings.bank else 0
    return pace.of_calls(calls, 2 * len(trial.data)).least + latents * pace.decoding.least


def _errors(
    generator: "LimitedGenerator", device: torch.device, trial: Trial, settings: InversionSettings
) -> tuple[float, float]:
    data = torch.from_numpy(trial.data).to(device)
    condition = None
    if trial.conditions is not None:
        condition = torch.tensor(trial.conditions, dtype=torch.int64, device=device)
    with torch.no_grad():
        own, _ = simulate(generator, condition, 0.0, range(len(data)), data.new_empty(0))
        images = torch.cat([data, quantise(own, trial.levels)])
    labels = None if condition is None else torch.cat([condition, condition])
    mse = invert(generator, images, labels, settings, range(len(images))).mse
    of_data, of_own = mse.split(len(data))
    return float(of_data.mean()), float(of_own.mean())
