"""The one place where tests make the context of a run that no spec describes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.jobs.audits import TABLES
from offmanifold.jobs.reduce.context import GeneratorInfo, GroupInfo, ReduceContext
from offmanifold.jobs.reduce.tables import RunTables


def tables_in(folder: Path) -> RunTables:
    """The tables that lie in a folder, as they are from now on."""
    return RunTables(LocalStorage(folder), TABLES)


def context_of(
    groups: Sequence[GroupInfo],
    generators: Sequence[GeneratorInfo],
    folder: Path = Path("unused"),
    seed: int = 0,
    **settings: Any,
) -> ReduceContext:
    """The context of a run in ``folder``, which need not exist where no table is read."""
    return ReduceContext(tables_in(folder), groups, generators, seed, **settings)
