"""Feature spaces as views: what a network sees of an image is compared, and not its pixels."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..core.classifiers.classifier import Classifier
from ..core.statistics.views import View, same
from .annotator import trained_annotator_of
from .extractors import OpenExtractor, shard_extractor
from .resources import Resources

_TOGETHER = 256


def annotator_view(name: str, annotator: Classifier, device: torch.device) -> View:
    """Images in what the last layer of a trained annotator on this device sees."""

    def features(images: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat(
                [
                    annotator.features(batch.to(device)).flatten(1).cpu().float()
                    for batch in images.split(_TOGETHER)
                ]
            )

    return View(name, same, features=features)


def extractor_view(name: str, extractor: OpenExtractor, device: torch.device) -> View:
    """Images in the features of a network on this device."""

    def features(images: Tensor) -> Tensor:
        return torch.cat([extractor(batch.to(device)).cpu() for batch in images.split(_TOGETHER)])

    return View(name, same, features=features)


def shard_feature_view(settings: Mapping[str, Any], resources: Resources) -> View:
    """The view of the ``space`` that a shard's settings name, by its ``annotator`` or extractor.

    Raises:
        ChangedInputError: the network is not what the run was planned with.
        ValueError: the annotator's part holds other weights than its architecture has.
    """
    name, device = settings["space"], resources.device
    if "annotator" in settings:
        return annotator_view(name, trained_annotator_of(settings["annotator"], resources), device)
    return extractor_view(name, shard_extractor(settings["extractor"], resources), device)
