"""What it brings that workers keep the memory they free, on this machine (`workers.process`).

    OMP_NUM_THREADS=1 python -m tests.benchmarks.kept_memory [GENERATOR ...]

For each generator of `tests.benchmarks.transitions` it simulates a few images, searches their modes
and moves their chains, in a process of its own, with freed memory kept and returned in turn. It
prints the mean seconds of processor that each way took, how many of them the system's, and the
most memory, all of the work alone. What pages cost is the machine's: virtual ones can be ten times
as slow.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from statistics import fmean

import torch
from offmanifold.workers.process import keep_freed_memory
from offmanifold.workers.row_memory import limited

from .transitions import IMAGES, MAKERS, works

ROUNDS = 2
MOVES = 5


def main() -> None:
    """Tries each generator that is named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("generators", nargs="*", metavar="GENERATOR", choices=[*MAKERS, []])
    parser.add_argument("--child", choices=["returned", "kept"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(_tried(args.generators[0], kept=args.child == "kept")))
        return
    for name in args.generators or MAKERS:
        found: dict[str, list[dict[str, float]]] = {"returned": [], "kept": []}
        for _ in range(ROUNDS):
            for way, each in found.items():
                each.append(_in_child(name, way))
        print(f"{name}: " + "; ".join(f"{way} {_line(each)}" for way, each in found.items()))


def _in_child(name: str, way: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.kept_memory", name, "--child", way]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _tried(name: str, *, kept: bool) -> dict[str, float]:
    if kept and not keep_freed_memory():
        raise SystemExit("this system's C library does not keep memory: there is nothing to try")
    torch.set_num_threads(1)
    generator = limited(MAKERS[name](), torch.device("cpu"))
    before = os.times()
    _, moves = works(generator, IMAGES[name])
    for kind in ("classical", "guided"):
        for _ in range(MOVES):
            moves[kind]()
    after = os.times()
    used = resource.getrusage(resource.RUSAGE_SELF)
    system = after.system - before.system
    seconds = after.user - before.user + system
    return {"seconds": seconds, "system": system, "mebibytes": used.ru_maxrss / 2**10}


def _line(tries: list[dict[str, float]]) -> str:
    seconds, system, mebibytes = (fmean(each[key] for each in tries) for key in tries[0])
    return f"{seconds:.1f} s ({system:.1f} the system's), {mebibytes:.0f} MiB"


if __name__ == "__main__":
    main()
