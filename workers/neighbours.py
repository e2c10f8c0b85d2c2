"""The ``neighbours`` stage: the nearest image of a reference set, in pixels, as the baseline."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core.statistics.neighbours import nearest
from .outcome import Outcome
from .resources import Resources
from .shard import Item


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``neighbours`` table: exact l2 distances, the query itself left out."""
    references, labels, sources = resources.reference(settings)
    positions: dict[str | None, int] = {source: index for index, source in enumerate(sources)}
    queries = resources.images(items).cpu().numpy().reshape(len(items), -1)
    exclude = np.array([positions.get(resources.source(item), -1) for item in items])
    found = nearest(queries, references, labels, settings["num_classes"], exclude=exclude)
    return [
        {
            "nearest_source": sources[index],
            "nearest_label": None if labels[index] < 0 else int(labels[index]),
            "distance": distance,
            "class_distance": class_distance or None,
        }
        for index, distance, class_distance in zip(
            found.index.tolist(),
            found.distance.tolist(),
            found.class_distance.tolist(),
            strict=True,
        )
    ]
