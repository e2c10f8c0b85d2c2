"""A GPU in eight minutes: are the numbers right there, how fast do they come, what memory is taken?

    python -m tests.benchmarks.gpu [--device cuda] [--seconds 480] [--out DIR] [--tiny] [CHECK ...]

from the root of the repository. Each check prints lines that begin with PASS, FAIL, INFO or SKIP,
and `gpu.json` in DIR has all lines so far, whatever comes after. TF32 is off but where a line says
otherwise. Right is what the CPU says in float64; fast is beside the generator's own calls in the
same process. With names of checks, these alone are run.

`--device cpu --tiny` runs the same checks on a machine without a GPU, at sizes of seconds: that
they run, and nothing about any GPU.
"""

import argparse
import json
import linecache
import math
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.cluster.storage import Storage
from offmanifold.core import guided_run
from offmanifold.core.densities import ProposalToPosterior
from offmanifold.core.generators.protocol import Generator
from offmanifold.core.guided import estimate_guided
from offmanifold.core.guided_run import (
    FoundModes,
    GuidedEstimate,
    GuidedProblem,
    run_chains,
    search_modes,
)
from offmanifold.core.inversion import invert
from offmanifold.core.laplace import laplace_proposal
from offmanifold.core.likelihood import (
    bound_log_likelihood_above,
    estimate_log_likelihood,
    simulate,
    tune_step_sizes,
)
from offmanifold.core.samplers.charts import Chart, StandardChart
from offmanifold.core.samplers.hmc import initial_state, transition
from offmanifold.core.samplers.noise import Stream, transition_noise
from offmanifold.core.samplers.proposal import MixtureChart
from offmanifold.core.sensing import measurement_matrix, restore
from offmanifold.core.settings.classical import ClassicalSettings
from offmanifold.core.settings.guided import GuidedMethod, GuidedSettings
from offmanifold.core.settings.inversion import InversionSettings
from offmanifold.core.settings.sensing import SensingSettings
from offmanifold.workers.generator_source import GeneratorSource
from offmanifold.workers.generators import open_generator
from offmanifold.workers.images import GENERATED
from offmanifold.workers.inversion import COMPUTATION as INVERSION
from offmanifold.workers.inversion import INVERSION_TABLE
from offmanifold.workers.part_file import read_part
from offmanifold.workers.resources import Resources
from offmanifold.workers.runner import ShardWorker
from offmanifold.workers.shard import Item, Shard
from offmanifold.workers.shard_rows import tracebacks_of
from offmanifold.workers.stored_images import IMAGES_TABLE, StoredImage
from torch import Tensor, nn

from .. import torchvision_operators  # noqa: F401
from ..jobs.tiny_run import tiny_runs
from ..pretended_device.loops import calls, loops, more_in_twice_as_many
from ..pretended_device.work import kind_of, kinds_of_work, with_few_variances
from ..small_generators import (
    FAMILIES,
    residual_arguments,
    small_generator,
    stylegan2_arguments,
    untrained,
)

VARIANCE = 0.01
# What rounding may change of a number in float64, relative to it, after tens of dependent steps.
ROUNDING = 1e-6
# Columns of float32 are rounded once more.
STORED_ROUNDING = 1e-5
SMALLEST_VARIANCE = 1e-4

# What torch says when the host waits; it also says once that it does not notice every case.
_WAITED = "called a synchronizing"
# Reads back whether each matrix converged: once a curvature, which is once a round of polishing.
_WAITING = ("torch.linalg.eigh(",)

Facts = dict[str, Any]
Work = Callable[[], object]


class Bench:
    """Where the checks run, how long they may, and what they said so far."""

    def __init__(self, device: torch.device, seconds: float, folder: Path, tiny: bool) -> None:
        self.device, self.tiny = device, tiny
        self.on_gpu = device.type == "cuda"
        self._file = folder / "gpu.json"
        self._began = time.monotonic()
        self._seconds = seconds
        self._lines: list[Facts] = []

    def left(self) -> float:
        """Seconds until the end."""
        return self._began + self._seconds - time.monotonic()

    def say(self, verdict: str, name: str, /, **facts: Any) -> None:
        """Prints a line, and writes all of them to the file."""
        at = round(time.monotonic() - self._began, 1)
        self._lines.append({"verdict": verdict, "name": name, "at": at, **facts})
        shown = " ".join(f"{key}={_short(value)}" for key, value in facts.items())
        print(f"{verdict} [{at} s] {name}: {shown}", flush=True)
        unfinished = self._file.with_suffix(".part")
        unfinished.write_text(json.dumps(self._lines, indent=1, default=str))
        unfinished.replace(self._file)

    def judge(self, right: bool, name: str, /, **facts: Any) -> None:
        """Says PASS or FAIL."""
        self.say("PASS" if right else "FAIL", name, **facts)

    def attempt(self, name: str, work: Work, least: float = 0.0) -> None:
        """Does a piece of work unless less than ``least`` seconds are left; an error is a line."""
        if self.left() < least:
            self.say("SKIP", name, seconds_left=self.left())
            return
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the other checks say what they can
            said = "".join(traceback.format_exception(error))
            self.say("FAIL", name, error=f"{type(error).__name__}: {error}", traceback=said[-1500:])
        if self.on_gpu:
            torch.cuda.empty_cache()

    def counted(self) -> Counter[str]:
        """How many lines of each verdict there are."""
        return Counter(line["verdict"] for line in self._lines)

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.on_gpu:
            torch.cuda.synchronize()

    def seconds(self, work: Work, spend: float = 0.2) -> float:
        """The median time of some work, after two calls that are not counted; one call if tiny."""
        if not self.tiny:
            work()
            self.wait()
        began = time.perf_counter()
        work()
        self.wait()
        once = time.perf_counter() - began
        if self.tiny:
            return once
        repeats = min(50, max(3, round(spend / once)))
        times = []
        for _ in range(repeats):
            began = time.perf_counter()
            work()
            self.wait()
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    def peak(self, work: Work) -> float:
        """The most MiB that some work took beside what was there; 0 without a GPU."""
        if not self.on_gpu:
            work()
            return 0.0
        self.wait()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        self.wait()
        return (torch.cuda.max_memory_allocated() - before) / 2**20

    def kernels(self, work: Work) -> Facts:
        """How many kernels some work starts, and the share of its time in which one runs."""
        if not self.on_gpu:
            return {}
        work()
        self.wait()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            began = time.perf_counter()
            work()
            self.wait()
            elapsed = time.perf_counter() - began
        found = [
            event for event in profile.events() or [] if "cuda" in str(event.device_type).lower()
        ]
        busy = sum(event.time_range.elapsed_us() for event in found) / 1e6
        return {"kernels": len(found), "busy": busy / elapsed}


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value).replace("\n", " | ")[:300]


# Generators


def _width(bench: Bench, width: int) -> int:
    return 8 if bench.tiny else width


def _model(bench: Bench, name: str, device: torch.device | None = None) -> Generator:
    """A generator in float32: a shipped one, a small one of a family, or one of published size."""
    generator = _opened(bench, name)
    return generator.to(bench.device if device is None else device)


def _opened(bench: Bench, name: str) -> Generator:
    if name in ("digits", "fashion"):
        return open_generator(f"shipped:{name}").generator
    if name in FAMILIES:
        return small_generator(name)
    latent = 16 if bench.tiny else 512
    if name == "biggan 32":
        return untrained("residual", residual_arguments(_width(bench, 256), latent // 4))
    # StyleGAN2-ADA's widths: 32768 over the resolution, at most 512.
    side = min(int(name.split()[-1]), 64 if bench.tiny else 1024)
    resolutions = [4 << index for index in range((side // 4).bit_length())]
    channels = [_width(bench, min(512, 32768 // resolution)) for resolution in resolutions]
    return untrained("stylegan2", stylegan2_arguments(channels, latent, 10))


def _classes(generator: Generator, count: int, device: torch.device) -> Tensor | None:
    classes = torch.arange(count, device=device) % max(1, generator.num_classes)
    return classes if generator.num_classes else None


def _double(generator: Generator) -> Generator:
    assert isinstance(generator, nn.Module)
    doubled: Generator = generator.double()
    return doubled


def _problem(
    generator: Generator, count: int, device: torch.device, variance: float = VARIANCE
) -> GuidedProblem:
    """Simulated images, in the dtype and on the device that the generator has."""
    condition, seeds = _classes(generator, count, device), tuple(range(count))
    images, latent = simulate(generator, condition, variance, seeds, _like(generator))
    return GuidedProblem(generator, images, condition, variance, seeds, latent, None)


def _like(generator: Generator) -> Tensor:
    assert isinstance(generator, nn.Module)
    return next(generator.parameters()).new_empty(0)


# Is it right?


def check_machine(bench: Bench) -> None:
    """What the machine is, and what the checks that follow are computed with."""
    facts: Facts = {"torch": torch.__version__, "cuda": torch.version.cuda, "cpus": os.cpu_count()}
    if bench.on_gpu:
        found = torch.cuda.get_device_properties(0)
        facts |= {
            "device": found.name,
            "capability": f"{found.major}.{found.minor}",
            "gib": found.total_memory / 2**30,
            "cudnn": torch.backends.cudnn.version(),
            "tf32_of_convolutions": torch.backends.cudnn.allow_tf32,
            "tf32_of_products": torch.backends.cuda.matmul.allow_tf32,
        }
    bench.say("INFO", "machine", **facts)


def check_families(bench: Bench) -> None:
    """Images, gradients and products with J of every family, in float64 and in float32."""
    for name in ("digits", "fashion", *FAMILIES):
        bench.attempt(f"family {name}", partial(_family, bench, name))


def _family(bench: Bench, name: str) -> None:
    here, there = _double(_model(bench, name, torch.device("cpu"))), _double(_model(bench, name))
    single = _model(bench, name)
    latent = torch.randn(2, here.latent_dim, generator=torch.Generator().manual_seed(0)).double()
    exact = _uses(here, latent)
    found = _uses(there, latent.to(bench.device))
    worst = {use: _worst(found[use], exact[use]) for use in exact}
    bench.judge(max(worst.values()) < ROUNDING, f"family {name} in float64", **worst)
    for tf32 in (False, True):
        with _tf32(tf32):
            rounded = _uses(single, latent.float().to(bench.device))
        worst = {use: _worst(rounded[use], exact[use]) for use in exact}
        bench.say("INFO", f"family {name} in float32", tf32=tf32, **worst)


def _uses(generator: Generator, latent: Tensor) -> dict[str, Tensor]:
    condition = _classes(generator, len(latent), latent.device)
    points = latent.clone().requires_grad_()
    images = generator(points, condition)
    (gradient,) = torch.autograd.grad(images.square().sum(), points)
    product: Tensor = torch.func.jvp(
        lambda z: generator(z, condition), (latent,), (latent.flip(1),)
    )[1]
    return {"images": images.detach(), "gradient": gradient, "product": product}


def _worst(found: Tensor, exact: Tensor) -> float:
    """The largest difference, relative to the size of the numbers."""
    exact = exact.double().cpu()
    difference: Tensor = (found.double().cpu() - exact).abs().amax() / exact.abs().amax()
    return difference.item()


@contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def check_estimates(bench: Bench) -> None:
    """Every estimator of core for every family, in float64."""
    families = ("dense", "stylegan3-t") if bench.tiny else tuple(FAMILIES)
    for name in ("digits", *families):
        bench.attempt(f"estimates {name}", partial(_estimates_of, bench, name), least=30)


def _estimates_of(bench: Bench, name: str) -> None:
    host = torch.device("cpu")
    here, there = _double(_model(bench, name, host)), _double(_model(bench, name))
    problem = _problem(here, 2, host)
    moved = replace(
        problem,
        generator=there,
        images=problem.images.to(bench.device),
        condition=None if problem.condition is None else problem.condition.to(bench.device),
        latent=None if problem.latent is None else problem.latent.to(bench.device),
    )
    exact, found = _estimates(problem), _estimates(moved)
    uses = ["classical", "guided", "inversion"]
    if name in ("digits", "dense", "stylegan2"):
        uses = [*exact]
    elif name.startswith("stylegan3"):
        # On a CPU, filtering in float64 takes a second an image.
        uses = ["short"]
    worst = {use: _worst(found[use](), exact[use]()) for use in uses}
    bench.judge(max(worst.values()) < ROUNDING, f"estimates {name} in float64", **worst)


def _estimates(problem: GuidedProblem) -> dict[str, Callable[[], Tensor]]:
    generator, images, condition = problem.generator, problem.images, problem.condition
    latent, seeds, pixels = problem.latent, problem.seeds, problem.images[0].numel()
    assert latent is not None
    shortest = ClassicalSettings(transitions=3, chains=1, leapfrog_steps=2)
    common = (condition, VARIANCE, ClassicalSettings(4, chains=2, leapfrog_steps=3), seeds)
    short = _short_search()
    method = replace(short.method, jacobian_bytes=4 * pixels * (generator.latent_dim - 1))
    low_rank = replace(short, method=method)
    matrix = measurement_matrix(0, pixels // 8, pixels)
    sensing = SensingSettings(bank=200, iterations=8, restarts=2, final_iterations=8)
    inversion = InversionSettings(bank=200, iterations=8, restarts=2, final_iterations=8)
    classical = partial(estimate_log_likelihood, generator, images)
    guided = partial(estimate_guided, generator, images, condition, VARIANCE)
    return {
        "short": lambda: classical(condition, VARIANCE, shortest, seeds).log_likelihood,
        "classical": lambda: classical(*common).log_likelihood,
        "reversed": lambda: bound_log_likelihood_above(generator, images, latent, *common),
        "tuning": lambda: tune_step_sizes(generator, images, *common).step_size.log(),
        "guided": lambda: _both_bounds(guided(short, seeds, latent)),
        "guided, low rank": lambda: guided(low_rank, seeds).log_likelihood,
        "inversion": lambda: invert(generator, images, condition, inversion, seeds).mse.log(),
        "sensing": lambda: (
            restore(generator, images, condition, matrix, sensing, seeds).restart_objective
        ),
    }


def _both_bounds(estimate: GuidedEstimate) -> Tensor:
    return torch.stack([estimate.log_likelihood, estimate.upper_bound])


def _short_search() -> GuidedSettings:
    return GuidedSettings(
        transitions=4,
        chains=2,
        restarts=3,
        bank=24,
        iterations=6,
        finalists=2,
        final_iterations=3,
        polish=1,
        method=GuidedMethod(modes=2),
    )


def check_work(bench: Bench) -> None:
    """A shard of every kind of work, by the worker itself: the CPU's rows in float64, and these."""
    with tempfile.TemporaryDirectory() as folder:
        for storage, shard in kinds_of_work(tiny_runs(Path(folder))):
            name = " ".join(str(part) for part in kind_of(shard) if part)
            bench.attempt(f"work {name}", partial(_work, bench, name, storage, shard), least=40)


def _work(bench: Bench, name: str, storage: Storage, shard: Shard) -> None:
    shard = with_few_variances(shard)
    exact, _ = _rows(storage, shard, torch.device("cpu"), in_double=True)
    for in_double in (True, False):
        rows, said = _rows(storage, shard, bench.device, in_double=in_double)
        failed = len(rows["error"].drop_null())
        differences = _differences(rows, exact)
        excess = max((each.worst / each.allowed for each in differences), default=0.0)
        # In float32, chains and descents part from those in float64.
        right = not failed and (excess < 1 or not in_double)
        least = max(differences, key=lambda each: each.worst if in_double else each.median)
        dtype = "float64" if in_double else "float32"
        facts = {"rows": len(rows), "failed": failed, "column": least.column}
        facts |= {"worst": least.worst, "median": least.median}
        bench.judge(right, f"work {name} in {dtype}", **facts, **({"said": said} if failed else {}))


def _rows(
    storage: Storage, shard: Shard, device: torch.device, *, in_double: bool
) -> tuple[pa.Table, str]:
    """The rows that a worker of its own publishes, and the first traceback of failed ones."""
    # Another setting, another part: the run's own stays.
    settings = {**shard.settings, "device": f"{device} {in_double}"}
    again = replace(shard, settings=settings)
    worker = ShardWorker(storage, device)
    if in_double:
        worker._resources = _InDouble(storage, device)
    worker.compute(again, 0, len(again.items))
    part = read_part(storage, again.table, again.id)
    return part, next(iter(tracebacks_of(part).values()), "")[-1500:]


class _InDouble(Resources):
    """Keeps models and images in float64, so that everything after them is computed in it."""

    def kept(self, kind: str, key: Any, make: Callable[[], Any], most: int | None = None) -> Any:
        return super().kept(kind, key, lambda: _in_double(make()), most)


def _in_double(value: Any) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], StoredImage):
        return [replace(each, pixels=_wide(each.pixels)) for each in value]
    if isinstance(value, nn.Module):
        return _taking_double(value)
    network = getattr(value, "_backbone", None)
    if network is not None:
        _taking_double(network.double().scaling_layer)
    return value


def _taking_double(module: nn.Module) -> nn.Module:
    # Latents that were stored come in float32.
    module.register_forward_pre_hook(lambda _, given: (given[0].double(), *given[1:]))
    return module.double()


def _wide(pixels: npt.NDArray[Any] | None) -> Any:
    return None if pixels is None else pixels.astype(np.float64)


class _Difference(NamedTuple):
    """How far a column's numbers are from the exact ones, relative to their size."""

    column: str
    worst: float
    median: float
    allowed: float


def _differences(rows: pa.Table, exact: pa.Table) -> list[_Difference]:
    """Of every column of numbers."""
    found = []
    for name in exact.column_names:
        column = exact[name]
        kind = column.type.value_type if pa.types.is_list(column.type) else column.type
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            continue
        a, b = (_numbers(table[name]) for table in (rows, exact))
        if len(a) != len(b):
            found.append(_Difference(name, math.inf, math.inf, ROUNDING))
        elif len(b):
            scale = np.maximum(np.abs(b), 1e-3 * np.abs(b).max()) + 1e-30
            allowed = STORED_ROUNDING if kind == pa.float32() else ROUNDING
            relative = np.abs(a - b) / scale
            worst, median = float(relative.max()), float(np.median(relative))
            found.append(_Difference(name, worst, median, allowed))
    return found


def _numbers(column: Any) -> npt.NDArray[np.float64]:
    flat = column.combine_chunks()
    flat = flat.flatten() if pa.types.is_list(flat.type) else flat
    return np.asarray(flat.drop_null(), np.float64)


def check_crossings(bench: Bench) -> None:
    """What makes the host wait for the device in calls of a generator, and in the inner loops."""
    one = torch.ones(1, device=bench.device)
    bench.judge(bool(_waits(bench, one.item)) or not bench.on_gpu, "a wait is noticed")
    for name in FAMILIES:
        bench.attempt(f"crossings {name}", partial(_crossings_in_calls, bench, name), least=60)
    dense = _model(bench, "dense")
    for name, loop in loops(dense, bench.device, torch.float32).items():
        bench.attempt(f"crossings in {name}", partial(_crossings_in_loop, bench, name, loop), 60)


def _crossings_in_calls(bench: Bench, name: str) -> None:
    generator = _model(bench, name)
    uses = calls(generator, bench.device, torch.float32)
    for call in uses.values():
        call()
    found = {use: dict(_waits(bench, call)) for use, call in uses.items()}
    bench.judge(not any(found.values()), f"crossings in a call of {name}", **found)


def _crossings_in_loop(bench: Bench, name: str, loop: Callable[[int], object]) -> None:
    loop(1)
    found = more_in_twice_as_many(loop, 2, partial(_waits, bench))
    bench.judge(not found, f"crossings in two passes of {name}", found=dict(found))


def _waits(bench: Bench, work: Work) -> Counter[str]:
    """The lines of the package at which the host waited."""
    if not bench.on_gpu:
        work()
        return Counter()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            work()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    waits = [each for each in said if _WAITED in str(each.message) and not _inherent(each)]
    return Counter(f"{'/'.join(Path(each.filename).parts[-2:])}:{each.lineno}" for each in waits)


def _inherent(wait: warnings.WarningMessage) -> bool:
    """Whether the line is one that cannot but wait."""
    line = linecache.getline(wait.filename, wait.lineno)
    return any(function in line for function in _WAITING)


def check_memory(bench: Bench) -> None:
    """A shard that does not fit: every row is computed, as alone, and the memory given back."""
    count = 8 if bench.tiny else 2048
    with tempfile.TemporaryDirectory() as folder:
        storage = LocalStorage.create(Path(folder))
        worker = ShardWorker(storage, bench.device)
        shard = _inversion_shard(worker, count)
        few = replace(shard, items=shard.items[:8])
        worker.compute(few, 0, 8)
        alone: list[Any] = read_part(storage, INVERSION_TABLE, few.id)["mse"].to_pylist()
        # The model, its images and the workspaces of cuBLAS stay, which few items need as well.
        before = _allocated(bench)
        with _allowed(bench, 320 * 2**20):
            report = worker.compute(shard, 0, count)
        left = _allocated(bench) - before
        rows: list[Any] = read_part(storage, INVERSION_TABLE, shard.id)["mse"].to_pylist()
        # Of rounding, which another size of batch may change: 2e-6 on a CPU, 4e-3 with TF32.
        worst = max(abs(a / b - 1) for a, b in zip(rows[:8], alone, strict=True))
        halved = worker._batch_limit is not None or not bench.on_gpu
        bench.judge(
            halved and report.failed == 0 and worst < 1e-3 and left < 8,
            "out of memory",
            rows=report.rows,
            failed=report.failed,
            items_at_once=worker._batch_limit,
            mib_before=before,
            mib_left=left,
            worst_of_eight_alone=worst,
            seconds=report.seconds,
        )


def _allocated(bench: Bench) -> float:
    return torch.cuda.memory_allocated() / 2**20 if bench.on_gpu else 0.0


def _inversion_shard(worker: ShardWorker, count: int) -> Shard:
    """Inversions of images that ``fashion`` generated, which are published."""
    source = "shipped:fashion"
    given = GeneratorSource(source).settings(open_generator(source).sha256)
    items = tuple(
        Item("g", index % 10, "generated", f"i{index}", index % 10, index) for index in range(count)
    )
    made = Shard(IMAGES_TABLE, GENERATED, {**given, "levels": 256}, items)
    worker.compute(made, 0, count)
    stored = tuple(
        replace(item, image_part=made.id, image_row=row) for row, item in enumerate(items)
    )
    inversion = {"iterations": 20, "restarts": 4, "candidates": 8, "learning_rate": 0.1}
    return Shard(INVERSION_TABLE, INVERSION, {**given, **inversion, "distance": "mse"}, stored)


@contextmanager
def _allowed(bench: Bench, more: float) -> Iterator[None]:
    """Lets this process take so many bytes beyond what it has."""
    if not bench.on_gpu:
        yield
        return
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + more) / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def check_rounding(bench: Bench) -> None:
    """What TF32 and bfloat16 do to ln p(x|z) at a small variance, in nats."""
    for name in ("digits", "fashion", "biggan 32", "stylegan2 32"):
        bench.attempt(f"rounding {name}", partial(_rounding, bench, name))


def _rounding(bench: Bench, name: str) -> None:
    exact, generator = _double(_model(bench, name)), _model(bench, name)
    problem = _problem(exact, 4 if bench.tiny else 64, bench.device, SMALLEST_VARIANCE)
    assert problem.latent is not None
    truth, classes = exact(problem.latent, problem.condition), problem.condition
    latent = problem.latent.float()
    facts: Facts = {}
    reduced: dict[str, tuple[bool, AbstractContextManager[Any]]] = {
        "float32": (False, nullcontext()),
        "tf32": (True, nullcontext()),
        "bfloat16": (False, torch.autocast(bench.device.type, torch.bfloat16)),
    }
    for precision, (tf32, context) in reduced.items():
        with torch.no_grad(), _tf32(tf32), context:
            made = generator(latent, classes).double()
        errors = [(problem.images - images).square().flatten(1).sum(1) for images in (made, truth)]
        nats = (errors[0] - errors[1]) / (2 * SMALLEST_VARIANCE)
        facts |= {
            f"{precision}_worst": nats.abs().max().item(),
            f"{precision}_mean": nats.mean().item(),
        }
    bench.say("INFO", f"rounding of ln p(x|z) of {name}, nats at {SMALLEST_VARIANCE:g}", **facts)


# Is it fast?


def check_rows(bench: Bench) -> None:
    """Rows a second by how many at once, and what memory each takes, until more gain nothing."""
    names = ("digits", "fashion", "biggan 32", "stylegan2 32", "stylegan2 256", "stylegan2 1024")
    for name in names:
        bench.attempt(f"rows {name}", partial(_rows_by_size, bench, name), least=20)


def _rows_by_size(bench: Bench, name: str) -> None:
    generator = _model(bench, name)
    first = 1 if generator.image_shape[1] > 64 else 32
    for use, call in (("gradient", _gradient), ("images", _images), ("product", _product)):
        if bench.left() > 20:
            bench.say("INFO", f"rows {name}: {use}", **_grown(bench, generator, first, call))


def _grown(
    bench: Bench, generator: Generator, first: int, call: Callable[[Generator, int], Work]
) -> Facts:
    rates: dict[int, float] = {}
    peaks: dict[int, float] = {}
    size, ended = first, ""
    total = torch.cuda.get_device_properties(0).total_memory / 2**20 if bench.on_gpu else 1.0
    while not ended:
        taken = _rate_and_peak(bench, partial(call, generator, size))
        if taken is None:
            ended = "out of memory"
            break
        rates[size], peaks[size] = size / taken[0], taken[1]
        earlier = rates.get(size // 4)
        if bench.tiny or taken[0] > 1.0:
            ended = "a second a call"
        elif earlier is not None and rates[size] < 1.05 * earlier:
            ended = "four times as many gain less than 5%"
        elif 2 * taken[1] > 0.7 * total:
            ended = "most of the memory"
        size *= 2
    if bench.on_gpu:
        torch.cuda.empty_cache()
    largest = max(rates, default=first)
    slope = (peaks.get(largest, 0.0) - peaks.get(largest // 2, 0.0)) / max(
        1, largest - largest // 2
    )
    facts: Facts = {"ended": ended, "mib_a_row": slope}
    facts["rows_a_second"] = {size: round(rate) for size, rate in rates.items()}
    facts["mib"] = {size: round(peak) for size, peak in peaks.items()}
    best = max(rates, key=rates.__getitem__, default=first)
    enough = min((size for size in rates if rates[size] > 0.9 * rates[best]), default=first)
    for size in {first, enough}:
        facts[f"at {size}"] = bench.kernels(call(generator, size))
    return facts


def _rate_and_peak(bench: Bench, make: Callable[[], Work]) -> tuple[float, float] | None:
    """Seconds and MiB of a call; None if it does not fit."""
    try:
        work = make()
        peak = bench.peak(work)
        return bench.seconds(work, 0.1), peak
    except torch.OutOfMemoryError:
        return None


def _gradient(generator: Generator, rows: int) -> Work:
    like = _like(generator)
    classes = _classes(generator, rows, like.device)
    position = torch.randn(rows, generator.latent_dim, device=like.device, dtype=like.dtype)
    vector = torch.randn(rows, *generator.image_shape, device=like.device, dtype=like.dtype)

    def work() -> object:
        latent = position.detach().requires_grad_()
        return torch.autograd.grad(generator(latent, classes), latent, vector)

    return work


def _images(generator: Generator, rows: int) -> Work:
    like = _like(generator)
    classes = _classes(generator, rows, like.device)
    position = torch.randn(rows, generator.latent_dim, device=like.device, dtype=like.dtype)

    def work() -> object:
        with torch.no_grad():
            return generator(position, classes)

    return work


def _product(generator: Generator, rows: int) -> Work:
    """So many products with J at a single latent, as the curvature has them."""
    like = _like(generator)
    classes = _classes(generator, 1, like.device)
    latent = torch.randn(1, generator.latent_dim, device=like.device, dtype=like.dtype)
    tangents = torch.randn(rows, 1, generator.latent_dim, device=like.device, dtype=like.dtype)

    def product(tangent: Tensor) -> Any:
        return torch.func.jvp(lambda z: generator(z, classes), (latent,), (tangent,))[1]

    return lambda: torch.vmap(product)(tangents)


def check_layouts(bench: Bench) -> None:
    """A gradient's time by precision, by the maps' layout in memory, and with cuDNN's search."""
    rows = {"fashion": 4096, "biggan 32": 512, "stylegan2 32": 256, "stylegan2 256": 16}
    for name, count in {**rows, "stylegan2 1024": 2}.items():
        size = 2 if bench.tiny else count
        bench.attempt(f"layouts {name}", partial(_layouts, bench, name, size), least=20)


def _layouts(bench: Bench, name: str, rows: int) -> None:
    facts: Facts = {}
    for layout in ("as it is", "rows first", "channels last"):
        generator = _model(bench, name)
        _order_maps(generator, layout)
        for precision in ("float32", "tf32", "bfloat16"):
            context = torch.autocast(bench.device.type, torch.bfloat16, precision == "bfloat16")
            with _tf32(precision == "tf32"), context:
                work = _gradient(generator, rows)
                facts[f"{layout}, {precision}"] = 1e3 * bench.seconds(work, 0.1)
                if precision != "bfloat16" and bench.left() > 30:
                    with torch.backends.cudnn.flags(
                        enabled=True, benchmark=True, allow_tf32=precision == "tf32"
                    ):
                        searched = 1e3 * bench.seconds(work, 0.1)
                    facts[f"{layout}, {precision}, searched"] = searched
    bench.say("INFO", f"layouts {name}: ms of {rows} gradients", **facts)


def _order_maps(generator: Generator, layout: str) -> None:
    """Orders kernels in memory and, by a hook where a StyleGAN2 sets it itself, the maps."""
    if layout == "as it is":
        return
    assert isinstance(generator, nn.Module)
    order = torch.channels_last if layout == "channels last" else torch.contiguous_format
    for parameter in generator.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=order)
    refining = getattr(generator, "refining", None)
    if refining is not None:
        refining[0].register_forward_pre_hook(
            lambda _, given: (given[0].contiguous(memory_format=order), *given[1:])
        )


def check_transitions(bench: Bench) -> None:
    """A transition's time over that of its bare generator calls: as it is, and as a CUDA graph."""
    plan = {"digits": (16, 256, 2048), "fashion": (16, 256, 2048), "biggan 32": (64,)}
    for name, sizes in {**plan, "stylegan2 32": (32,)}.items():
        for size in (2,) if bench.tiny else sizes:
            work = partial(_transitions, bench, name, size)
            bench.attempt(f"transitions {name} {size}", work, least=20)


def _transitions(bench: Bench, name: str, images: int) -> None:
    generator = _model(bench, name)
    problem = replace(_problem(generator, images, bench.device), latent=None)
    steps = GuidedSettings.leapfrog_steps
    rows = images * GuidedSettings.chains
    bare = steps * bench.seconds(_gradient(generator, rows))
    found = _quick_modes(problem)
    classical = partial(_classical_chains, problem, steps)
    facts: Facts = {"rows": rows, "bare_ms": 1e3 * bare}
    facts["classical_over_bare"] = _a_transition(bench, classical) / bare
    facts["guided_over_bare"] = _a_transition(bench, partial(_guided_chains, problem, found)) / bare
    like = torch.empty(images, GuidedSettings.chains, generator.latent_dim, device=bench.device)
    noise = bench.seconds(lambda: list(transition_noise(problem.seeds, (Stream.GUIDED,), 4, like)))
    facts["noise_over_bare"] = noise / 4 / bare
    for path, chart in (("classical", None), ("guided", _chart(problem, found))):
        move = _one_transition(problem, chart, steps)
        facts[f"{path}_move_over_bare"] = bench.seconds(move) / bare
        facts[f"{path}_move"] = bench.kernels(move)
        if bench.on_gpu:
            facts[f"{path}_graph_over_bare"] = bench.seconds(_as_graph(move)) / bare
    if bench.on_gpu:
        facts["bare_graph_over_bare"] = (
            steps * bench.seconds(_as_graph(_gradient(generator, rows))) / bare
        )
    bench.say("INFO", f"transitions {name} of {images} images", **facts)


def _quick_modes(problem: GuidedProblem) -> FoundModes:
    """Some eight modes: chains cost the same from any."""
    settings = GuidedSettings(
        restarts=8,
        candidates=1,
        bank=0,
        iterations=3,
        finalists=8,
        final_iterations=0,
        polish=0,
    )
    return search_modes(problem, settings, 0, None)


def _a_transition(bench: Bench, chains: Callable[[int], object]) -> float:
    """Seconds of one transition, as the difference of longer and shorter chains."""
    return (bench.seconds(lambda: chains(13), 0.3) - bench.seconds(lambda: chains(5), 0.3)) / 8


def _classical_chains(problem: GuidedProblem, steps: int, transitions: int) -> object:
    settings = ClassicalSettings(transitions=transitions, leapfrog_steps=steps)
    schedule = torch.full((transitions - 1,), 0.01, dtype=torch.float64)
    return estimate_log_likelihood(
        problem.generator,
        problem.images,
        problem.condition,
        problem.variance,
        settings,
        problem.seeds,
        schedule,
    )


def _guided_chains(problem: GuidedProblem, found: FoundModes, transitions: int) -> object:
    return run_chains(problem, GuidedSettings(transitions=transitions), 0, found)


def _chart(problem: GuidedProblem, found: FoundModes) -> Chart:
    proposal = laplace_proposal(found.modes, GuidedSettings())
    uniform = torch.full((len(problem.images),), 0.5, device=problem.images.device)
    return MixtureChart(proposal, proposal.draw(uniform.double(), GuidedSettings.chains))


def _one_transition(problem: GuidedProblem, chart: Chart | None, steps: int) -> Work:
    pair = _pair(problem, chart)
    shape = (len(problem.images), GuidedSettings.chains, problem.generator.latent_dim)
    position = torch.randn(shape, device=problem.images.device)
    state = initial_state(pair, position)
    uniform = torch.rand(shape[:2], device=position.device)
    step = torch.full(shape[:2], 0.01, device=position.device)
    momentum = torch.randn_like(position)

    def move() -> object:
        with torch.no_grad():
            return transition(pair, state, momentum, uniform, 0.5, step, steps)

    return move


def _pair(problem: GuidedProblem, chart: Chart | None) -> ProposalToPosterior:
    return ProposalToPosterior(
        problem.generator,
        problem.images,
        problem.condition,
        problem.variance,
        StandardChart() if chart is None else chart,
    )


def _as_graph(work: Work) -> Work:
    """The same kernels without the host: captured once, then replayed."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = work()

    def replay() -> object:
        graph.replay()
        return kept

    return replay


def check_forces(bench: Bench) -> None:
    """Chains whose forces are of bfloat16 or TF32, beside those of float32 from the same modes."""
    for name in ("digits", "fashion"):
        bench.attempt(f"forces {name}", partial(_forces, bench, name), least=25)


def _forces(bench: Bench, name: str) -> None:
    images = 4 if bench.tiny else 256
    problem = replace(_problem(_model(bench, name), images, bench.device), latent=None)
    settings = GuidedSettings(transitions=4 if bench.tiny else 60)
    found = _quick_modes(problem)
    with _tf32(False):
        whole = run_chains(problem, settings, 0, found)
    facts: Facts = {"float32_acceptance": whole.acceptance.mean().item()}
    for forces, pair in (("bfloat16", _InBfloat16), ("tf32", _InTf32)):
        with _tf32(False), patch.object(guided_run, "ProposalToPosterior", pair):
            began = time.perf_counter()
            reduced = run_chains(problem, settings, 0, found)
            bench.wait()
        change = reduced.log_likelihood - whole.log_likelihood
        facts |= {
            f"{forces}_acceptance": reduced.acceptance.mean().item(),
            f"{forces}_change": change.mean().item(),
            f"{forces}_change_error": (change.std() / images**0.5).item(),
            f"{forces}_seconds": time.perf_counter() - began,
        }
    bench.say("INFO", f"forces of {name}: nats of {images} images", **facts)


class _InBfloat16(ProposalToPosterior):
    """Gradients inside of a trajectory by a generator in bfloat16; ends and energies as ever."""

    def __init__(self, generator: Generator, *given: Any) -> None:
        super().__init__(generator, *given)
        self._rough = ProposalToPosterior(self._rough_generator(generator), *given)

    @staticmethod
    def _rough_generator(generator: Generator) -> Any:
        def images(latent: Tensor, condition: Tensor | None) -> Tensor:
            with torch.autocast(latent.device.type, torch.bfloat16):
                return generator(latent, condition).float()

        return images

    def gradients(self, position: Tensor) -> tuple[Tensor, Tensor]:
        return self._rough.gradients(position)


class _InTf32(ProposalToPosterior):
    """Gradients inside of a trajectory with TF32."""

    def gradients(self, position: Tensor) -> tuple[Tensor, Tensor]:
        with _tf32(True):
            return super().gradients(position)


def check_audit(bench: Bench) -> None:
    """An audit's guided estimate as it is: seconds an image of each part, memory, utilisation."""
    plan = {"digits": (256,), "fashion": (64, 256), "biggan 32": (8,)}
    for name, sizes in plan.items():
        for size in (1,) if bench.tiny else sizes:
            bench.attempt(f"audit {name} {size}", partial(_audit, bench, name, size), least=25)


def _audit(bench: Bench, name: str, images: int) -> None:
    problem = replace(_problem(_model(bench, name), images, bench.device), latent=None)
    settings = GuidedSettings()
    if bench.tiny:
        settings = _short_search()
    facts: Facts = {}
    parts: dict[str, Callable[[], Any]] = {
        "search": lambda: search_modes(problem, replace(settings, polish=0), 0, None),
        "search_and_polish": lambda: search_modes(problem, settings, 0, None),
    }
    found: Any = None
    for part, work in parts.items():
        found = _measured(bench, part, work, images, facts)
    _measured(bench, "chains", lambda: run_chains(problem, settings, 0, found), images, facts)
    bench.say("INFO", f"audit {name} of {images} images", **facts)


def _measured(bench: Bench, part: str, work: Callable[[], Any], images: int, facts: Facts) -> Any:
    results = []
    with _utilisation(bench) as readings:
        began = time.perf_counter()
        facts[f"{part}_gib"] = bench.peak(lambda: results.append(work())) / 2**10
        facts[f"{part}_ms_an_image"] = 1e3 * (time.perf_counter() - began) / images
    facts[f"{part}_utilisation"] = statistics.mean(readings) if readings else None
    return results[0]


@contextmanager
def _utilisation(bench: Bench) -> Iterator[list[int]]:
    """Percent of the time in which a kernel ran, by the driver, read ten times a second."""
    readings: list[int] = []
    ended = threading.Event()

    def read() -> None:
        while not ended.wait(0.1):
            try:
                readings.append(torch.cuda.utilization())
            except Exception:  # noqa: BLE001 - without the driver's library nothing is read
                return

    reader = threading.Thread(target=read, daemon=True)
    if bench.on_gpu:
        reader.start()
    try:
        yield readings
    finally:
        ended.set()
        if bench.on_gpu:
            reader.join()


def check_algebra(bench: Bench) -> None:
    """Eigenpairs of the curvature's matrices on the device and on the CPU, milliseconds."""
    for side, count in ((16, 2048), (32, 2048), (128, 64), (512, 8)):
        if bench.tiny and side > 32:
            continue
        gram = torch.randn(count, side, side, dtype=torch.float64)
        gram = gram @ gram.mT
        there = gram.to(bench.device)
        facts = {
            "device_ms": 1e3 * bench.seconds(partial(torch.linalg.eigh, there)),
            "cpu_ms": 1e3 * bench.seconds(partial(torch.linalg.eigh, gram)),
        }
        bench.say("INFO", f"eigh of {count} matrices of {side} in float64", **facts)


def check_sharing(bench: Bench) -> None:
    """Guided transitions a second of two processes that share the device, beside those of one."""
    context = multiprocessing.get_context("spawn")
    together, results = context.Barrier(2), context.Queue()
    sizes = (2,) if bench.tiny else (64, 1024)
    given = (bench.device, bench.tiny, "fashion", sizes, together, results)
    for rank in range(2):
        context.Process(target=_share, args=(rank, *given), daemon=True).start()
    for images in sizes:
        alone, *both = (results.get(timeout=90) for _ in range(3))
        facts = {"alone": alone, "each_of_two": both, "two_over_one": sum(both) / alone}
        bench.say("INFO", f"sharing: transitions of {images} images of fashion a second", **facts)


def _share(
    rank: int,
    device: torch.device,
    tiny: bool,
    name: str,
    sizes: Sequence[int],
    together: Any,
    results: Any,
) -> None:
    """One of the two: at each size the first runs chains alone, then both at once."""
    bench = Bench(device, 60, Path(tempfile.mkdtemp()), tiny)
    if bench.on_gpu:
        torch.cuda.set_per_process_memory_fraction(0.5)
    generator = _model(bench, name)
    for images in sizes:
        problem = replace(_problem(generator, images, device), latent=None)
        found = _quick_modes(problem)
        _guided_chains(problem, found, 5)
        together.wait(90)
        if rank == 0:
            results.put(_chains_a_second(bench, problem, found))
        together.wait(90)
        results.put(_chains_a_second(bench, problem, found))


def _chains_a_second(bench: Bench, problem: GuidedProblem, found: FoundModes) -> float:
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < (0.2 if bench.tiny else 2):
        _guided_chains(problem, found, 21)
        bench.wait()
        done += 20
    return len(problem.images) * done / (time.perf_counter() - began)


def check_compiled(bench: Bench) -> None:
    """A trajectory as one compiled graph beside the same without compiling."""
    for name, images in (("fashion", 64), ("digits", 64)):
        size = 2 if bench.tiny else images
        bench.attempt(f"compiled {name}", partial(_compiled, bench, name, size), least=30)


def _compiled(bench: Bench, name: str, images: int) -> None:
    problem = replace(_problem(_model(bench, name), images, bench.device), latent=None)
    steps = GuidedSettings.leapfrog_steps
    chart = _chart(problem, _quick_modes(problem))
    product = bench.seconds(_one_transition(problem, chart, steps))
    shape = (images, GuidedSettings.chains, problem.generator.latent_dim)
    position = torch.randn(shape, device=bench.device)
    momentum, gradient = torch.randn_like(position), torch.randn_like(position)
    beta, step = torch.tensor([0.5, 0.01], device=bench.device)
    trajectory = partial(_trajectory, problem, chart, steps)
    given = (position, momentum, gradient, beta, step)
    facts: Facts = {"rows": images * GuidedSettings.chains, "product_ms": 1e3 * product}
    exact = position
    for mode in (None, "default", "reduce-overhead"):
        if bench.left() < 20:
            break
        call = trajectory if mode is None else torch.compile(trajectory, mode=mode, fullgraph=True)
        began = time.perf_counter()
        with torch.no_grad():
            found = call(*given)[0].clone()
            exact = found if mode is None else exact
            facts[f"{mode}_compiling_s"] = time.perf_counter() - began
            facts[f"{mode}_ms"] = 1e3 * bench.seconds(partial(call, *given))
        facts[f"{mode}_worst"] = _worst(found, exact)
    bench.say("INFO", f"compiled trajectory of {name}", **facts)


def _decoded(generator: Generator, condition: Tensor | None, latent: Tensor) -> Tensor:
    return generator(latent, condition)


def _trajectory(
    problem: GuidedProblem,
    chart: Chart,
    steps: int,
    position: Tensor,
    momentum: Tensor,
    gradient: Tensor,
    beta: Tensor,
    step: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Leapfrog steps along a chart's path, without a branch and with tensors alone."""
    chains = position.shape[1]
    condition = problem.condition
    repeated = None if condition is None else condition.repeat_interleave(chains)
    squared = torch.zeros((), device=position.device)
    momentum = momentum + 0.5 * step * gradient
    for index in range(steps):
        position = position + step * momentum
        latent = chart.latent(position)
        decode: Any = partial(_decoded, problem.generator, repeated)
        pulled: Any = torch.func.vjp(decode, latent.flatten(0, 1))
        images, pull_back = pulled
        residual = problem.images[:, None] - images.unflatten(0, position.shape[:2])
        (of_likelihood,) = pull_back(residual.flatten(0, 1))
        of_likelihood = (of_likelihood / problem.variance).view_as(latent)
        gradient = beta * chart.pull_back(latent, of_likelihood) - position
        momentum = momentum + (0.5 if index == steps - 1 else 1.0) * step * gradient
        squared = residual.square().flatten(2).sum(-1)
    return position, momentum, squared


CHECKS: Mapping[str, Callable[[Bench], None]] = {
    "machine": check_machine,
    "families": check_families,
    "work": check_work,
    "crossings": check_crossings,
    "memory": check_memory,
    "rounding": check_rounding,
    "estimates": check_estimates,
    "algebra": check_algebra,
    "sharing": check_sharing,
    "transitions": check_transitions,
    "forces": check_forces,
    "audit": check_audit,
    "compiled": check_compiled,
    "layouts": check_layouts,
    "rows": check_rows,
}


def main(given: Sequence[str] | None = None) -> None:
    """Runs the checks in order, as long as there is time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", type=torch.device, default=torch.device("cuda"))
    parser.add_argument("--seconds", type=float, default=480, help="after which no check begins")
    parser.add_argument("--out", type=Path, default=Path(), help="the folder of gpu.json")
    parser.add_argument("--tiny", action="store_true", help="sizes of seconds, on any machine")
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=", ".join(CHECKS))
    args = parser.parse_args(given)
    unknown = [name for name in args.checks if name not in CHECKS]
    if unknown:
        parser.error(f"no check is called {', '.join(unknown)}: choose of {', '.join(CHECKS)}")
    # More only wait for each other in what is compared on the CPU.
    torch.set_num_threads(min(4, torch.get_num_threads()))
    bench = Bench(args.device, args.seconds, args.out, args.tiny)
    for name in args.checks or CHECKS:
        began = time.monotonic()
        with _tf32(False):
            bench.attempt(name, partial(CHECKS[name], bench))
        bench.say("INFO", f"{name} took", seconds=time.monotonic() - began)
    bench.say("INFO", "end", **bench.counted())


if __name__ == "__main__":
    main()
