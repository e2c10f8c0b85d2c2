"""The summary of a run: every audit's reducer, in order."""

from collections.abc import Callable

import pyarrow as pa

from ..audits.across.class_densities.reduce import reduce_class_densities
from ..audits.across.classification.reduce import reduce_classification
from ..audits.across.failures.reduce import reduce_quarantine
from ..audits.across.outliers.reduce import reduce_outliers
from ..audits.across.ranking.reduce import reduce_ranking
from ..audits.across.standing.reduce import reduce_density_bound
from ..audits.across.typicality.reduce import reduce_typicality
from ..audits.comparison.reduce import reduce_estimator_gap
from ..audits.convergence.reduce import reduce_convergence
from ..audits.inversion.reduce import reduce_reconstruction
from ..audits.likelihood.health import reduce_health
from ..audits.likelihood.reduce import reduce_likelihood
from ..audits.null_audit.reduce import reduce_null_audit
from ..audits.patches.reduce import reduce_patches
from ..audits.perceptual.reduce import reduce_perceptual
from ..audits.sensing.reduce import reduce_sensing
from ..audits.sweep.reduce import reduce_sweep
from ..audits.variance.reduce import reduce_variance
from ..audits.variation.reduce import reduce_variation
from ..reduce.context import ReduceContext
from ..reduce.schema import SummaryRow, summary_table

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
