"""A run on disk or in a bucket: who owns it, which parts exist, and their rows."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from importlib import machinery
from itertools import tee
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...cluster.locations import Location, is_remote, open_storage
from ...cluster.s3_settings import BY_ENVIRONMENT, S3Settings
from ...cluster.storage import Storage
from ...workers.command_lines import resuming
from ...workers.computed_on import UNKNOWN, in_words, read_from
from ...workers.json_file import MOST_BYTES, JsonError, parse_json
from ...workers.part_file import Part, PartError, columns_or_damage, read_columns_of_parts
from ...workers.schema import STATUS_OK, TableSchema
from ...workers.shard import PART_SUFFIX, Shard, part_name, part_path, shard_id_of
from ...workers.shard_rows import SECONDS_KEY
from ...workers.soundness import Sizes, columns_of, unsound_length, unsound_numbers
from ..spec import stored
from ..spec.audit import AuditSpec
from ..spec.loading import Spec, SpecError, dump_spec, parse_spec, spec_text
from ..spec.paths import modules_in

SPEC_FILE = stored.SPEC_FILE
PROVENANCE_FILE = stored.PROVENANCE_FILE
SUMMARY_FILE = "summary.parquet"
REPORT_FILE = "report.html"
# Of a run that is not finished.
PARTIAL_REPORT_FILE = "report-partial.html"

# Where files go that are no longer read: other settings, withdrawn failures, damage.
SUPERSEDED = "_superseded"
RETRIED = "_retried"
DAMAGED = "_damaged"

_IDENTITY = ["generator", "condition", "image_id"]


@dataclass(frozen=True)
class PartFacts:
    """A part's rows, how many of them failed, the seconds they took one worker, and on what."""

    rows: int
    failed: int
    seconds: float
    computed_on: tuple[str, ...]


@dataclass(frozen=True)
class Verified:
    """How many of a table's rows failed, and how many parts were computed on what, in words.

    ``with_networks`` are those of the parts that took a generator or another network: what calls
    none is computed on CPUs, beside GPUs too.
    """

    failed: int
    computed_on: Counter[str]
    with_networks: Counter[str]


@dataclass(frozen=True)
class Contents:
    """What is in a stage's folder: the ids of planned shards, and the names of other files.

    Whoever reads the folder as one table reads the other files too.
    """

    finished: set[str]
    unplanned: list[str]


class RunDirectory:
    """The tree of one run, through its storage."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    @classmethod
    def at(cls, location: Location, settings: S3Settings = BY_ENVIRONMENT) -> "RunDirectory":
        """The run at a path or an ``s3://`` address, whether or not there is one.

        Raises:
            LocationError: an address that is not of a bucket.
        """
        return cls(open_storage(location, settings))

    @property
    def location(self) -> str:
        """Where the run is, for people."""
        return self.storage.locate()

    def require_own(self, spec: AuditSpec, *, allow_changed: bool) -> None:
        """Checks that the directory is this spec's, or nobody's.

        Raises:
            SpecError: when it belongs to another spec and ``allow_changed`` is false, or holds
                a spec that no run wrote.
        """
        if not self.storage.exists(SPEC_FILE):
            return
        if not self.storage.exists(PROVENANCE_FILE):
            raise SpecError(
                f"{self.location}: holds a {SPEC_FILE} that no run wrote; choose another --out"
            )
        differences = [] if allow_changed else _differences(self.spec(type(spec)), spec)
        if differences:
            raise SpecError(
                f"{self.location}: holds the run of another spec ({SPEC_FILE} differs in "
                f"{', '.join(differences)}); choose another --out, or pass --changed to "
                "recompute the stages that the change affects"
            )

    def claim(
        self,
        spec: AuditSpec,
        provenance: dict[str, Any],
        *,
        allow_changed: bool,
        rivals: Callable[[], Sequence[object]] = tuple,
    ) -> None:
        """Makes the directory this spec's own; of any number who try at once, one succeeds.

        Args:
            spec: the spec.
            provenance: what the run then says of itself.
            allow_changed: whether to take it from another spec.
            rivals: the drivers that work on it now for something else. Nothing is taken from them.

        Raises:
            SpecError: as :meth:`require_own`, or rivals are at work on it.
        """
        self.require_own(spec, allow_changed=allow_changed)
        content = dump_spec(spec).encode()
        # Whose spec comes first decides. A spec is a run's only beside a provenance; so that comes
        # before it, and is written again by whoever the run belongs to.
        if not self.storage.exists(SPEC_FILE):
            self.storage.publish(PROVENANCE_FILE, _as_json(provenance))
        if not self.storage.publish(SPEC_FILE, content):
            self.require_own(spec, allow_changed=allow_changed)
            if others := rivals():
                raise SpecError(
                    f"{self.location}: another driver is working on this run, for another spec or "
                    f"by another version ({'; '.join(map(str, others))}); stop it first, or choose "
                    "another --out. One that was killed on another machine is forgotten after 90 s"
                )
        self.write_json(PROVENANCE_FILE, provenance)
        self.storage.write(SPEC_FILE, content)

    def spec(self, model: type[Spec]) -> Spec:
        """The resolved spec that the run belongs to, as a ``model``.

        Raises:
            SpecError: no run directory, or a spec that cannot be read.
        """
        for name in (SPEC_FILE, PROVENANCE_FILE):
            if not self.storage.exists(name):
                gone = not is_remote(self.location) and not Path(self.location).exists()
                why = "nothing is there" if gone else f"it has no {name}"
                raise SpecError(f"{self.location}: not a run directory: {why}")
        name = self.storage.locate(SPEC_FILE)
        text = spec_text(self.storage.read(SPEC_FILE), name)
        base = Path.cwd() if is_remote(self.location) else Path(self.location)
        spec = parse_spec(model, text, base, (), name)
        self.refuse_own_code(spec)
        return spec

    def refuse_own_code(self, spec: AuditSpec) -> None:
        """A run directory is data: nothing that lies in it is ever imported, or run as a program.

        Raises:
            SpecError: a user's module, or a network's file that is a program, would be.
        """
        own = Path(self.location).resolve()
        # Python looks for a module in every folder that it was told of, for whatever module.
        folders = [*spec.import_paths, *sys.path]
        found = {
            module: tuple(place for folder in folders for place in _importable(folder, module))
            for module in modules_in(spec)
        }
        for key, paths in (*spec.code.items(), *found.items()):
            inside = [path for path in paths if Path(path).resolve().is_relative_to(own)]
            if inside:
                raise SpecError(
                    f"{self.location}: {key} would import code from the run "
                    f"directory itself ({inside[0]}); keep modules and networks outside of it, and "
                    "if this run is not yours, read them first"
                )

    def finished(self, stage: str) -> set[str]:
        """Ids of the stage's shards whose parts exist; one listing."""
        return {
            shard_id_of(name)
            for name in self.storage.list_names(stage)
            if name.endswith(PART_SUFFIX)
        }

    def contents(self, stage: str, planned: Set[str]) -> "Contents":
        """What is in a stage's folder, of the ``planned`` shards and besides; one listing."""
        names = self.storage.list_names(stage)
        finished = {shard_id for name in names if (shard_id := shard_id_of(name)) in planned}
        parts = {part_name(shard_id) for shard_id in finished}
        return Contents(finished, [f"{stage}/{name}" for name in names if name not in parts])

    def read(
        self, table: TableSchema, shard_ids: Iterable[str], columns: Sequence[str]
    ) -> pa.Table:
        """Those shards' rows, in that order, of those columns."""
        schema = pa.schema([table.arrow.field(name) for name in columns])
        parts = list(self.each_part(table, shard_ids, columns))
        if not parts:
            return schema.empty_table()
        return pa.concat_tables([part.cast(schema) for part in parts])

    def each_part(
        self, table: TableSchema, shard_ids: Iterable[str], columns: Sequence[str]
    ) -> Iterator[pa.Table]:
        """Those shards' rows, part by part, in that order, of those columns alone."""
        return read_columns_of_parts(self.storage, table, shard_ids, columns)

    def part_facts(self, table: TableSchema, shard_ids: Sequence[str]) -> Iterator[PartFacts]:
        """Counts of finished shards, and how long the worker of each took, in that order.

        Raises:
            PartError: a part that is damaged.
        """
        for found in self.facts_or_damage(table, shard_ids):
            if isinstance(found, PartError):
                raise found
            yield found

    def facts_or_damage(
        self, table: TableSchema, shard_ids: Sequence[str]
    ) -> Iterator[PartFacts | PartError]:
        """As :meth:`part_facts`; in the place of a damaged part there is what is wrong with it."""
        parts = columns_or_damage(self.storage, table, shard_ids, ["status"])
        for shard_id, part in zip(shard_ids, parts, strict=True):
            try:
                yield (
                    part
                    if isinstance(part, PartError)
                    else self._facts_of(table.name, shard_id, part)
                )
            except PartError as error:
                yield error

    def _facts_of(self, stage: str, shard_id: str, part: pa.Table) -> PartFacts:
        good = part["status"].to_pylist().count(STATUS_OK)
        try:
            seconds = float((part.schema.metadata or {})[SECONDS_KEY.encode()])
        except (KeyError, ValueError) as error:
            raise Part(part_path(stage, shard_id), self.location).error(
                f"was not written by an offmanifold worker: it has no {SECONDS_KEY}"
            ) from error
        computers = tuple(in_words(each) for each in read_from(part)) or (UNKNOWN,)
        return PartFacts(part.num_rows, part.num_rows - good, seconds, computers)

    def set_aside(self, names: Iterable[str], folder: str) -> None:
        """Moves files of the run into one of its folders: kept, but no longer read."""
        for name in names:
            self.storage.move(name, f"{folder}/{name}")

    def take_back(self, stage: str, planned: Set[str], folder: str) -> None:
        """Moves a stage's planned parts back that were set aside there, unless it has them again.

        A part is called by what it was computed from: one that another spec left is this one's.
        """
        aside = self.contents(f"{folder}/{stage}", planned).finished
        for shard_id in sorted(aside - self.finished(stage)) if aside else ():
            name = part_path(stage, shard_id)
            self.storage.move(f"{folder}/{name}", name)

    def verify(
        self, table: TableSchema, shard_ids: Iterable[str], shards: Iterable[Shard], sizes: Sizes
    ) -> Verified:
        """Checks the table's rows against the plan.

        ``shard_ids`` are those of ``shards``, in their order.

        Raises:
            PartError: for a damaged part, rows that are not exactly the planned items, or one that
                says ok and has not the numbers that such a row has.
            StorageError: for a missing part.
        """
        first, second = tee(shard_ids)
        parts = self.each_part(table, first, list(dict.fromkeys(_IDENTITY + columns_of(table))))
        failed, computed_on, with_networks = 0, Counter[str](), Counter[str]()
        for shard_id, shard, part in zip(second, shards, parts, strict=True):
            facts = self._verified(shard_id, shard, part, sizes)
            failed += facts.failed
            computed_on.update(facts.computed_on)
            if shard.calls_networks:
                with_networks.update(facts.computed_on)
        return Verified(failed, computed_on, with_networks)

    def _verified(self, shard_id: str, shard: Shard, part: pa.Table, sizes: Sizes) -> PartFacts:
        planned = [(item.generator, item.condition, item.image_id) for item in shard.items]
        same = part.num_rows == len(planned)
        if not same or planned != [
            tuple(row.values()) for row in part.select(_IDENTITY).to_pylist()
        ]:
            raise Part(part_path(shard.stage, shard_id), self.location).error(
                f"does not have the rows of the planned items ({part.num_rows} rows, "
                f"{len(planned)} planned)"
            )
        broken = unsound_numbers(shard.table, part)
        problem = broken[min(broken)] if broken else None
        problem = problem or unsound_length(shard.table, part, shard.settings, sizes)
        if problem is not None:
            raise Part(part_path(shard.stage, shard_id), self.location).error(
                f"says ok of a row whose {problem}"
            )
        return self._facts_of(shard.stage, shard_id, part)

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Replaces a JSON file of the run."""
        self.storage.write(name, _as_json(content))

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON file of the run.

        Raises:
            SpecError: it is damaged.
            StorageError: it cannot be read, or is far too large.
        """
        try:
            content = parse_json(self.storage.read(name, MOST_BYTES))
            if not isinstance(content, dict):
                raise JsonError(f"expected a mapping, found {type(content).__name__}")
        except JsonError as error:
            raise SpecError(
                f"{self.storage.locate(name)}: is damaged: {error}; "
                f"`{resuming(self.location)}` writes it again"
            ) from error
        return content


def _importable(folder: str, module: str) -> Iterator[str]:
    """The files in a folder that importing a module runs, if it is found there."""
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        place = Path(folder, *parts[:end])
        for suffix in machinery.all_suffixes():
            files = (place.parent / f"{place.name}{suffix}", place / f"__init__{suffix}")
            yield from (str(file) for file in files if file.exists())


def _as_json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()


def _differences(old: AuditSpec, new: AuditSpec) -> list[str]:
    """The top-level keys in which two specs differ; where a run runs is not part of it."""
    before, after = old.model_dump(mode="json"), new.model_dump(mode="json")
    return [key for key in after if key != "cluster" and before[key] != after[key]]
