"""The summary of a run, by every audit's reducers."""

import pyarrow as pa

from ..audits import AUDITS, METRICS
from ..reduce.context import ReduceContext
from ..reduce.schema import summary_table


def reduce_run(context: ReduceContext) -> pa.Table:
    """The tidy summary of a run: every metric whose stage is there, with interval and n.

    Rows that failed are left out of the statistics and counted.

    Raises:
        RunTableError: tables that contradict themselves, the spec, or this schema version.
    """
    rows = (row for audit in AUDITS for reducer in audit.reducers for row in reducer(context))
    return summary_table(rows, METRICS)
