"""The worker: turns a shard into one published part, with a row for every item, whatever fails."""

import errno
import importlib
import json
import socket
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import torch

from ..cluster.broken_worker import BrokenWorkerError
from ..cluster.ray_errors import ClusterError
from ..cluster.s3_settings import BY_ENVIRONMENT, S3Settings
from ..cluster.storage import Storage, StorageError
from .computed_on import COMPUTED_ON_KEY, computed_on, in_metadata, read_from, set_precision
from .datasets import file_error
from .gpu_problem import gpu_problem
from .json_file import parse_json
from .outcome import Failure, Outcome, Row
from .part_file import Part, parse_part
from .resources import Resources
from .schema import STATUS_FAILED, STATUS_KILLED_WORKER, STATUS_OK
from .seal import sealed_table
from .shard import Item, Shard

SECONDS_KEY = "offmanifold.seconds"
REVISION_KEY = "offmanifold.revision"
# JSON: tracebacks of failed rows by their position. In a part's metadata, since they are for people
# who mend things and no column of the table.
TRACEBACKS_KEY = "offmanifold.tracebacks"
# Of a traceback, the end tells more than the beginning.
_TRACEBACK_CHARACTERS = 8000

_SHORTAGES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT}

Compute = Callable[[Sequence[Item], Mapping[str, Any], Resources], Sequence[Outcome]]


@dataclass(frozen=True)
class ShardReport:
    """What came of a shard: counts and seconds, never rows.

    ``device_bytes`` is the most device memory that its tensors took at once; None without a GPU.
    """

    task_id: str
    rows: int
    failed: int
    seconds: float
    published: bool
    device_bytes: int | None


@dataclass(frozen=True)
class WorkerFactory:
    """Makes a :class:`ShardWorker` in the process that will run it.

    Args:
        storage: The run directory.
        threads: Threads for numerical libraries; fixed, since it decides the order of sums.
        gpu_share: The part of a GPU that was assigned to the worker, and of its memory; 0 for none.
        service: Of models and image sets at ``s3://`` addresses.
        tf32: Whether a GPU may compute with TF32.
    """

    storage: Storage
    threads: int
    gpu_share: float
    service: S3Settings = BY_ENVIRONMENT
    tf32: bool = False

    def __call__(self) -> "ShardWorker":
        """A worker with its threads, precision and device set.

        Raises:
            ClusterError: it is to have a GPU, and can use none.
        """
        if self.gpu_share and (problem := gpu_problem()) is not None:
            raise ClusterError(f"a worker on {socket.gethostname()} has a GPU, but {problem}")
        torch.set_num_threads(self.threads)
        set_precision(tf32=self.tf32)
        device = torch.device("cuda" if self.gpu_share else "cpu")
        if 0 < self.gpu_share < 1:
            torch.cuda.set_per_process_memory_fraction(self.gpu_share)
        return ShardWorker(self.storage, device, self.service)


class ShardWorker:
    """Computes shards of any stage and publishes their parts in the run directory."""

    def __init__(
        self, storage: Storage, device: torch.device, service: S3Settings = BY_ENVIRONMENT
    ) -> None:
        self._storage = storage
        self._resources = Resources(storage, device, service)
        self._batch_limit: int | None = None

    def compute(self, payload: Shard, start: int, stop: int) -> ShardReport:
        """Computes items ``start:stop``; the whole shard is published, a piece kept as scratch.

        Raises:
            StorageError: when rows cannot be written; an item's own error becomes its row.
        """
        began = time.perf_counter()
        if self._on_gpu:
            torch.cuda.reset_peak_memory_stats(self._resources.device)
        items = payload.items[start:stop]
        outcomes = self._outcomes(payload, items)
        rows = [_row(item, outcome) for item, outcome in zip(items, outcomes, strict=True)]
        tracebacks = _tracebacks(outcomes)
        if stop - start < len(payload.items):
            name = _scratch_path(payload.id, start, stop)
            seconds = time.perf_counter() - began
            content = _serialise(payload, name, rows, seconds, tracebacks, self._computers)
            self._storage.write(name, content)
            return self._report(payload, rows, began, published=False)
        return self._publish(payload, rows, began, tracebacks, self._computers)

    def assemble(
        self, payload: Shard, spans: Sequence[tuple[int, int]], lost: Mapping[int, str]
    ) -> ShardReport:
        """Publishes a shard from its scratch pieces and a failed row for each lost item."""
        began = time.perf_counter()
        rows: dict[int, Row] = {
            index: _failed_row(payload.items[index], STATUS_KILLED_WORKER, error)
            for index, error in lost.items()
        }
        tracebacks: dict[int, str] = {}
        computers: list[dict[str, str]] = []
        for start, stop in spans:
            name = _scratch_path(payload.id, start, stop)
            where = Part(name, self._storage.locate())
            piece = parse_part(self._storage.read(name), payload.table, where)
            rows.update(zip(range(start, stop), piece.to_pylist(), strict=True))
            computers += read_from(piece)
            found = tracebacks_of(piece)
            tracebacks.update({start + position: text for position, text in found.items()})
        ordered = [rows[index] for index in range(len(payload.items))]
        report = self._publish(payload, ordered, began, tracebacks, computers)
        for start, stop in spans:
            self._storage.delete(_scratch_path(payload.id, start, stop))
        return report

    def _publish(
        self,
        shard: Shard,
        rows: list[Row],
        began: float,
        tracebacks: Mapping[int, str],
        computers: Sequence[dict[str, str]],
    ) -> ShardReport:
        seconds = time.perf_counter() - began
        content = _serialise(shard, shard.part, rows, seconds, tracebacks, computers)
        published = self._storage.publish(shard.part, content)
        return self._report(shard, rows, began, published=published)

    def _report(
        self, shard: Shard, rows: Sequence[Row], began: float, *, published: bool
    ) -> ShardReport:
        device = self._resources.device
        return ShardReport(
            task_id=shard.id,
            rows=len(rows),
            failed=sum(row["status"] != STATUS_OK for row in rows),
            seconds=time.perf_counter() - began,
            published=published,
            device_bytes=torch.cuda.max_memory_allocated(device) if self._on_gpu else None,
        )

    @property
    def _computers(self) -> list[dict[str, str]]:
        return [computed_on(self._resources.device)]

    @property
    def _on_gpu(self) -> bool:
        return self._resources.device.type == "cuda"

    def _outcomes(self, shard: Shard, items: Sequence[Item]) -> list[Outcome]:
        module, _, function = shard.computation.entry.partition(":")
        compute: Compute = getattr(importlib.import_module(module), function)
        size = self._batch_limit or len(items)
        return [
            outcome
            for start in range(0, len(items), size)
            for outcome in self._attempt(compute, shard, items[start : start + size])
        ]

    def _attempt(self, compute: Compute, shard: Shard, items: Sequence[Item]) -> Sequence[Outcome]:
        try:
            return compute(items, shard.settings, self._resources)
        except StorageError:
            raise
        except torch.AcceleratorError as error:
            raise BrokenWorkerError(f"the device has failed: {error}") from error
        except torch.OutOfMemoryError as error:
            if len(items) == 1:
                return [_failure(error)]
            self._batch_limit = len(items) // 2
        except Exception as error:  # noqa: BLE001 - quarantine: the item's row carries the error
            _require_surroundings(error)
            if len(items) == 1:
                return [_failure(error)]
        half = len(items) // 2
        return [
            *self._attempt(compute, shard, items[:half]),
            *self._attempt(compute, shard, items[half:]),
        ]


def _require_surroundings(error: Exception) -> None:
    """Raises what ends the run where the machine, and not the item, is at fault.

    Raises:
        StorageError: the machine is short of something.
    """
    cause = file_error(error)
    if cause is not None and cause.errno in _SHORTAGES:
        raise StorageError(
            f"on {socket.gethostname()}: {error}. The machine is short of something: mend that, "
            "then run the same command again; finished parts are kept"
        ) from error


def _failure(error: BaseException) -> Failure:
    text = "".join(traceback.format_exception(error))
    return Failure(f"{type(error).__name__}: {error}", text[-_TRACEBACK_CHARACTERS:])


def _tracebacks(outcomes: Sequence[Outcome]) -> dict[int, str]:
    """Those of the failed items, by their position."""
    return {
        position: outcome.traceback
        for position, outcome in enumerate(outcomes)
        if isinstance(outcome, Failure) and outcome.traceback is not None
    }


def tracebacks_of(part: pa.Table) -> dict[int, str]:
    """The tracebacks that a part keeps of its failed rows, by their position."""
    text = (part.schema.metadata or {}).get(TRACEBACKS_KEY.encode())
    try:
        return {} if text is None else {int(row): str(it) for row, it in parse_json(text).items()}
    except (ValueError, AttributeError):
        # Nobody's result hangs on them, and a part of unknown origin may say anything.
        return {}


def _row(item: Item, outcome: Outcome) -> Row:
    if isinstance(outcome, Failure):
        return _failed_row(item, STATUS_FAILED, outcome.error)
    return {**_keys(item), "status": STATUS_OK, "error": None, **outcome}


def _failed_row(item: Item, status: str, error: str) -> Row:
    return {**_keys(item), "status": status, "error": error}


def _keys(item: Item) -> Row:
    return {
        "generator": item.generator,
        "condition": item.condition,
        "group": item.group,
        "image_id": item.image_id,
        "label": item.label,
    }


def _serialise(
    shard: Shard,
    name: str,
    rows: list[Row],
    seconds: float,
    tracebacks: Mapping[int, str],
    computers: Sequence[dict[str, str]],
) -> bytes:
    schema = shard.table.arrow
    metadata: dict[str | bytes, str | bytes] = {
        SECONDS_KEY: f"{seconds:.3f}",
        REVISION_KEY: str(shard.computation.revision),
        COMPUTED_ON_KEY: in_metadata(computers),
    }
    if tracebacks:
        metadata[TRACEBACKS_KEY] = json.dumps(tracebacks)
    metadata.update((schema.metadata or {}).items())
    return sealed_table(pa.Table.from_pylist(rows, schema=schema.with_metadata(metadata)), name)


def _scratch_path(shard_id: str, start: int, stop: int) -> str:
    return f"_scratch/{shard_id}/{start}-{stop}.parquet"
