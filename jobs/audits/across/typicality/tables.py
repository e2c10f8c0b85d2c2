"""The table of deviations."""

from ....reduce.context import GeneratorInfo, ReduceContext
from ....report.summary import MISSING, Summary, number
from ....report.tables import Table
from .question import TYPICAL_WORDS, find_deviation


def typicality_table(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> Table | None:
    """How ln p of every group differs from that of each reference; the null audit's beside."""
    rows = []
    for reference in context.references:
        for group in context.groups_and_null:
            deviation = find_deviation(summary, generator, group.name, reference.name)
            if deviation is None:
                continue
            keys = {"generator": generator.name, "group": group.name}
            alike = summary.find("typicality_p_null", **keys) if context.null else None
            strict = reference.role == "simulated"
            rows.append(
                [
                    group.name,
                    reference.name,
                    deviation.found.text(),
                    f"±{number(deviation.margin)}",
                    number(deviation.p_mean, 2),
                    number(deviation.p_shape, 2),
                    MISSING if alike is None or not strict else number(alike.value, 2),
                    TYPICAL_WORDS[deviation.answer],
                    str(deviation.found.n),
                ]
            )
    if not rows:
        return None
    return Table(
        "Mean ln p of a group minus that of a reference, nats, each image under its own class; "
        "p-values of equal means, of equal shapes, and of deviating as the null audit's images do",
        ["group", "against", "deviation", "margin", "p mean", "p shape", "p null", "so", "N"],
        rows,
        key="typicality",
    )
