"""What a worker computes at once, and what it keeps, by the memory that it may use."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..cluster.resources import available_cpus

if TYPE_CHECKING:
    import torch

    from ..core.compilation import Compilation
    from ..core.generators.protocol import Generator
    from ..core.row_limit import LimitedGenerator

# Of the memory that a worker may use: the rest is for images, states and what other work takes.
_SHARE = 0.5
_BANK_SHARE = 1 / 8
_BANK_BYTES = 2**29
# What a derivative took on an H200 (`docs/gpu.md`) over what its forward pass keeps: 1.1 times of a
# StyleGAN2 of 256 pixels, 1.2 of 32, 1.3 of `fashion`, 1.6 of `digits`, 2.0 of a BigGAN.
_DERIVATIVE = 2
# Of a block of rows that is computed at once on a CPU.
_BLOCK_BYTES = 2**23
# Of a row, up to which graphs of chains are faster than the kernels one by one (`docs/gpu.md`).
_COMPILED_BYTES = _BLOCK_BYTES // 256
_FEWEST_ROWS, _MOST_ROWS = 8, 256
# Whose derivative is taken together: more leave the cache, fewer make more calls (`docs/gpu.md`).
_BLOCKS_TOGETHER = 4


def limited(
    generator: "Generator",
    device: "torch.device",
    evaluating: Callable[[int], None] | None = None,
    compilation: "Compilation | None" = None,
) -> "LimitedGenerator":
    """The generator, which is on the device, with as many rows at once as memory has room for.

    ``evaluating`` is told of the rows of its calls (`core.row_limit`). ``compilation`` is declined
    where a graph of its chains would not be faster.

    What a row takes is measured, with three rows; of a set, by the largest of its members. On a
    device that does not say what memory it has there is no limit. On a CPU the generator computes
    blocks of one shape (`core.fixed_rows`), whatever the batch, and few of them are differentiated
    together. Its kernels are ordered in memory as is quickest there (`core.generators.layout`).
    """
    from ..core.fixed_rows import in_fixed_rows
    from ..core.generators.class_set import ClassSetGenerator
    from ..core.generators.layout import lay_out
    from ..core.row_limit import LimitedGenerator, RowLimit

    lay_out(generator, device)
    usable = _usable_bytes(device)
    if usable is None:
        return LimitedGenerator(generator, RowLimit(evaluating=evaluating))
    bytes_of_each = bytes_of_derivative(generator, device)
    limit = RowLimit(int(_SHARE * usable) // bytes_of_each, evaluating)
    if device.type == "cpu":
        # A set fills up a block for each class of a batch.
        is_set = isinstance(generator, ClassSetGenerator)
        block = min(_FEWEST_ROWS if is_set else fixed_rows(bytes_of_each), limit.rows)
        # A set's rows are parted by their class: more of them fill its members' blocks better.
        quickest = limit.rows if is_set else _rows_together(block, bytes_of_each)
        limit = RowLimit(limit.rows // block * block, evaluating, quickest, block)
        generator = in_fixed_rows(generator, block)
        if compilation is not None and is_set:
            compilation.decline("a set of generators, one a class, has no graph of its own")
        elif compilation is not None and bytes_of_each > _COMPILED_BYTES:
            compilation.decline(
                f"a row of it takes {bytes_of_each / 2**10:,.0f} KiB, and graphs are faster up to "
                f"some {_COMPILED_BYTES // 2**10} (docs/gpu.md)"
            )
    return LimitedGenerator(generator, limit, compilation)


def fixed_rows(bytes_of_each: int) -> int:
    """The rows of a block on a CPU, by the memory that a row takes: it is the generator's alone.

    Small generators are slower in small blocks, and large ones lose more by rows that fill up.
    """
    fitting = max(_FEWEST_ROWS, min(_MOST_ROWS, _BLOCK_BYTES // bytes_of_each))
    return 1 << (fitting.bit_length() - 1)


def _rows_together(block: int, bytes_of_each: int) -> int:
    return max(_BLOCKS_TOGETHER * block, _BLOCK_BYTES // bytes_of_each // block * block)


def bytes_of_derivative(generator: "Generator", device: "torch.device") -> int:
    """Memory that each row takes for its derivative; of a set, of the largest of its members."""
    from ..core.generators.class_set import ClassSetGenerator
    from ..core.row_limit import bytes_of_row

    measured = [generator]
    if isinstance(generator, ClassSetGenerator):
        measured = list(generator.members.values())
    return _DERIVATIVE * max(bytes_of_row(each, device) for each in measured)


def bytes_for_rows(generator: "Generator", device: "torch.device", rows: int) -> int:
    """Memory that a worker must have for as many rows at once, with what it keeps free."""
    return int(rows * bytes_of_derivative(generator, device) / _SHARE)


def bank_bytes(device: "torch.device") -> int | None:
    """What a bank may keep; None on a device that does not say what memory it has.

    An eighth of the memory, or where that is little a quarter of it up to half a GiB: ten classes
    of small images take 280 MB.
    """
    usable = _usable_bytes(device)
    if usable is None:
        return None
    return max(int(_BANK_SHARE * usable), min(_BANK_BYTES, usable // 4))


def _usable_bytes(device: "torch.device") -> int | None:
    """What is free on a GPU, within this process's part of it; this worker's part of a machine.

    Of a machine, it is the part of its CPUs that the worker has threads for, and of all its memory,
    busy or free: the limit is then the same in each worker and at each time.
    """
    import torch

    if device.type == "cpu":
        threads = min(1.0, torch.get_num_threads() / available_cpus())
        return int(threads * _main_memory())
    if device.type != "cuda":
        return None
    free, total = torch.cuda.mem_get_info(device)
    reserved = torch.cuda.memory_reserved(device)
    part = int(total * torch.cuda.get_per_process_memory_fraction()) - reserved
    return max(0, min(free, part)) + reserved - torch.cuda.memory_allocated(device)


def _main_memory(cgroup_root: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes of the machine, or of the container (cgroup version 2, or else 1) that this is in."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            text = (cgroup_root / name).read_text().strip()
        except OSError:
            continue
        if text.isdecimal():
            found = min(found, int(text))
    return found
