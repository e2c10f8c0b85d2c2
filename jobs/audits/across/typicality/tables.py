"""The table of deviations."""

from ....report.table import Cell, Column, N, Table, estimates, filled_table, numbers
from ....report.view import View
from ....report.words import BOUND
from .question import TYPICAL_WORDS, find_deviation


def typicality_table(view: View) -> Table | None:
    """How ln p of every group differs from that of each reference; the null audit's beside."""
    rows: list[list[Cell]] = []
    for reference in view.context.references:
        for group in view.context.groups_and_null:
            deviation = find_deviation(view, group.name, reference.name)
            if deviation is None:
                continue
            strict = reference.role == "simulated"
            rows.append(
                [
                    group.name,
                    reference.name,
                    deviation.found,
                    deviation.margin,
                    deviation.p_mean,
                    deviation.p_shape,
                    view.null_p_value("typicality_p_null", group.name) if strict else None,
                    TYPICAL_WORDS[deviation.answer],
                    deviation.found.n,
                ]
            )
    return filled_table(
        "Mean ln p of a group minus that of a reference, nats, each image under its own class; "
        "p-values of equal means, of equal shapes, and of deviating like the null audit's images; "
        f"{BOUND}",
        [
            Column("group"),
            Column("against"),
            estimates("deviation"),
            numbers("margin", sign="±"),
            numbers("p mean", 2),
            numbers("p shape", 2),
            numbers("p null", 2),
            Column("so"),
            N,
        ],
        rows,
        key="typicality",
    )
