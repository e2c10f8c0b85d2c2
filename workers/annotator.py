"""The annotator: a trained classifier that later stages load from its part in the run."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..core.classifiers.architectures import build_classifier
from ..core.classifiers.classifier import Classifier, Labeller
from ..core.classifiers.combined import CombinedLabeller
from .own_classifier import own_classifier_of
from .part_file import read_part
from .resources import Resources
from .trained import ANNOTATOR_TABLE


def parameters_of(classifier: Classifier) -> np.ndarray:
    """All that the classifier's answers depend on, as one vector of float32."""
    tensors = [each.flatten() for each in _tensors(classifier)]
    vector: np.ndarray = torch.cat(tensors).to(torch.float32).cpu().numpy()
    return vector


def restored(
    weights: np.ndarray, architecture: str, image_shape: Sequence[int], classes: int
) -> Classifier:
    """The classifier that has these `parameters_of`, ready to answer.

    Raises:
        ValueError: another number of them than the architecture has.
    """
    classifier = build_classifier(architecture, image_shape, classes, seed=0)
    tensors = _tensors(classifier)
    sizes = [each.numel() for each in tensors]
    if sum(sizes) != len(weights):
        raise ValueError(
            f"the annotator's part has {len(weights)} weights, expected {sum(sizes)}: move it "
            "out of the run, then run the same command again"
        )
    vector = torch.from_numpy(weights.copy())
    with torch.no_grad():
        for tensor, values in zip(tensors, vector.split(sizes), strict=True):
            tensor.copy_(values.view(tensor.shape))
    return classifier.eval().requires_grad_(False)


def annotator_of(settings: Mapping[str, Any], resources: Resources) -> Labeller:
    """The annotator that a shard's settings name: trained, one an attribute, or the user's own.

    Raises:
        ChangedInputError: the user's own is another than the run was planned with.
        ValueError: the part of a trained one holds other weights than its architecture has.
    """
    if "own" in settings:
        return own_classifier_of(settings, resources)
    if "attributes" in settings:
        return CombinedLabeller(
            [trained_annotator_of(e, resources) for e in settings["attributes"]]
        )
    return trained_annotator_of(settings, resources)


def trained_annotator_of(settings: Mapping[str, Any], resources: Resources) -> Classifier:
    """The annotator that the run trained, which has features too; opened once.

    Raises:
        ValueError: its part holds other weights than its architecture has.
    """

    def opened() -> Classifier:
        table = read_part(resources.storage, ANNOTATOR_TABLE, settings["part"], ["weights"])
        weights = table["weights"][0].values.to_numpy()
        classifier = restored(
            weights, settings["architecture"], settings["image_shape"], settings["classes"]
        )
        return classifier.to(resources.device)

    return resources.kept("annotator", settings["part"], opened, most=12)


def _tensors(classifier: Classifier) -> list[torch.Tensor]:
    return [each for each in classifier.state_dict().values() if each.is_floating_point()]
