"""What a process that computes is set to: its threads, and what becomes of memory it has freed."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

# Parameters of glibc's mallopt(3), whose names are C's alone.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MOST_BYTES = 2**31 - 1
# Blocks up to the first are kept; an older glibc takes no more than the second.
_KEPT_BLOCK_BYTES = (2**30, 2**25)


def set_up(threads: int) -> None:
    """Sets what a worker's process has for as long as it lives.

    The number of threads is fixed, since it decides the order of sums.
    """
    import torch

    torch.set_num_threads(threads)
    keep_freed_memory()


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread inside of the block, as a worker has it on a CPU."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@cache
def keep_freed_memory() -> bool:
    """Has glibc keep what is freed for what is allocated next; False where there is no glibc.

    Otherwise the large blocks of each derivative of a generator go back to the system, and the next
    one has as many pages mapped and zeroed anew: half of the time of a search for modes of a small
    StyleGAN2 (`docs/gpu.md`). The process then keeps, to its end, the most memory that it had in
    blocks of up to a GiB.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    kept = any(mallopt(_MMAP_THRESHOLD, size) for size in _KEPT_BLOCK_BYTES)
    return kept and bool(mallopt(_TRIM_THRESHOLD, _MOST_BYTES))
