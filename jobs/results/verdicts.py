"""The audit's questions, each answered in words that follow from its numbers and intervals."""

from dataclasses import replace

from ..audits import AUDITS
from ..reduce.context import ReduceContext
from ..report.summary import Summary
from ..report.verdict import Verdict, correct_for_many, under_null
from ..report.view import View


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
            for audit in AUDITS
            for question in audit.questions
            if (verdict := question(View(context, summary, generator))) is not None
        ]
        for generator in context.generators
    }
    corrected = iter(correct_for_many([verdict for each in asked.values() for verdict in each]))
    return {name: [next(corrected) for _ in verdicts] for name, verdicts in asked.items()}
