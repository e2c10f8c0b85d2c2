"""The audit's questions, each answered in words that follow from its numbers and intervals."""

from collections.abc import Callable

from ..reduce.context import GeneratorInfo, ReduceContext
from .classification_question import classifies_as_well
from .likeliest_question import likeliest_group
from .manifold_question import on_manifold
from .outlier_questions import denser_outliers, nearer_to_outliers
from .patch_question import explained_by_patches
from .sensing_question import restores_better
from .summary import Summary
from .typicality_question import typical_data
from .verdict import Verdict

Question = Callable[[ReduceContext, Summary, GeneratorInfo], Verdict | None]

QUESTIONS: tuple[Question, ...] = (
    on_manifold,
    nearer_to_outliers,
    likeliest_group,
    denser_outliers,
    typical_data,
    classifies_as_well,
    restores_better,
    explained_by_patches,
)


def judge(context: ReduceContext, summary: Summary, generator: GeneratorInfo) -> list[Verdict]:
    """The questions that the run's stages can answer, for one generator."""
    verdicts = [question(context, summary, generator) for question in QUESTIONS]
    return [verdict for verdict in verdicts if verdict is not None]
