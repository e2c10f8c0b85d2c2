"""Feature spaces as views: what a network sees of an image is compared, and not its pixels."""

import torch
from torch import Tensor

from ..core.classifiers.classifier import Classifier
from ..core.statistics.views import View, same
from .extractors import OpenExtractor

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
