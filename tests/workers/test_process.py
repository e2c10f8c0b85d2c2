"""A worker's process has its number of threads, and keeps the memory that it frees."""

import subprocess
import sys
from contextlib import suppress

import pytest
import torch
from offmanifold.workers.process import keep_freed_memory, one_thread

# Blocks of more than glibc's own threshold of 32 MiB at most, and less than the worker's.
_MEBIBYTES = 64
_PAGES = _MEBIBYTES * 2**20 // 4096

_TURNS = f"""
import resource, sys, torch
from pathlib import Path
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.workers.runner import WorkerFactory

def turn():
    # Two blocks, so that the heap's end is more than one.
    blocks = [torch.empty({_MEBIBYTES} << 18).fill_(1.0) for _ in range(2)]
    return len(blocks)

def faults_of_a_turn():
    # Before 2.38 glibc needs some room around an aligned block, and so the heap grows a few times.
    for _ in range(12):
        turn()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        turn()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 5

print(faults_of_a_turn())
WorkerFactory(LocalStorage(Path(sys.argv[1])), threads=1, gpu_share=0)()
print(faults_of_a_turn())
"""

with_glibc = pytest.mark.skipif(not keep_freed_memory(), reason="no glibc to keep freed memory")


@with_glibc
def test_a_worker_has_no_page_mapped_anew_for_memory_it_freed(tmp_path: object) -> None:
    command = [sys.executable, "-c", _TURNS, str(tmp_path)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    as_python_does, as_a_worker = map(float, told.split())
    # Were pages of 2 MiB, there would be fewer faults: then nothing can be told here.
    if as_python_does < _PAGES:
        pytest.skip("this system maps more than a page at a fault")
    assert as_a_worker < _PAGES / 100


def test_threads_are_as_before_after_the_block() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with suppress(ZeroDivisionError), one_thread():
            assert torch.get_num_threads() == 1
            raise ZeroDivisionError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
