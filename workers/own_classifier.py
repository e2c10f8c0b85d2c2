"""A user's own classifier as the annotator: opened, tried on a few images, and measured.

It is a torch module or any other function of images that ``module:function`` returns, or a
TorchScript file, which is a program too.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import optimize, special, stats
from torch import Tensor, nn

from ..cluster.locations import LocationError, is_remote
from ..cluster.s3_settings import BY_ENVIRONMENT, S3Settings
from ..core.classifiers.answers import answer_in_batches, confusion_counts
from ..core.classifiers.labelled_images import LabelledImages
from ..core.classifiers.own import AnswerKind, OwnClassifier
from .generator_errors import GeneratorError
from .held_numbers import holds_numbers, identity
from .inputs import copied_file, naming_original
from .on_cpu import on_cpu
from .outcome import Outcome
from .own_function import FAILURES, call_function, told
from .resources import ChangedInputError, Resources
from .revisions import Computation
from .shard import Item
from .spooled_images import real_images
from .user_networks import open_module

COMPUTATION = Computation("offmanifold.workers.own_classifier:examine", "own_annotator", 1)

_CHECKED = 4
_BATCH = 256
# Rows of probabilities sum to 1, up to half precision.
_SUM_SLACK = 5e-3
_ROUNDING = 1e-3
# How seldom answers without any relation to the classes may do so well.
_CHANCE = 0.05
_PERMUTATIONS = 999
# Of sums that are the same but for rounding.
_SAME = 1e-9


class ClassifierError(ValueError):
    """A user's own classifier cannot be had, or does not do what is said of it."""


@dataclass(frozen=True)
class OwnSource:
    """Where a user's own classifier is, what it takes and what it ``answers`` with.

    Either a ``source``, module:function, found in ``import_path``, or ``weights``, a TorchScript
    file. It takes images from ``native_range[0]``, black, to ``native_range[1]``, white.
    """

    source: str | None
    import_path: str | None
    weights: str | None
    native_range: tuple[float, float]
    answers: AnswerKind

    @property
    def place(self) -> str:
        """What messages call it."""
        return self.source or self.weights or ""

    @property
    def settings(self) -> dict[str, Any]:
        """The same in plain values, as a shard's settings hold it."""
        return {**asdict(self), "native_range": list(self.native_range)}

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "OwnSource":
        """From plain values."""
        return cls(**{**settings, "native_range": tuple(settings["native_range"])})


def open_own_classifier(
    own: OwnSource,
    image_shape: Sequence[int],
    classes: int,
    service: S3Settings = BY_ENVIRONMENT,
) -> tuple[OwnClassifier, str]:
    """The classifier, tried on a few images of random pixels, and what it is known by.

    That is the SHA-256 of its file, and of the numbers that it holds too (`held_numbers`), wherever
    its function read them from.

    Raises:
        ClassifierError: it cannot be had, or does not give a finite score for each class; it says
            what was expected and what to do.
    """
    try:
        network, sha256 = _opened(own, service)
    except GeneratorError as error:
        raise ClassifierError(str(error)) from error
    if isinstance(network, nn.Module):
        network.eval()
    elif not callable(network):
        raise ClassifierError(
            f"{own.place} gave a {type(network).__name__}, which cannot be called; expected a "
            "torch module, or a function of images [N, C, H, W]"
        )
    else:
        network = on_cpu(network)
    classifier = OwnClassifier(network, classes, own.native_range, own.answers)
    _check(own, classifier, tuple(image_shape))
    return classifier.eval(), sha256


def own_classifier_of(settings: Mapping[str, Any], resources: Resources) -> OwnClassifier:
    """The classifier that a shard's settings name, ready to answer; opened once.

    Raises:
        ChangedInputError: it is not the one that the run was planned with.
    """

    def opened() -> OwnClassifier:
        own, shape = OwnSource.of(settings["own"]), settings["image_shape"]
        try:
            found, sha256 = open_own_classifier(own, shape, settings["classes"], resources.service)
        except ClassifierError as error:
            raise ChangedInputError.gone(f"classifier {own.place}", error) from error
        if sha256 != settings["sha256"]:
            what = f"SHA-256 of classifier {own.place}"
            raise ChangedInputError.of(what, sha256, settings["sha256"])
        return found.to(resources.device)

    return resources.kept("annotator", settings["sha256"], opened, most=4)


def examine(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """The row of the ``annotator`` table: what it says of the images with known classes.

    Raises:
        ClassifierError: its answers for held-out images have nothing to do with their classes.
    """
    classifier = own_classifier_of(settings["annotator"], resources)
    row: dict[str, Any] = {"architecture": "own", "source": "own", "weights": []}
    for name, key in (("train", "train"), ("test", "held_out")):
        images = real_images(settings[key], settings["levels"], resources)
        predicted, loss = _answers(classifier, images)
        counts = confusion_counts(images.labels, predicted, classifier.classes)
        row[f"{name}_accuracy"] = float((predicted == images.labels).mean())
        row[f"{name}_confusion"] = counts.ravel().tolist()
        if name == "train":
            row |= {"images": len(images.labels), "loss": loss}
        else:
            row["test_correct"] = (predicted == images.labels).tolist()
            _require_better_than_chance(OwnSource.of(settings["annotator"]["own"]), counts)
    return [row for _ in items]


def _answers(classifier: OwnClassifier, images: LabelledImages) -> tuple[np.ndarray, float]:
    """Its labels, and the mean cross-entropy of the true ones."""
    predicted, loss = [], 0.0
    for each in answer_in_batches(classifier, images, _BATCH):
        logs = special.log_softmax(each.logits, axis=1)
        loss -= float(logs[np.arange(len(logs)), each.labels].sum())
        predicted.append(each.predicted)
    return np.concatenate(predicted), loss / len(images.labels)


def _require_better_than_chance(own: OwnSource, confusion: np.ndarray) -> None:
    """Raises ClassifierError unless its answers go with the classes for certain.

    A class of few images counts as much as another. Answers that have nothing to do with the
    classes label 1/C of each class rightly on average, whatever the sizes of the C classes; how
    much more that is by chance is seen with the answers permuted.
    """
    shares, permuted = _rightly_by_class(confusion)
    above = np.count_nonzero(permuted >= shares.mean() - _SAME)
    if (1 + above) / (1 + len(permuted)) < _CHANCE:
        return
    right, total = int(confusion.trace()), int(confusion.sum())
    told = (
        f"{own.place} labels {right:,} of {total:,} held-out images rightly, "
        f"{shares.mean():.1%} of a class on average, no more than answers would that have nothing "
        f"to do with the {len(shares)} classes of these images"
    )
    present = confusion[confusion.sum(axis=1) > 0]
    rows, columns = optimize.linear_sum_assignment(
        confusion / np.maximum(1, confusion.sum(axis=1, keepdims=True)), maximize=True
    )
    table = present[:, present.sum(axis=0) > 0]
    if min(table.shape) > 1 and stats.chi2_contingency(table).pvalue < _CHANCE / 100:
        order = ", ".join(f"{row}: {column}" for row, column in zip(rows, columns, strict=True))
        raise ClassifierError(
            f"{told}; with its outputs in another order it would be "
            f"{int(confusion[rows, columns].sum()):,} (class: output "
            f"{order}): bring them into the order of the classes, or give the images classes: a "
            "map to its own numbers"
        )
    low, high = own.native_range
    raise ClassifierError(
        f"{told}; it was given images from {low:g} to {high:g}: set "
        "stages.annotator.own.native_range to what it was trained on ([-1, 1], [0, 255]), and do "
        "any other normalisation inside it"
    )


def _rightly_by_class(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The share of each class's images that is labelled rightly, and its mean, permuted."""
    sizes = confusion.sum(axis=1)
    classes = np.flatnonzero(sizes)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    answers = np.concatenate([np.repeat(np.arange(len(sizes)), row) for row in confusion])
    worth = 1 / (sizes[labels] * len(classes))
    random = np.random.default_rng(0)
    permuted = [worth[random.permutation(answers) == labels].sum() for _ in range(_PERMUTATIONS)]
    return confusion.diagonal()[classes] / sizes[classes], np.array(permuted)


def _opened(own: OwnSource, service: S3Settings) -> tuple[Any, str]:
    if own.weights is None:
        network, sha256 = call_function("classifier", own.source or "", own.import_path)
        # The function's file says nothing of weights that it reads elsewhere.
        is_weighed = isinstance(network, nn.Module) or holds_numbers(network)
        return network, identity(sha256, network) if is_weighed else sha256
    path = Path(own.weights)
    if is_remote(own.weights):
        try:
            path = copied_file(own.weights, service)
        except (LocationError, FileNotFoundError) as error:
            raise GeneratorError(f"{error}; correct stages.annotator.own.weights") from error
    with naming_original(own.weights, path, GeneratorError):
        module, content = open_module(path, "torchscript")
    return module, hashlib.sha256(content).hexdigest()


def _check(own: OwnSource, classifier: OwnClassifier, shape: tuple[int, ...]) -> None:
    random = torch.Generator().manual_seed(0)
    images = torch.rand(_CHECKED, *shape, generator=random)
    low, high = own.native_range
    try:
        with torch.no_grad():
            found = classifier.answers(images)
            again, alone = classifier.answers(images), classifier.answers(images[:1])
    except FAILURES as error:
        raise ClassifierError(
            f"{own.place}, called with float images {[_CHECKED, *shape]} from {low:g} to {high:g}, "
            f"raised {told(error, brief=True)}. It must take images of the audit's shape as they "
            "are: resize and repeat channels inside it"
        ) from error
    _check_scores(own, found, classifier.classes)
    if not torch.allclose(found, again, atol=_ROUNDING):
        raise ClassifierError(
            f"{own.place} answered differently when asked twice: switch off dropout and whatever "
            "else is random in it (network.eval())"
        )
    if not torch.allclose(found[:1], alone, atol=_ROUNDING, rtol=_ROUNDING):
        raise ClassifierError(
            f"{own.place} answers differently for an image alone and among others: put the network "
            "into evaluation mode before it is returned, traced or scripted (network.eval())"
        )


def _check_scores(own: OwnSource, found: object, classes: int) -> None:
    if not isinstance(found, Tensor) or not found.is_floating_point():
        kind = found.dtype if isinstance(found, Tensor) else type(found).__name__
        raise ClassifierError(
            f"{own.place} returned {kind}, expected a float tensor [N, {classes}] of {own.answers}"
        )
    if tuple(found.shape) != (_CHECKED, classes):
        one = found.numel() == _CHECKED and classes == 2
        remedy = (
            "return two scores an image, such as torch.stack([0 * s, s], 1) of one logit s"
            if one
            else "its classes must be those of stages.annotator's images, in their order"
        )
        raise ClassifierError(
            f"{own.place} returned {list(found.shape)} for {_CHECKED} images, expected "
            f"[{_CHECKED}, {classes}], a score for each of {classes} classes: {remedy}"
        )
    if not bool(found.isfinite().all()):
        raise ClassifierError(
            f"{own.place} returned numbers that are not finite for images of random pixels from "
            f"{own.native_range[0]:g} to {own.native_range[1]:g}"
        )
    sums = found.sum(dim=1)
    probable = bool((found >= 0).all()) and bool(((sums - 1).abs() < _SUM_SLACK).all())
    if probable and own.answers == "logits":
        raise ClassifierError(
            f"{own.place} returned rows of positive numbers that sum to 1, which are "
            "probabilities, not logits: set answers: probabilities"
        )
    if not probable and own.answers == "probabilities":
        raise ClassifierError(
            f"{own.place} returned rows from {float(found.min()):.3g} to {float(found.max()):.3g} "
            f"that sum to {float(sums[0]):.3g}, which are no probabilities: set answers: logits, "
            "or end the network in a softmax"
        )
