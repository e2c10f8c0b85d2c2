"""Every table and computation that the package has, by name, out of its stages."""

from collections.abc import Mapping

from offmanifold.jobs.audits import STAGES
from offmanifold.workers.revisions import Computation
from offmanifold.workers.schema import TableSchema

TABLES: Mapping[str, TableSchema] = {stage.name: stage.table for stage in STAGES}
COMPUTATIONS: Mapping[str, Computation] = {
    computation.name: computation for stage in STAGES for computation in stage.computations
}
