"""The audit's questions, each answered in words that follow from its numbers and intervals."""

from dataclasses import replace

from ..audits import AUDITS
from ..audits.across.ranking.question import EVERY_GROUP
from ..reduce.context import ReduceContext
from ..report.summary import Summary
from ..report.verdict import Verdict, correct_for_many, under_null
from ..report.view import View


def judge(context: ReduceContext, summary: Summary) -> dict[str, list[Verdict]]:
    """The questions that the run's stages can answer, by generator.

    Each is asked of the model's own samples too, and all share one error rate. None is asked of
    data that were assigned classes in turn: a class-conditional generator makes no image of one
    class under another, however right it is.
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
            if (verdict := question(_judged(View(context, summary, generator)))) is not None
        ]
        for generator in context.generators
    }
    corrected = iter(correct_for_many([verdict for each in asked.values() for verdict in each]))
    return {name: [next(corrected) for _ in verdicts] for name, verdicts in asked.items()}


def _judged(view: View) -> View:
    """The view without what rests on classes that images were assigned.

    Training images share an observation variance, so that those of other groups go with them; a
    ranking of groups says nothing without one of them.
    """
    assigned = [each for each in view.context.groups if each.conditions == "in_turn"]
    if not assigned or not view.generator.num_classes:
        return view
    hidden = {group.name for group in assigned}
    if any(group.role == "train" for group in assigned):
        hidden |= {group.name for group in view.context.with_role("train")}

    def stays(row: dict[str, object]) -> bool:
        is_ranking = str(row["metric"]).startswith(EVERY_GROUP)
        return not is_ranking and row["group"] not in hidden and row["against"] not in hidden

    return replace(view, summary=view.summary.where(stays))
