"""``summary.parquet`` and ``parts.json``: which parts, of which spec, a summary was made from."""

import pyarrow as pa

from ... import __version__
from ...workers.command_lines import command, resuming
from ...workers.part_file import Part, PartError, decoded
from ...workers.schema import PARTS_FILE, TableSchema
from ...workers.seal import DamageError, proved_end, sealed_table
from ...workers.shard import part_name
from ..audits import TABLES
from ..plan.stage import PlanContext
from ..record.run_directory import SUMMARY_FILE
from ..reduce.schema import SUMMARY
from ..spec.loading import SpecError, spec_digest
from .finished_run import plan_digest

# A summary has a row for each metric of each group, and so some ten thousand.
_MOST_BYTES = 2**26

SPEC_KEY = "offmanifold.spec"
"""In a summary's metadata, the hash of the spec that it was made from."""
PLAN_KEY = "offmanifold.plan"
"""In a summary's metadata, the hash of the ids of the shards that it was made from."""


def write_summary(context: PlanContext, summary: pa.Table) -> None:
    """Writes the summary of a complete run, with what it was made from, and the list of parts."""
    made_from = {SPEC_KEY: spec_digest(context.spec), PLAN_KEY: plan_digest(context)}
    content = sealed_table(summary.replace_schema_metadata(made_from), SUMMARY_FILE)
    context.run.storage.write(SUMMARY_FILE, content)
    context.run.write_json(
        PARTS_FILE,
        {
            "offmanifold": __version__,
            "spec": made_from[SPEC_KEY],
            "tables": {table.name: names for table in TABLES if (names := _parts(context, table))},
        },
    )


def read_summary(context: PlanContext) -> pa.Table:
    """The summary of a run, once it proves to be of the run's spec and of the parts that it has.

    Raises:
        SpecError: there is none, it is damaged, or it was made from something else.
    """
    run = context.run
    place, again = run.storage.locate(SUMMARY_FILE), f"`{command('report', run.location)}`"
    if not run.storage.exists(SUMMARY_FILE):
        raise SpecError(
            f"{run.location}: has no {SUMMARY_FILE} yet; finish it with "
            f"`{resuming(run.location)}`, or rebuild it with {again}"
        )
    content = run.storage.read(SUMMARY_FILE, _MOST_BYTES)
    try:
        end = proved_end(content, len(content))
        if end.sealed:
            end.prove_all(content)
        schema = end.footer.schema.to_arrow_schema()
    except (DamageError, pa.ArrowException) as error:
        raise SpecError(f"{place}: is damaged ({error}); rebuild it with {again}") from error
    if (schema.names, schema.types) != (SUMMARY.names, SUMMARY.types):
        raise SpecError(
            f"{place}: its columns are not those of this version of offmanifold; rebuild it with "
            f"{again}"
        )
    expected = {SPEC_KEY: spec_digest(context.spec), PLAN_KEY: plan_digest(context)}
    made_from = {key: end.metadata.get(key) for key in expected} if end.sealed else {}
    if made_from != expected:
        raise SpecError(
            f"{place}: was not made from the run's spec and its parts as they are now; rebuild it "
            f"with {again}"
        )
    try:
        return decoded(content, end, Part(SUMMARY_FILE, run.location))
    except PartError as error:
        raise SpecError(f"{place}: {error.problem}; rebuild it with {again}") from error


def _parts(context: PlanContext, table: TableSchema) -> list[str]:
    shards = context.plans.get(table.name)
    return [] if shards is None else sorted(part_name(shard_id) for shard_id in shards.ids)
