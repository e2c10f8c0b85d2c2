"""Plans the ``annotator`` stage: a classifier of all images of the set; and of each attribute."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from ....core.settings.classifiers import TRAINING
from ....workers.classifiers import ANNOTATOR as COMPUTATION
from ....workers.own_classifier import COMPUTATION as OWN_COMPUTATION
from ....workers.shard import Item, Shard
from ....workers.timed_parts import BATCHES, TrainingPart
from ....workers.trained import ANNOTATOR_TABLE
from ...plan.stage import AuditContext, Cost, PlanContext, Stage, StageError
from ...plan.work import Chore
from ..images.plan import reading_chore, reference_settings
from .settings import ANNOTATOR, CLASS_SHARES, Architecture

JOINT = "annotator"
"""What the table calls the annotator of all classes."""


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
    """How a worker opens the annotator: the user's own, the trained one, or one an attribute.

    Raises:
        StageError: the training of one failed.
    """
    trained = _trained(context)
    if ANNOTATOR.required(context.spec.stages).own is not None:
        return own_settings(context)
    rows = [row for row, _ in trained]
    if attributes_are_better(rows):
        return {"attributes": [settings for _, settings in trained[1:]]}
    return trained[0][1]


def feature_settings(context: PlanContext) -> dict[str, Any]:
    """How a worker opens the trained annotator of all classes, whose features are asked for.

    Raises:
        StageError: its training failed.
    """
    return _trained(context)[0][1]


def attributes_are_better(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether annotators of single attributes are oftener right in all of them than the joint one.

    ``rows`` of the table ``annotator``: the joint one's, then those of the attributes.
    """
    joint, *single = rows
    return bool(single) and right_by_attribute(single).mean() > np.mean(joint["test_correct"])


def right_by_attribute(rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Whether every attribute of each held-out image is told rightly [images]."""
    return np.asarray(np.all([row["test_correct"] for row in rows], axis=0))


def _trained(context: PlanContext) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The row of each annotator, and how a worker opens it; the one of all classes first.

    Its loss is there because training on a GPU gives other weights every time.
    """
    facts, found = context.facts.references[ANNOTATOR.name], []
    for place, part in enumerate(context.shard_ids(ANNOTATOR_TABLE.name)):
        columns = ["loss", "error", "test_correct"]
        (row,) = context.run.read(ANNOTATOR_TABLE, [part], columns).to_pylist()
        if row["loss"] is None:
            raise StageError(f"stage annotator: {row['error']}")
        settings = {
            "part": part,
            "loss": row["loss"],
            "architecture": ANNOTATOR.required(context.spec.stages).architecture,
            "image_shape": list(context.facts.image_shape),
            "classes": 2 if place else facts.num_classes,
        }
        found.append((row, settings))
    return found


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
    """A shard an annotator."""
    return annotator_shards(context)


def attributes(context: AuditContext) -> tuple[str, ...]:
    """The attributes that have an annotator each: where several make the classes, as they are."""
    spec = ANNOTATOR.required(context.spec.stages)
    several = isinstance(spec.attribute, tuple) and spec.own is None
    renumbered = "classes" in context.facts.references[ANNOTATOR.name].options
    return spec.attribute if several and not renumbered else ()  # type: ignore[return-value]


def annotator_shards(context: AuditContext) -> list[Shard]:
    """Shards with one item: the annotator to train, or to measure, and one for each attribute."""
    spec = ANNOTATOR.required(context.spec.stages)
    joint = Item(
        generator=None,
        condition=None,
        group=spec.dataset,
        image_id=JOINT,
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
        return [Shard(ANNOTATOR_TABLE, OWN_COMPUTATION, measured, (joint,))]
    settings = {
        **classifier_settings(context, spec.architecture, spec.most_rounds),
        "source": "real",
        "factor": 1,
        "subset_seed": 0,
    }
    shards = [Shard(ANNOTATOR_TABLE, COMPUTATION, settings, (joint,))]
    named = attributes(context)
    for place, attribute in enumerate(named):
        item = replace(
            joint, image_id=of_attribute(attribute), seed=context.seed("annotator", attribute)
        )
        shift = {"attribute_shift": len(named) - 1 - place}
        shards.append(Shard(ANNOTATOR_TABLE, COMPUTATION, {**settings, **shift}, (item,)))
    return shards


def of_attribute(attribute: str) -> str:
    """What the table calls the annotator of an attribute."""
    return f"{JOINT} of {attribute}"


def _cost(context: AuditContext) -> Cost:
    spec, count = ANNOTATOR.required(context.spec.stages), 1 + len(attributes(context))
    if spec.own is not None:
        return Cost(count, count, 0)
    length = context.facts.references[ANNOTATOR.name].length or 0
    held_out = context.facts.references[CLASS_SHARES.name]
    chores = [
        *training_chores(context, spec.architecture, [length] * count),
        reading_chore(context, context.facts.references[ANNOTATOR.name], length),
        reading_chore(context, held_out, held_out.length or 0),
    ]
    left = untimed_rounds(spec.architecture, spec.most_rounds)
    return Cost(count, count, 0, count, chores=tuple(chores), unforeseen=left)


def training_chores(
    context: AuditContext, architecture: Architecture, images: Sequence[int]
) -> list[Chore]:
    """The fewest steps of classifiers that are trained on so many images each."""
    facts, settings = context.facts, TRAINING[architecture]
    classes = facts.references[ANNOTATOR.name].num_classes
    batches = 0
    for count in images:
        of_pass = -(-max(1, count) // settings.batch_size)
        batches += -(-settings.round_batches // of_pass) * of_pass
    part = TrainingPart(architecture, facts.image_shape, classes, settings.batch_size)
    times = settings.fewest_rounds * batches / BATCHES
    return [Chore.of("the training of classifiers", part, times)]


def untimed_rounds(architecture: Architecture, most_rounds: int) -> str:
    """What is not foreseen of a classifier's training: it ends when it has converged."""
    fewest = TRAINING[architecture].fewest_rounds
    return f"rounds of training after the first {fewest}, of which there may be {most_rounds:,}"


STAGE = Stage(
    table=ANNOTATOR_TABLE,
    computations=(COMPUTATION, OWN_COMPUTATION),
    description="a classifier of real images, which labels generated ones",
    needs=(),
    enabled=lambda spec: ANNOTATOR.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
)
