"""Plans the ``annotator`` stage: one classifier, of all images of the set."""

from dataclasses import asdict, replace
from typing import Any

from ....core.settings.classifiers import TRAINING
from ....workers.classifiers import ANNOTATOR as COMPUTATION
from ....workers.own_classifier import COMPUTATION as OWN_COMPUTATION
from ....workers.shard import Item, Shard
from ....workers.trained import ANNOTATOR_TABLE
from ...plan.stage import AuditContext, Cost, PlanContext, Stage, StageError
from ..images.plan import reference_settings
from .settings import ANNOTATOR, CLASS_SHARES, Architecture


def classifier_settings(
    context: AuditContext, architecture: Architecture, most_rounds: int
) -> dict[str, Any]:
    """What every classifier's shard says: its images, its test images, and how it is trained."""
    training = replace(TRAINING[architecture], most_rounds=most_rounds)
    return {
        "train": reference_settings(context, ANNOTATOR.name),
        "held_out": reference_settings(context, CLASS_SHARES.name),
        "levels": real_levels(context),
        "architecture": architecture,
        "training": asdict(training),
    }


def real_levels(context: AuditContext) -> int | None:
    """The grey levels of the images that the annotator learns from."""
    return context.facts.references[ANNOTATOR.name].levels


def annotator_settings(context: PlanContext) -> dict[str, Any]:
    """How a worker opens the trained annotator.

    Its loss is there because training on a GPU gives other weights every time.

    Raises:
        StageError: its training failed.
    """
    (part,) = context.shard_ids(ANNOTATOR_TABLE.name)
    (row,) = context.run.read(ANNOTATOR_TABLE, [part], ["loss", "error"]).to_pylist()
    if row["loss"] is None:
        raise StageError(f"stage annotator: {row['error']}")
    facts = context.facts.references[ANNOTATOR.name]
    if ANNOTATOR.required(context.spec.stages).own is not None:
        return own_settings(context)
    return {
        "part": part,
        "loss": row["loss"],
        "architecture": ANNOTATOR.required(context.spec.stages).architecture,
        "image_shape": list(context.facts.image_shape),
        "classes": facts.num_classes,
    }


def own_settings(context: AuditContext) -> dict[str, Any]:
    """How a worker opens the user's own annotator, and what it is recognised by."""
    own = ANNOTATOR.required(context.spec.stages).own
    assert own is not None, "asked for where there is one"
    return {
        "own": own.opened_from.settings,
        "sha256": context.facts.classifiers[ANNOTATOR.name],
        "image_shape": list(context.facts.image_shape),
        "classes": context.facts.references[ANNOTATOR.name].num_classes,
    }


def plan(context: PlanContext) -> list[Shard]:
    """The annotator's shard."""
    return [annotator_shard(context)]


def annotator_shard(context: AuditContext) -> Shard:
    """A shard with one item: the annotator to train, or the user's own to measure."""
    spec = ANNOTATOR.required(context.spec.stages)
    item = Item(
        generator=None,
        condition=None,
        group=spec.dataset,
        image_id="annotator",
        label=None,
        seed=context.seed("annotator"),
    )
    if spec.own is not None:
        measured = {
            "annotator": own_settings(context),
            "train": reference_settings(context, ANNOTATOR.name),
            "held_out": reference_settings(context, CLASS_SHARES.name),
            "levels": real_levels(context),
        }
        return Shard(ANNOTATOR_TABLE, OWN_COMPUTATION, measured, (item,))
    settings = {
        **classifier_settings(context, spec.architecture, spec.most_rounds),
        "source": "real",
        "factor": 1,
        "subset_seed": 0,
    }
    return Shard(ANNOTATOR_TABLE, COMPUTATION, settings, (item,))


def _cost(context: AuditContext) -> Cost:
    own = ANNOTATOR.required(context.spec.stages).own
    return Cost(1, 1, 0, trainings=1 if own is None else 0)


STAGE = Stage(
    table=ANNOTATOR_TABLE,
    computations=(COMPUTATION, OWN_COMPUTATION),
    description="a classifier of real images, which labels generated ones",
    needs=(),
    enabled=lambda spec: ANNOTATOR.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
)
