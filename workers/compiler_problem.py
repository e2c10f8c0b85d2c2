"""The C++ compiler that torch compiles with, or why this machine has none."""

import os
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path

_INSTEAD = "or leave out cluster.compile"


def compiler_problem() -> str | None:
    """What keeps torch from compiling on this machine, and what to do; None if nothing is known.

    It calls the compiler that ``CXX`` names, or g++ (clang++ on a Mac), with Python's headers.
    """
    usual = "clang++" if sys.platform == "darwin" else "g++"
    command = os.environ.get("CXX", usual)
    if shutil.which(next(iter(shlex.split(command)), "")) is None:
        return (
            f"the C++ compiler {command!r} is not on this machine: install one (`apt-get install "
            f"g++`), or name the one that is there in the environment variable CXX, {_INSTEAD}"
        )
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.is_file():
        return (
            f"there is no {header}, which what torch compiles includes: install Python's headers "
            f"(`apt-get install python3-dev`), {_INSTEAD}"
        )
    return None
