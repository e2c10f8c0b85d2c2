"""The table of accuracies."""

from ....reduce.context import GeneratorInfo, ReduceContext
from ....report.summary import Summary, number
from ....report.tables import Table
from ..outliers.methods import METHODS, Found, percent, side_by_side


def accuracy_table(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> Table | None:
    """Accuracy of every classifier that the run has, side by side, in percent, by group."""
    found: Found = {}
    for group in context.groups:
        keys = {"generator": generator.name, "group": group.name}
        ties = [summary.find(f"ties_{method.key}", **keys) for method in METHODS]
        counted = sum(int(tie.value) for tie in ties if tie is not None)
        found[group.name, str(counted)] = [
            method.accuracy(summary, generator, group.name) for method in METHODS
        ]
    headers, rows = side_by_side(found, percent)
    if not rows:
        return None
    return Table(
        f"Images given their own class, %; chance is {number(100 / generator.num_classes)}",
        ["group", "ties", *headers, "N"],
        rows,
        key="accuracy",
    )
