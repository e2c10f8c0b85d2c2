"""The audit's questions, each answered in words that follow from its numbers and intervals."""

from collections.abc import Callable
from dataclasses import replace

from ..audits.across.classification.question import classifies_as_well
from ..audits.across.outliers.questions import denser_outliers, nearer_to_outliers
from ..audits.across.ranking.question import likeliest_group
from ..audits.across.typicality.question import typical_data
from ..audits.inversion.question import on_manifold
from ..audits.patches.question import explained_by_patches
from ..audits.sensing.question import restores_better
from ..reduce.context import GeneratorInfo, ReduceContext
from ..report.summary import Summary
from ..report.verdict import Verdict, correct_for_many, under_null

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


def judge(context: ReduceContext, summary: Summary) -> dict[str, list[Verdict]]:
    """The questions that the run's stages can answer, by generator.

    Each is asked of the model's own samples too, and all share one error rate.
    """
    asked = {
        generator.name: [
            replace(
                verdict,
                findings=tuple(
                    # A control that is read beside the verdict is a null itself.
                    found
                    if found.null is None and not found.primary
                    else under_null(found, verdict.good)
                    for found in verdict.findings
                ),
            )
            for question in QUESTIONS
            if (verdict := question(context, summary, generator)) is not None
        ]
        for generator in context.generators
    }
    corrected = iter(correct_for_many([verdict for each in asked.values() for verdict in each]))
    return {name: [next(corrected) for _ in verdicts] for name, verdicts in asked.items()}
