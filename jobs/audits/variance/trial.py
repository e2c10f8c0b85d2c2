"""What a plan tries of the inversion, whose errors say how long the grids of variances will be."""

from collections.abc import Iterable

import numpy as np

from ....core.settings.definition import setting_values
from ....core.settings.inversion import InversionSettings
from ....workers.datasets import DatasetError, ImageError
from ....workers.tried_errors import IMAGES, Trial, read_images
from ...plan.stage import AuditContext, own_condition
from ...spec.facts import GeneratorFacts
from ..images.plan import dataset_settings
from ..inversion.settings import INVERSION
from .settings import VARIANCE


def inversion_trials(
    context: AuditContext, generators: Iterable[GeneratorFacts]
) -> dict[str, Trial]:
    """A trial of each generator on training images, by its name; none where no grid needs one.

    Nor where the images cannot be read, of which the stage that reads them will tell.
    """
    variance, inversion = VARIANCE.of(context.spec.stages), INVERSION.of(context.spec.stages)
    group = next((each for each in context.spec.audited if each.role == "train"), None)
    if variance is None or not variance.fits_curves or inversion is None or group is None:
        return {}
    if inversion.distance != "mse":
        return {}
    chosen = context.chosen(group)
    places = np.unique(np.linspace(0, len(chosen) - 1, IMAGES).round().astype(int)).tolist()
    facts = context.facts.groups[group.name]
    settings = dataset_settings(context, facts)
    try:
        pixels, labels = read_images(
            settings, [chosen[place] for place in places], context.spec.cluster.storage.settings
        )
    except (DatasetError, ImageError):
        return {}
    if pixels.shape[1:] != context.facts.image_shape:
        return {}
    search = InversionSettings(**setting_values(InversionSettings, inversion))
    labelled = facts.labels is not None and group.conditions != "in_turn"
    trials = {}
    for generator in generators:
        conditions = [
            own_condition(context, generator, label if labelled else None, place)
            for label, place in zip(labels, places, strict=True)
        ]
        classes = [each for each in conditions if each is not None]
        trials[generator.name] = Trial(pixels, classes or None, context.levels, search)
    return trials
