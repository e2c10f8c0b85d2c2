"""A shard of every kind of work once more on a pretended device: which rows fail there, and why.

    python -m tests.pretended_device.work [--device cuda] [--runs FOLDER]

Prints a JSON line a kind of work. A pretended device has no numbers, so only what fails is told. On
a machine with a GPU, `--device cuda` does the same work there. What `FOLDER` has of the tiny runs
is not computed on the CPU again.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Hashable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from offmanifold.cluster.storage import Storage
from offmanifold.jobs.plan.stage import PlanContext
from offmanifold.workers.part_file import read_part
from offmanifold.workers.runner import ShardWorker
from offmanifold.workers.shard import Shard
from offmanifold.workers.shard_rows import tracebacks_of

from .. import torchvision_operators  # noqa: F401
from ..jobs.tiny_run import tiny_runs
from .device import leave, pretended_device, register_device

_PASSES = ("iterations", "final_iterations", "polish")


@dataclass(frozen=True)
class Work:
    """What came of one kind of work: of how many rows how many failed, and the first one's error.

    ``simulated``: its images are the model's own, drawn by the worker. ``space``: of neighbours.
    """

    computation: str
    simulated: bool
    space: str | None
    rows: int
    failed: int
    error: str | None
    traceback: str | None


def main() -> None:
    """Computes everything on the CPU, then one shard of each kind on the device."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", help="a real one, in the pretended one's place")
    parser.add_argument("--runs", type=Path, help="where tiny runs are, or are to be made")
    arguments = parser.parse_args()
    name = arguments.device
    place: AbstractContextManager[torch.device]
    if name is None:
        register_device()
        place = pretended_device()
    else:
        place = nullcontext(torch.device(name))
    with tempfile.TemporaryDirectory() as folder:
        kinds = kinds_of_work(tiny_runs(arguments.runs or Path(folder)))
        with place as device:
            for storage, shard in kinds:
                json.dump(asdict(_work(storage, shard, device)), sys.stdout)
                print(flush=True)


def kinds_of_work(runs: Iterable[PlanContext]) -> list[tuple[Storage, Shard]]:
    """The first shard of each kind of work, and the run that it belongs to."""
    kinds: dict[Hashable, tuple[Storage, Shard]] = {}
    for context in runs:
        for shards in context.plans.values():
            for shard in shards:
                kinds.setdefault(kind_of(shard), (context.run.storage, shard))
    return list(kinds.values())


def kind_of(shard: Shard) -> tuple[str, bool, str | None]:
    return (
        shard.computation.name,
        shard.items[0].image_seed is not None,
        shard.settings.get("space"),
    )


def with_few_variances(shard: Shard) -> Shard:
    """The shard with at most two variances: an operation without numbers costs what one has."""
    settings = dict(shard.settings)
    if "variances" in settings:
        settings["variances"] = settings["variances"][:2]
    return replace(shard, settings=settings)


def _with_few_passes(shard: Shard) -> Shard:
    """The shard with one pass of each loop of a search: another does the same operations."""
    fewer = {key: 1 for key in _PASSES if shard.settings.get(key, 0) > 1}
    return replace(shard, settings={**shard.settings, **fewer})


def _work(storage: Storage, shard: Shard, device: torch.device) -> Work:
    # Another setting, another part: the run's own stays.
    again = _with_few_passes(with_few_variances(shard))
    again = replace(again, settings={**again.settings, "device": str(device)})
    report = ShardWorker(storage, device).compute(again, 0, len(again.items))
    part = read_part(storage, again.table, again.id)
    errors = part["error"].to_pylist()
    first = next((row for row, error in enumerate(errors) if error is not None), None)
    return Work(
        *kind_of(shard),
        rows=report.rows,
        failed=report.failed,
        error=None if first is None else errors[first],
        traceback=None if first is None else tracebacks_of(part).get(first),
    )


if __name__ == "__main__":
    main()
    leave()
