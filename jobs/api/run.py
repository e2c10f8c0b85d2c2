"""A run that is finished, or as far as it got, as data frames."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
import pyarrow as pa

from ...cluster.locations import Location, absolute, is_remote
from ...workers.schema import STATUS_OK, TableSchema
from ..audits import TABLES
from ..audits.likelihood.densities import trusted_estimator
from ..plan.stage import PlanContext
from ..record.run_directory import REPORT_FILE, RunDirectory
from ..report.plain_text import printable
from ..report.summary import Summary
from ..report.verdict import Verdict
from ..results.context import reduce_context
from ..results.finished_run import replan, require_complete
from ..results.summary_file import read_summary
from ..results.verdicts import judge
from ..spec.loading import SpecError
from .markup import run_markup

_SPEAKS = {"good": "for", "bad": "against", "open": "undecided"}


@dataclass(frozen=True, repr=False)
class Run:
    """A run: its results as pandas data frames. Nothing of it is computed, and no code of its runs.

    Only what the run's spec plans counts. Damaged files raise `PartError` or `SpecError`.
    """

    context: PlanContext

    @property
    def location(self) -> str:
        """The run directory: a path, or an ``s3://`` address."""
        return self.context.run.location

    @property
    def report(self) -> Path | str:
        """Where the report is: a path, or an address in a bucket."""
        place = self.context.run.storage.locate(REPORT_FILE)
        return place if is_remote(self.location) else Path(place)

    @property
    def summary(self) -> pd.DataFrame:
        """Every metric with its interval, as ``summary.parquet`` has it (`docs/audits.md`).

        Raises:
            SpecError: the run is not complete, or the summary is not of its parts.
        """
        return self._summary.to_pandas()

    @property
    def verdicts(self) -> pd.DataFrame:
        """The answer to each question, a row for each generator and question.

        ``speaks`` is for, against or undecided; ``because`` gives numbers, intervals and N.

        Raises:
            SpecError: as `summary`.
        """
        return self._verdicts.copy()

    @property
    def tables(self) -> list[str]:
        """The names of the tables that the run has rows of, in the order of the stages."""
        return [table.name for table in TABLES if self._finished(table)]

    def table(self, name: str) -> pd.DataFrame:
        """The rows of a table, as far as they are there (`docs/tables.md`).

        Failed items are among them: their ``status`` is not ``ok``, and ``error`` says why.

        Raises:
            SpecError: the run has no such table.
            PartError: a part of it is damaged.
        """
        found = next((each for each in TABLES if each.name == name), None)
        ids = [] if found is None else self._finished(found)
        if found is None or not ids:
            has = ", ".join(self.tables) or "none yet"
            raise SpecError(f"{self.location}: has no rows of a table {name!r}; it has {has}")
        return self.context.run.read(found, ids, found.arrow.names).to_pandas()

    @property
    def failed(self) -> pd.DataFrame:
        """The rows of all tables whose items failed, with the table's name and the error."""
        columns = ["generator", "condition", "group", "image_id", "status", "error"]
        frames = [pd.DataFrame(columns=["table", *columns])]
        for table in TABLES:
            if ids := self._finished(table):
                rows = self.context.run.read(table, ids, columns).to_pandas()
                rows = rows[rows["status"] != STATUS_OK]
                if len(rows):
                    frames.append(rows.assign(table=table.name)[["table", *columns]])
        return pd.concat(frames[1:], ignore_index=True) if len(frames) > 1 else frames[0]

    @property
    def complete(self) -> bool:
        """Whether every planned item has a row, failed or not, and the results are made."""
        try:
            _ = self._summary
        except SpecError:
            return False
        return True

    def __repr__(self) -> str:
        if not self.complete:
            return printable(f"Run({self.location!r}, not complete)")
        lines = [f"Run({self.location!r})"]
        lines += [f"  {row.question} {row.answer}" for row in self.verdicts.itertuples()]
        return printable("\n".join(lines))

    def _repr_html_(self) -> str:
        verdicts = self.verdicts if self.complete else None
        return run_markup(self.location, str(self.report), verdicts, len(self.failed))

    @cached_property
    def _summary(self) -> pa.Table:
        require_complete(self.context)
        return read_summary(self.context)

    @cached_property
    def _verdicts(self) -> pd.DataFrame:
        reduced = reduce_context(self.context)
        summary = Summary(self._summary, trusted_estimator(reduced.tables))
        rows = [
            _verdict_row(generator, verdict)
            for generator, verdicts in judge(reduced, summary).items()
            for verdict in verdicts
        ]
        return pd.DataFrame(rows, columns=["generator", "question", "answer", "speaks", "because"])

    def _finished(self, table: TableSchema) -> list[str]:
        shards = self.context.plans.get(table.name)
        if shards is None:
            return []
        there = self.context.run.finished(table.name)
        return [shard_id for shard_id in shards.ids if shard_id in there]


def open_run(run: Location | os.PathLike[str]) -> Run:
    """The run in a folder, or at an ``s3://BUCKET/PREFIX`` address; complete or not.

    Raises:
        SpecError: no run directory, or one of a version whose tables this one cannot read.
        StorageError: the bucket cannot be read.
    """
    return Run(replan(RunDirectory.at(absolute(os.fspath(run)))))


def _verdict_row(generator: str, verdict: Verdict) -> dict[str, str]:
    return {
        "generator": generator,
        "question": verdict.question,
        "answer": verdict.headline,
        "speaks": _SPEAKS[verdict.tone],
        "because": " ".join(each.sentence for each in verdict.findings if each.primary),
    }
