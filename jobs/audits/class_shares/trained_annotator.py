"""The annotator of a spec, trained here and now, for commands that are no run."""

from ....core.classifiers.classifier import Classifier, Labeller
from ....workers.annotator import restored
from ....workers.classifiers import train_annotator
from ....workers.own_classifier import own_classifier_of
from ....workers.resources import Resources
from ...plan.stage import AuditContext
from .annotator_plan import annotator_shard, own_settings
from .settings import ANNOTATOR


def annotator_here(context: AuditContext, resources: Resources) -> Labeller:
    """The annotator on the worker's device: the user's own, or one trained as a run would."""
    if ANNOTATOR.required(context.spec.stages).own is not None:
        return own_classifier_of(own_settings(context), resources)
    return trained_annotator(context, resources)


def trained_annotator(context: AuditContext, resources: Resources) -> Classifier:
    """The annotator, trained as a run would train it, on the worker's device."""
    shard = annotator_shard(context)
    (row,) = train_annotator(shard.items, shard.settings, resources)
    assert isinstance(row, dict), "training has no failures that are rows"
    facts = context.facts
    return restored(
        row["weights"],
        ANNOTATOR.required(context.spec.stages).architecture,
        facts.image_shape,
        facts.references[ANNOTATOR.name].num_classes,
    ).to(resources.device)
