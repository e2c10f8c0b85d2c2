"""The annotator of a spec, trained here and now, for commands that are no run."""

from ....core.classifiers.classifier import Classifier
from ....workers.annotator import restored
from ....workers.classifiers import train_annotator
from ....workers.resources import Resources
from ...plan.stage import AuditContext
from .annotator_plan import annotator_shard
from .settings import ANNOTATOR


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
