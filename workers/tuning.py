"""The ``tuning`` stage: step sizes as a function of beta, found on pilot images."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.likelihood import tune_step_sizes
from ..core.settings.classical import ClassicalSettings
from ..core.settings.definition import build_settings
from .conditions import condition_tensor
from .outcome import Outcome
from .resources import Resources
from .shard import Item


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``tuning`` table: each pilot's step size and acceptance at every transition."""
    trace = tune_step_sizes(
        resources.generator(settings),
        resources.images(items),
        condition_tensor(items, resources.device),
        settings["variance"],
        build_settings(ClassicalSettings, settings),
        [item.seed for item in items],
    )
    beta = trace.beta.tolist()
    return [
        {
            "variance": settings["variance"],
            "beta": beta,
            "step_size": step_size,
            "acceptance": acceptance,
        }
        for step_size, acceptance in zip(
            trace.step_size.tolist(), trace.acceptance.tolist(), strict=True
        )
    ]
