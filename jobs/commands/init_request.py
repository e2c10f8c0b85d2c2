"""What ``offmanifold init`` is asked, and how its spec names paths and values."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...cluster.locations import at_home
from ..report.plain_text import printable
from ..spec.plain_yaml import dump_yaml


@dataclass(frozen=True)
class Request:
    """What ``init`` was asked: ``weights`` or a ``source``, and where images of the data are.

    ``family``, ``key``, ``classes`` and ``mixed_precision`` are what a checkpoint's file may not
    say; ``trust`` lets a file that is a program run.
    """

    out: Path
    weights: Path | None = None
    source: str | None = None
    images: str | None = None
    family: str | None = None
    key: str | None = None
    classes: int | None = None
    mixed_precision: bool | None = None
    trust: bool = False
    quick: bool = False


def spec_path(path: Path, out: Path) -> str:
    """As the spec is to have it: a relative one counts from the spec's folder.

    Raises:
        LocationError: it is in the home of a user that there is not.
    """
    folder, there = out.resolve().parent, at_home(path).absolute()
    inside = there.is_relative_to(folder)
    return os.path.relpath(there, folder) if inside else str(there)


def in_yaml(value: Any) -> str:
    """A value on one line of YAML."""
    text: str = dump_yaml(value, default_flow_style=True, sort_keys=False, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")


def comment(text: str) -> str:
    """Words out of files as a comment, of one line whatever they hold."""
    return "# " + " ".join(printable(text).split())
