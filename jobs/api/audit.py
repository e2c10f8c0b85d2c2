"""An audit by a call from Python."""

import copy
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...workers.generator_source import GIVEN_PREFIX
from ...workers.given_generators import copies_of, given
from ..audits.specs import build_spec, inherited_spec, read_spec
from ..drive.driver import default_folder, run_audit, run_folder
from ..drive.progress import Progress
from ..drive.quick import chosen_form
from ..record.run_directory import RunDirectory
from ..report.plain_console import PlainConsole
from ..results.finished_run import replan
from ..spec.audit import AuditSpec
from ..spec.loading import SpecError
from ..spec.plain_yaml import dump_yaml
from .run import Run

Source = Mapping[str, Any] | str | os.PathLike[str]
_ONLY = "generator"

# Objects that are given, a local Ray and the threads of torch are the process's: one audit has them
# at a time. A generator that calls an audit does so inside its own.
_turn = threading.RLock()


def audit(
    spec: Source,
    *,
    generator: object = None,
    out: str | os.PathLike[str] | None = None,
    quick: bool = False,
    settings: Mapping[str, Any] | None = None,
    changed: bool = False,
    retry_failed: bool = False,
) -> Run:
    """Runs, or resumes, an audit, as ``offmanifold run`` does; the finished run.

    Of calls in several threads one is at work, and the others wait for its end.

    Args:
        spec: a dictionary with the keys of `docs/spec.md`, the path of a YAML file, or the name of
            a preset. Relative paths in a dictionary count from the working directory.
        generator: what to audit in place of the spec's generators: an object that follows the
            generators' protocol (``offmanifold.generator`` makes one of a network), or a mapping
            from names to such objects. It is copied as it is now, and computed with in this
            process, on one worker: several need a generator that they can open themselves, a file
            or ``module:function``. Its weights are part of the identity of every row, so that a run
            directory never mixes rows of a generator that has changed.
        out: the run directory: a path, or ``s3://BUCKET/PREFIX``; by default a folder in ``runs``.
        quick: a first answer in minutes, of few images and a lean search (`docs/quick.md`).
        settings: further keys, dotted, as ``--set`` has them: ``{"groups.train.count": 64}``.
        changed: take over a run directory of another spec, and recompute what differs.
        retry_failed: first withdraw the parts that hold failed items.

    Raises:
        SpecError: before any work: naming the key, what was expected and what to do.
        GeneratorError: before any work: what the generator does that no generator may.
        ClusterError: there are no GPUs where the spec asks for some, or no Ray can be started.
        StorageError: the run directory cannot be written.
    """
    content, base, source = _read(spec)
    generators = _named(generator)
    if generators:
        content["generators"] = [
            {"name": name, "source": GIVEN_PREFIX + name} for name in generators
        ]
        cluster = content.setdefault("cluster", {})
        if isinstance(cluster, dict):
            cluster.setdefault("executor", "serial")
    if quick:
        content["quick"] = True
    wanted = build_spec(content, base, _overrides(settings), source)
    if out is not None:
        folder = run_folder(os.fspath(out))
    elif isinstance(spec, Mapping):
        folder = run_folder(str(Path("runs") / wanted.name))
    else:
        folder = run_folder(default_folder(source))
    copies = copies_of(generators)
    with _in_turn(folder), given(copies):
        _run(wanted, folder, changed=changed, retry_failed=retry_failed)
    return Run(replan(RunDirectory.at(folder, wanted.cluster.storage.settings)))


@contextmanager
def _in_turn(folder: str) -> Iterator[None]:
    """Waits until no other thread of this process is in an audit, and says so."""
    if not _turn.acquire(blocking=False):
        _progress().say(f"{folder}: waiting for the audit of another thread of this program to end")
        _turn.acquire()
    try:
        yield
    finally:
        _turn.release()


def _progress() -> Progress:
    # A notebook has no use for a bar that is drawn again and again, nor for outputs of a line each.
    return Progress(
        PlainConsole(stderr=True, force_jupyter=False, force_terminal=False, soft_wrap=True)
    )


def _run(spec: AuditSpec, folder: str, *, changed: bool, retry_failed: bool) -> None:
    progress = _progress()
    progress.say(f"run directory: {folder}")
    chosen = chosen_form(spec, folder)
    for line in chosen.told:
        progress.say(line)
    run_audit(
        chosen.spec,
        folder,
        progress,
        allow_changed=changed or chosen.takes_over,
        retry_failed=retry_failed,
    )


def _read(spec: Source) -> tuple[dict[str, Any], Path, str]:
    """A spec's keys, where its relative paths count from, and what messages call it."""
    if isinstance(spec, Mapping):
        base = Path.cwd()
        return inherited_spec(_plain(spec), base, "spec"), base, "spec"
    if isinstance(spec, str | os.PathLike):
        source = os.fspath(spec)
        return *read_spec(source), source
    raise SpecError(
        f"spec: expected a dictionary, the path of a YAML file or the name of a preset, found "
        f"{type(spec).__name__}"
    )


def _plain(value: Any) -> Any:
    """As YAML would have it: dictionaries, lists and text."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic):
        return value.item()
    return copy.copy(value)


def _named(generator: object) -> dict[str, object]:
    if generator is None:
        return {}
    if not isinstance(generator, Mapping):
        return {_ONLY: generator}
    return {str(name): each for name, each in generator.items()}


def _overrides(settings: Mapping[str, Any] | None) -> tuple[str, ...]:
    return tuple(
        f"{key}={dump_yaml(_plain(value), default_flow_style=True)}"
        for key, value in (settings or {}).items()
    )
