"""The worker: turns a shard into one published part, with a row for every item, whatever fails."""

import errno
import importlib
import logging
import socket
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ..cluster.broken_worker import BrokenWorkerError
from ..cluster.s3_settings import BY_ENVIRONMENT, S3Settings
from ..cluster.storage import Storage, StorageError
from .compiler_problem import compiler_problem
from .computed_on import computed_on, set_precision
from .datasets import file_error
from .gpu_problem import UnusableGpuError, gpu_problem
from .outcome import Failure, Outcome
from .pace import Pace, TooLongError
from .pieces import Pieces
from .process import set_up
from .resources import Resources
from .schema import STATUS_KILLED_WORKER
from .shard import Item, Shard
from .shard_rows import ShardRows, failed_row

# Of a traceback, the end tells more than the beginning.
_TRACEBACK_CHARACTERS = 8000

_SHORTAGES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT}

logger = logging.getLogger(__name__)

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
        compiles: Whether chains of small generators are compiled, where there is a compiler; on
            CPUs alone.
        evaluations: A generator's evaluations for an item, as planned, by stage.
    """

    storage: Storage
    threads: int
    gpu_share: float
    service: S3Settings = BY_ENVIRONMENT
    tf32: bool = False
    compiles: bool = False
    evaluations: Mapping[str, float] = field(default_factory=dict)

    def __call__(self) -> "ShardWorker":
        """A worker with its process (`workers.process`), precision and device set.

        Raises:
            UnusableGpuError: it is to have a GPU, and can use none.
        """
        if self.gpu_share and (problem := gpu_problem()) is not None:
            raise UnusableGpuError(f"a worker on {socket.gethostname()} has a GPU, but {problem}")
        set_up(self.threads)
        set_precision(tf32=self.tf32)
        device = torch.device("cuda" if self.gpu_share else "cpu")
        if 0 < self.gpu_share < 1:
            torch.cuda.set_per_process_memory_fraction(self.gpu_share)
        pace = Pace(self.evaluations)
        return ShardWorker(self.storage, device, self.service, pace, compiles=self._compiles())

    def _compiles(self) -> bool:
        if not self.compiles:
            return False
        why = "chains on a GPU never are" if self.gpu_share else compiler_problem()
        if why is not None:
            logger.warning("on %s no chains are compiled: %s", socket.gethostname(), why)
        return why is None


class ShardWorker:
    """Computes shards of any stage and publishes their parts in the run directory."""

    def __init__(
        self,
        storage: Storage,
        device: torch.device,
        service: S3Settings = BY_ENVIRONMENT,
        pace: Pace | None = None,
        *,
        compiles: bool = False,
    ) -> None:
        self._storage = storage
        self._pace = Pace({}) if pace is None else pace
        self._resources = Resources(storage, device, service, self._pace, compiles=compiles)
        # A GPU has no part in what calls no network, whichever worker it comes to.
        self._on_cpu = (
            self._resources
            if device.type == "cpu"
            else Resources(storage, torch.device("cpu"), service, self._pace)
        )
        self._batch_limit: int | None = None

    @property
    def done(self) -> float:
        """How many items of the shard in work are done, parts of items included.

        May be read from any thread.
        """
        return self._pace.done

    def compute(self, payload: Shard, start: int, stop: int) -> ShardReport:
        """Computes items ``start:stop``; the whole shard is published, a piece kept as scratch.

        What takes long is computed in spans, each of which is kept as a piece: whoever computes
        the shard after this worker has died begins with those.

        Raises:
            StorageError: when rows cannot be written; an item's own error becomes its row.
        """
        began = time.perf_counter()
        if self._on_gpu:
            torch.cuda.reset_peak_memory_stats(self._resources.device)
        pieces = Pieces(self._storage, payload)
        kept = pieces.there(start, stop)
        parts = [ShardRows.of_piece(piece, first) for (first, _), piece in kept.items()]
        for first, last in _between(kept, start, stop):
            for position, computed in self._spans(payload, first, last, start):
                span = (position, position + len(computed.rows))
                parts.append(computed)
                if span != (start, stop):
                    pieces.write(*span, computed.serialised(payload, pieces.name(*span), *span))
        rows = ShardRows.together(parts)
        if stop - start < len(payload.items):
            name = pieces.name(start, stop)
            pieces.write(start, stop, rows.serialised(payload, name, start, stop))
            return self._report(payload, rows, began, published=False)
        return self._publish(payload, rows, began, pieces if len(parts) > 1 or kept else None)

    def assemble(
        self, payload: Shard, spans: Sequence[tuple[int, int]], lost: Mapping[int, str]
    ) -> ShardReport:
        """Publishes a shard from its scratch pieces and a failed row for each lost item."""
        began = time.perf_counter()
        pieces = Pieces(self._storage, payload)
        items = payload.items
        killed = {
            index: failed_row(items[index], STATUS_KILLED_WORKER, error)
            for index, error in lost.items()
        }
        parts = [ShardRows.of_piece(pieces.read(first, last), first) for first, last in spans]
        return self._publish(
            payload, ShardRows.together([ShardRows(killed), *parts]), began, pieces
        )

    def _publish(
        self, shard: Shard, rows: ShardRows, began: float, pieces: Pieces | None
    ) -> ShardReport:
        content = rows.serialised(shard, shard.part, 0, len(shard.items))
        published = self._storage.publish(shard.part, content)
        if pieces is not None:
            pieces.delete()
        return self._report(shard, rows, began, published=published)

    def _report(
        self, shard: Shard, rows: ShardRows, began: float, *, published: bool
    ) -> ShardReport:
        device = self._resources.device
        return ShardReport(
            task_id=shard.id,
            rows=len(rows.rows),
            failed=rows.failed,
            seconds=time.perf_counter() - began,
            published=published,
            device_bytes=torch.cuda.max_memory_allocated(device) if self._on_gpu else None,
        )

    def _spans(
        self, shard: Shard, start: int, stop: int, first: int
    ) -> Iterator[tuple[int, ShardRows]]:
        """The rows of the items [start, stop), in spans that are computed at once.

        Those of the shard that are asked for begin with the ``first``.
        """
        kind = (shard.computation.name, shard.stage, str(shard.settings.get("weights")))
        while start < stop:
            items = shard.items[start : start + self._pace.items(kind, stop - start)]
            began = time.perf_counter()
            try:
                with self._pace.span(shard.stage, kind, start - first, len(items)):
                    outcomes = self._outcomes(shard, items)
            except TooLongError:
                continue
            seconds = time.perf_counter() - began
            resources = self._resources_of(shard)
            computer = computed_on(resources.device, compiles=resources.compiles)
            yield start, ShardRows.of(shard.table, items, outcomes, start, computer, seconds)
            start += len(items)

    def _resources_of(self, shard: Shard) -> Resources:
        return self._resources if shard.calls_networks else self._on_cpu

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
            return compute(items, shard.settings, self._resources_of(shard))
        except (StorageError, TooLongError):
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


def _between(kept: Iterable[tuple[int, int]], start: int, stop: int) -> Iterator[tuple[int, int]]:
    """What is left of [start, stop) between pieces, which are in order."""
    for first, last in kept:
        if start < first:
            yield start, first
        start = last
    if start < stop:
        yield start, stop
