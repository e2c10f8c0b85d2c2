"""The stages ``annotator`` and ``classifiers``: an item is a classifier, trained and tested.

A training that outlives `CHECKPOINT_SECONDS` leaves its state in the run directory from time to
time, so that whoever computes the item again goes on from there; on a CPU to the same bits.
"""

import hashlib
import io
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.classifiers.answers import answer_in_batches, confusion_counts
from ..core.classifiers.architectures import build_classifier
from ..core.classifiers.classifier import Classifier
from ..core.classifiers.labelled_images import Joined, LabelledImages, OfAttribute, Subset
from ..core.classifiers.training import ClassifierTraining
from ..core.settings.classifiers import ClassifierSettings
from .annotator import annotator_of, parameters_of
from .checkpoints.torch_files import read_state
from .datasets import shard_image_set
from .generated_images import Draw, shard_generated_images
from .outcome import Outcome, Row
from .resources import Resources
from .revisions import Computation
from .schema import TableSchema
from .shard import Item, content_id
from .spooled_images import SpooledImages, generated_images, real_images, subset_of
from .trained import MODEL_ALWAYS, MODEL_COLUMNS, MODEL_LISTS

COMPUTATION = Computation("offmanifold.workers.classifiers:compute", "classifiers", 1)
ANNOTATOR = Computation("offmanifold.workers.classifiers:train_annotator", "annotator", 1)

CLASSIFIERS_TABLE = TableSchema(
    "classifiers", 1, MODEL_COLUMNS, always=MODEL_ALWAYS, lists=MODEL_LISTS
)

CHECKPOINT_SECONDS = 60.0

# Batches between two looks at the clock: always as many, so that a training that was put down adds
# its losses in the same order as one that was not.
_BATCHES = 100
_TEST_BATCH = 512
_DIGEST_BYTES = hashlib.sha256().digest_size

logger = logging.getLogger(__name__)


def train_annotator(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``annotator`` table: as `compute`, with the weights."""
    rows: list[Outcome] = []
    for item in items:
        row, classifier = _trained(item, settings, resources)
        rows.append({**row, "weights": parameters_of(classifier)})
    return rows


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``classifiers`` table: accuracy and confusion on its training and test images."""
    return [_trained(item, settings, resources)[0] for item in items]


def _trained(
    item: Item, settings: Mapping[str, Any], resources: Resources
) -> tuple[Row, Classifier]:
    images = _training_images(settings, resources)
    held_out: LabelledImages = real_images(settings["held_out"], settings["levels"], resources)
    shape, classes = settings["train"]["image_shape"], settings["train"]["num_classes"]
    if "attribute_shift" in settings:
        shift, classes = settings["attribute_shift"], 2
        images, held_out = OfAttribute(images, shift), OfAttribute(held_out, shift)
    classifier = build_classifier(settings["architecture"], shape, classes, item.seed)
    classifier.to(resources.device)
    training = ClassifierTraining(
        classifier, images, ClassifierSettings(**settings["training"]), item.seed
    )
    kept = f"_training/{content_id({'item': vars(item), 'settings': dict(settings)})}.pt"
    _finish(training, kept, resources)
    row: Row = {name: settings.get(name) for name in ("architecture", "source", "factor")}
    row |= {name: settings.get(name) for name in ("multiple", "repeat")}
    row |= {
        "images": len(images.labels),
        "converged": training.progress.converged,
        "rounds": training.progress.round,
        "loss": training.progress.losses[-1],
    }
    for name, tested in (("train", images), ("test", held_out)):
        predicted = _labels_of(classifier, tested)
        row[f"{name}_accuracy"] = float((predicted == tested.labels).mean())
        counts = confusion_counts(tested.labels, predicted, classes)
        row[f"{name}_confusion"] = counts.ravel().tolist()
        if name == "test":
            row["test_correct"] = (predicted == tested.labels).tolist()
    resources.storage.delete(kept)
    return row, classifier


def _labels_of(classifier: Classifier, images: LabelledImages) -> np.ndarray:
    answers = answer_in_batches(classifier, images, _TEST_BATCH)
    return np.concatenate([each.predicted for each in answers])


def _finish(training: ClassifierTraining, kept: str, resources: Resources) -> None:
    """Trains to the end, from the state in ``kept`` if there is one."""
    _take_up(training, kept, resources)
    saved = time.monotonic()
    while not training.finished:
        training.advance(_BATCHES)
        if time.monotonic() - saved >= CHECKPOINT_SECONDS:
            content = io.BytesIO()
            torch.save(training.state(), content)
            resources.storage.write(kept, _proved(content.getvalue()))
            saved = time.monotonic()


def _take_up(training: ClassifierTraining, kept: str, resources: Resources) -> None:
    if not resources.storage.exists(kept):
        return
    place = resources.storage.locate(kept)
    content = resources.storage.read(kept)
    state = content[_DIGEST_BYTES:]
    if content != _proved(state):
        logger.warning("%s is damaged: that training starts anew", place)
        resources.storage.delete(kept)
        return
    try:
        training.restore(read_state(state))
    except (RuntimeError, LookupError, TypeError, ValueError, AttributeError):
        # Half of it may have been taken: what is wrong with it is not known.
        resources.storage.delete(kept)
        raise ValueError(
            f"{place} is no state of this training, and was removed; run the same command again "
            "with --retry-failed: training starts anew"
        ) from None


def _proved(state: bytes) -> bytes:
    """A state behind its digest: of what is damaged a training would make other numbers."""
    return hashlib.sha256(state).digest() + state


def _training_images(settings: Mapping[str, Any], resources: Resources) -> LabelledImages:
    source, levels = settings["source"], settings["levels"]
    if source == "generated":
        return _generated(settings, resources)
    real = real_images(settings["train"], levels, resources)
    if source == "real and generated":
        return Joined([real, _generated(settings, resources)])
    return Subset(real, subset_of(real, settings["factor"], settings["subset_seed"]))


def _generated(settings: Mapping[str, Any], resources: Resources) -> SpooledImages:
    names = ("generated", "first", "count", "given", "annotator", "classes_seed")
    key = content_id({name: settings.get(name) for name in names})

    def spooled() -> SpooledImages:
        shape = settings["train"]["image_shape"]
        draws, labels = _draws(settings, resources)
        spool = SpooledImages(shape, settings["levels"], len(draws), resources.device)

        def annotate(images: Tensor) -> list[int]:
            annotator = annotator_of(settings["annotator"], resources)
            with torch.no_grad():
                return [int(each) for each in annotator(images).argmax(dim=1).tolist()]

        source = shard_generated_images(settings["generated"], resources)
        return generated_images(source, draws, labels, annotate, spool)

    return resources.kept("generated images", key, spooled, most=1)


def _draws(
    settings: Mapping[str, Any], resources: Resources
) -> tuple[list[Draw], Sequence[int | None]]:
    """The images to train on, and their classes as far as they are known.

    A class-conditional generator is asked for the classes of the real images, as often.
    """
    numbers = range(settings["first"], settings["first"] + settings["count"])
    if not settings["given"]:
        draws: list[Draw] = [(None, number) for number in numbers]
        return draws, shard_generated_images(settings["generated"], resources).labels(draws)
    real = shard_image_set(settings["train"], resources).labels()
    assert real is not None, "validation refuses a set without classes"
    order = np.random.default_rng(settings["classes_seed"]).permutation(real)
    labels = [int(order[number % len(order)]) for number in numbers]
    return list(zip(labels, numbers, strict=True)), labels
