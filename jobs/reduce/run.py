"""The reducers of a run, by question; a new one is a line here and its metrics in the schema."""

from collections.abc import Callable

import pyarrow as pa

from .class_densities import reduce_class_densities
from .classification import reduce_classification
from .context import ReduceContext
from .convergence import reduce_convergence
from .density_bound import reduce_density_bound
from .estimator_gap import reduce_estimator_gap
from .health import reduce_health
from .likelihood import reduce_likelihood
from .null_audit import reduce_null_audit
from .outliers import reduce_outliers
from .patches import reduce_patches
from .perceptual import reduce_perceptual
from .quarantine import reduce_quarantine
from .ranking import reduce_ranking
from .reconstruction import reduce_reconstruction
from .schema import SummaryRow, summary_table
from .sensing import reduce_sensing
from .sweep import reduce_sweep
from .typicality import reduce_typicality
from .variance import reduce_variance
from .variation import reduce_variation

Reducer = Callable[[ReduceContext], list[SummaryRow]]

REDUCERS: tuple[Reducer, ...] = (
    reduce_reconstruction,
    reduce_null_audit,
    reduce_perceptual,
    reduce_variance,
    reduce_likelihood,
    reduce_density_bound,
    reduce_ranking,
    reduce_outliers,
    reduce_classification,
    reduce_typicality,
    reduce_patches,
    reduce_variation,
    reduce_class_densities,
    reduce_health,
    reduce_convergence,
    reduce_sweep,
    reduce_estimator_gap,
    reduce_sensing,
    reduce_quarantine,
)


def reduce_run(context: ReduceContext) -> pa.Table:
    """The tidy summary of a run: every metric whose stage is there, with interval and n.

    Rows that failed are left out of the statistics and counted.

    Raises:
        RunTableError: tables that contradict themselves, the spec, or this schema version.
    """
    return summary_table(row for reducer in REDUCERS for row in reducer(context))
