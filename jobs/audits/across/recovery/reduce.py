"""How often held-out images come back worse than training images, by class and over all."""

from ....reduce.context import ReduceContext
from ....reduce.emitter import emitter
from ....reduce.groups import group_values
from ....reduce.schema import SummaryRow, class_condition
from ...inversion.best_errors import read_best_errors
from .errors import compared_groups, recovered_pair


def reduce_recovery(context: ReduceContext) -> list[SummaryRow]:
    """AUCs of the least reconstruction errors known of every pair of :func:`.compared_groups`."""
    frame = read_best_errors(context.tables)
    if frame is None:
        return []
    rows: list[SummaryRow] = []
    for generator in context.generators:
        groups = group_values(context, frame, "mse", generator)
        for first, second in compared_groups(context):
            pair = recovered_pair(groups, first, second)
            whole = None if pair is None else pair.auc()
            if pair is None or whole is None:
                continue
            emit = emitter(context, generator=generator.name, group=first, against=second)
            rows.append(emit.at(condition=pair.condition).row("recovery_auc", whole))
            rows += [
                emit.at(condition=class_condition(index)).row("recovery_auc", found)
                for index, found in pair.class_aucs()
            ]
    return rows
