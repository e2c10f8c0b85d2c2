"""Plans the ``classifiers`` stage: a shard a classifier."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ....workers.classifiers import CLASSIFIERS_TABLE, COMPUTATION
from ....workers.shard import Item, Shard
from ....workers.trained import ANNOTATOR_TABLE
from ...plan.stage import AuditContext, Cost, PlanContext, Stage
from ...spec.facts import GeneratorFacts
from ..class_shares.annotator_plan import (
    annotator_settings,
    classifier_settings,
    training_chores,
    untimed_rounds,
)
from ..class_shares.settings import ANNOTATOR, Architecture
from ..images.plan import generated_settings
from .settings import DIVERSITY, DiversitySpec

REAL, GENERATED, BOTH = "real", "generated", "real and generated"


@dataclass(frozen=True)
class Model:
    """A classifier to train: on 1/``size`` of the real images, or ``size`` times generated ones."""

    architecture: Architecture
    source: str
    size: int
    repeat: int

    @property
    def name(self) -> str:
        """What tells it from a generator's other classifiers, and from the other real ones."""
        words = self.source.replace(" ", "-")
        return f"{self.architecture}-{words}-{self.size:05d}-{self.repeat}"


def plan(context: PlanContext) -> Iterator[Shard]:
    """Shards of real images, then of each generator's."""
    spec = DIVERSITY.required(context.spec.stages)
    annotator = annotator_settings(context)
    for model in real_models(spec):
        settings = {
            **classifier_settings(context, model.architecture, spec.most_rounds),
            "source": REAL,
            "factor": model.size,
            "repeat": model.repeat,
            # The same images for every architecture.
            "subset_seed": context.seed("classifiers", "subset", model.size, model.repeat),
        }
        yield _shard(context, None, model, settings)
    for generator in context.facts.generators.values():
        for model in generated_models(spec):
            settings = {
                **classifier_settings(context, model.architecture, spec.most_rounds),
                **_drawn(context, generator, model),
                "source": model.source,
                "multiple": model.size,
                "repeat": model.repeat,
                "annotator": annotator,
            }
            yield _shard(context, generator.name, model, settings)


def real_models(spec: DiversitySpec) -> list[Model]:
    """The classifiers of real images."""
    return [
        Model(architecture, REAL, factor, repeat)
        for architecture in spec.architectures
        for factor in spec.factors
        for repeat in range(spec.repeats)
    ]


def generated_models(spec: DiversitySpec) -> list[Model]:
    """The classifiers of one generator's images."""
    sources = [(GENERATED, multiple) for multiple in spec.multiples]
    if spec.real_and_generated:
        sources.append((BOTH, 1))
    return [
        Model(architecture, source, size, repeat)
        for architecture in spec.architectures
        for source, size in sources
        for repeat in range(spec.repeats)
    ]


def _drawn(context: AuditContext, generator: GeneratorFacts, model: Model) -> dict[str, Any]:
    """Which images of the generator: another draw every time, as long as there are samples."""
    length = context.facts.references[ANNOTATOR.name].length
    assert length is not None, "validation refuses a reference set without end"
    count, there = model.size * length, generator.available()
    draw = model.repeat if there is None else model.repeat % (there // count)
    return {
        "generated": generated_settings(context, generator),
        "given": generator.num_classes > 0,
        "first": draw * count,
        "count": count,
        "classes_seed": context.seed("classifiers", "classes", generator.name),
    }


def _shard(
    context: PlanContext, generator: str | None, model: Model, settings: dict[str, Any]
) -> Shard:
    item = Item(
        generator=generator,
        condition=None,
        group="classifiers",
        image_id=model.name,
        label=None,
        seed=context.seed("classifiers", generator, model.name),
    )
    return Shard(CLASSIFIERS_TABLE, COMPUTATION, settings, (item,))


def _cost(context: AuditContext) -> Cost:
    spec = DIVERSITY.required(context.spec.stages)
    length = context.facts.references[ANNOTATOR.name].length or 0
    made = generated_models(spec)
    models = len(real_models(spec)) + len(context.facts.generators) * len(made)
    drawn = [each for each in context.facts.generators.values() if each.samples is None]
    images = sum(model.size * length for model in made)
    trained = [*real_models(spec), *made * len(context.facts.generators)]
    chores = []
    for architecture in spec.architectures:
        sizes = [_images(each, length) for each in trained if each.architecture == architecture]
        chores += training_chores(context, architecture, sizes)
    left = untimed_rounds(spec.architectures[0], spec.most_rounds)
    return Cost(models, models, len(drawn) * images, models, chores=tuple(chores), unforeseen=left)


def _images(model: Model, length: int) -> int:
    """How many images it is trained on, of a set of so many real ones."""
    if model.source == REAL:
        return length // model.size
    return model.size * length if model.source == GENERATED else 2 * length


STAGE = Stage(
    table=CLASSIFIERS_TABLE,
    computations=(COMPUTATION,),
    description="classifiers of real, of fewer real and of generated images, tested on real ones",
    needs=(ANNOTATOR_TABLE.name,),
    enabled=lambda spec: DIVERSITY.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
)
