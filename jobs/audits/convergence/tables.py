"""The table of what doubling a setting changes."""

from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.schema import DOUBLED
from ...report.summary import Summary, by_estimator, number
from ...report.tables import Table


def doubling_table(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> Table | None:
    """Mean and largest change of ln p by group, estimator and what was doubled."""
    rows = []
    for group in context.groups:
        for estimator, found in by_estimator(summary):
            for varied in DOUBLED:
                keys = {"generator": generator.name, "group": group.name, "against": varied}
                change = found.find("doubling_change", **keys)
                largest = found.find("doubling_change_max", **keys)
                if change is not None and largest is not None:
                    rows.append(
                        [
                            group.name,
                            estimator,
                            varied,
                            change.text(),
                            number(largest.value),
                            str(change.n),
                        ]
                    )
    if not rows:
        return None
    return Table(
        "Change of ln p when one setting is doubled, nats",
        ["group", "estimator", "doubled", "mean change", "largest change", "N"],
        rows,
        key="doubling",
    )
