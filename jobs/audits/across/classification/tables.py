"""The table of accuracies."""

from ....report.summary import number
from ....report.table import Column, Table, counts
from ....report.view import View
from ..outliers.methods import METHODS, Found, methods_table


def accuracy_table(view: View) -> Table | None:
    """Accuracy of every classifier that the run has, side by side, in percent, by group."""
    if not view.generator.num_classes:
        return None
    found: Found = {}
    for group in view.context.groups:
        ties = [view.find(f"ties_{method.key}", group.name) for method in METHODS]
        counted = sum(int(tie.value) for tie in ties if tie is not None)
        found[group.name, counted] = [method.accuracy(view, group.name) for method in METHODS]
    return methods_table(
        f"Images given their own class of {len(view.generator.conditions)}, %; chance is "
        f"{number(view.generator.chance)}",
        [Column("group"), counts("ties")],
        found,
        decimals=1,
        scale=100,
        key="accuracy",
    )
