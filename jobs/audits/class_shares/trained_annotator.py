"""The annotator of a spec, trained here and now, for commands that are no run."""

from ....core.classifiers.classifier import Classifier, Labeller
from ....core.classifiers.combined import CombinedLabeller
from ....workers.annotator import restored
from ....workers.classifiers import train_annotator
from ....workers.outcome import Failure, Row
from ....workers.own_classifier import own_classifier_of
from ....workers.resources import Resources
from ....workers.shard import Shard
from ...plan.stage import AuditContext
from .annotator_plan import annotator_shards, attributes_are_better, own_settings
from .settings import ANNOTATOR


def annotator_here(context: AuditContext, resources: Resources) -> Labeller:
    """The annotator on the worker's device: the user's own, or those trained as a run would."""
    if ANNOTATOR.required(context.spec.stages).own is not None:
        return own_classifier_of(own_settings(context), resources)
    rows = [_row(shard, resources) for shard in annotator_shards(context)]
    if attributes_are_better(rows):
        parts = [_restored(context, row, 2) for row in rows[1:]]
        return CombinedLabeller(parts).to(resources.device)
    return _restored(context, rows[0], _classes(context)).to(resources.device)


def trained_annotator(context: AuditContext, resources: Resources) -> Classifier:
    """The annotator of all classes, trained as a run would train it, on the worker's device."""
    row = _row(annotator_shards(context)[0], resources)
    return _restored(context, row, _classes(context)).to(resources.device)


def _classes(context: AuditContext) -> int:
    return context.facts.references[ANNOTATOR.name].num_classes


def _row(shard: Shard, resources: Resources) -> Row:
    (row,) = train_annotator(shard.items, shard.settings, resources)
    assert not isinstance(row, Failure), "training has no failures that are rows"
    return row


def _restored(context: AuditContext, row: Row, classes: int) -> Classifier:
    architecture = ANNOTATOR.required(context.spec.stages).architecture
    return restored(row["weights"], architecture, context.facts.image_shape, classes)
