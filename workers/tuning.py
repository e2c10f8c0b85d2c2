"""The ``tuning`` stage: step sizes as a function of beta, found on pilot images."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from ..core.likelihood import tune_step_sizes
from ..core.settings.classical import ClassicalSettings
from ..core.settings.definition import build_settings
from .conditions import condition_tensor
from .generators import shard_generator
from .outcome import Outcome
from .resources import Resources
from .revisions import Computation
from .schema import ListColumn, TableSchema
from .shard import Item
from .stored_images import stored_images

COMPUTATION = Computation("offmanifold.workers.tuning:compute", "tuning", 2)

# One row a pilot image: the step size and acceptance it settled on at each transition's beta.
TUNING_TABLE = TableSchema(
    "tuning",
    2,
    (
        ("variance", pa.float64()),
        ("beta", pa.list_(pa.float64())),
        ("step_size", pa.list_(pa.float64())),
        ("acceptance", pa.list_(pa.float64())),
    ),
    always=("variance",),
    lists=tuple(
        ListColumn(name, ("setting:transitions",), less=1)
        for name in ("beta", "step_size", "acceptance")
    ),
)


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``tuning`` table: each pilot's step size and acceptance at every transition."""
    trace = tune_step_sizes(
        shard_generator(settings, resources),
        stored_images(items, resources),
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
