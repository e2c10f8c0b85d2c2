"""A Ray of one's own on this machine: for as long as a run lasts, and closed to everyone else.

Its files lie in a folder that only the user can enter, its processes listen on the loopback
interface alone, and none of them looks for a cloud or reports to anyone.
"""

import fcntl
import logging
import math
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
import ray._private.node
import ray._private.ray_constants
import ray._private.worker
from ray.exceptions import RayError

from .ray_errors import ClusterError
from .resources import WorkerResources, available_cpus

# Only ids, paths and counts travel through Ray, so its shared memory can stay small.
_OBJECT_STORE_BYTES = 128 * 2**20
# Short: what Ray adds is long, and the path of a socket has at most 107 bytes.
_PREFIX = "om-ray-"
_LONGEST_SOCKET = "r/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
_SOCKET_PATH_BYTES = 107
_SETTLED_SECONDS = 60.0
# What is set of the environment, and taken out of it (None), while Ray runs.
_ENVIRONMENT = {
    ray._private.ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR: "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # With the mode unset the token is put to use. Without it every user of this machine could run
    # code here, so the environment cannot switch it off.
    "RAY_AUTH_MODE": None,
    # Statistics that nobody can look at without a dashboard: with them, and with the processes
    # below, Ray takes 6.6% of what one worker does, without them 4.0% (docs/clusters.md).
    "RAY_event_stats": "0",
    "RAY_task_events_report_interval_ms": "0",
    "REPORTER_UPDATE_INTERVAL_MS": "60000",
}
# Methods of a node that start its dashboard's server, what passes workers' prints on to a driver
# that wants them, and what asks a cloud for further machines.
_UNUSED = ("start_api_server", "start_log_monitor", "start_monitor")


@contextmanager
def local_ray(resources: WorkerResources) -> Iterator[None]:
    """Starts a Ray large enough for ``resources``, and ends it with the block.

    The token that guards it must exist. Nothing of it is left on the disk.

    Raises:
        ClusterError: no folder with a path short enough can be made, or Ray does not start.
    """
    cpus = max(available_cpus(), math.ceil((resources.workers or 1) * resources.cpus_per_worker))
    with ExitStack() as stack:
        folder = stack.enter_context(private_folder())
        stack.enter_context(_on_loopback())
        stack.callback(ray.shutdown)
        try:
            # "local" and not None: an address in the environment must not send the run elsewhere.
            ray.init(
                address="local",
                num_cpus=cpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=_OBJECT_STORE_BYTES,
                # Ray opens its folder to all users; the one around it is private.
                _temp_dir=str(folder / "r"),
            )
        # Of any type: Ray raises a bare Exception where its processes are not up within 30 s.
        except Exception as error:
            raise ClusterError(
                f"cannot start Ray on this machine: {_first_line(error)}. Check that "
                f"{folder.parent} has free space and that new processes and ports are allowed "
                "here, and run the same command again, or do without Ray: "
                "--set cluster.executor=serial."
            ) from error
        try:
            yield
        except RayError:
            # Where Ray itself has died, that is the cause of whatever it says.
            check_local_ray()
            raise


def check_local_ray() -> None:
    """Looks whether the Ray that this process started is still there; does nothing for others.

    Raises:
        ClusterError: one of Ray's own processes has died. No worker can then be started, and Ray
            itself would wait for ever.
    """
    node = ray._private.worker._global_node
    if node is None or not node.is_head():
        return
    dead = [name for name, _ in node.dead_processes()]
    if dead:
        raise ClusterError(
            f"the Ray that ran on this machine has died ({', '.join(sorted(set(dead)))} ended). "
            "What was finished is kept: run the same command again to resume."
        )


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Makes Ray's processes listen on 127.0.0.1 alone, and starts none that nothing here uses.

    Ray does the first on Windows and macOS, unless this constant says otherwise. The server of its
    dashboard would ask cloud metadata addresses where it is, and tell Ray's makers that it does not
    tell them anything.
    """
    constants: Any = ray._private.ray_constants
    node: Any = ray._private.node.Node
    was_cluster = constants.ENABLE_RAY_CLUSTER
    were = {name: getattr(node, name) for name in _UNUSED}
    environment = {name: os.environ.get(name) for name in _ENVIRONMENT}

    def start_nothing(node: Any, *arguments: Any, **options: Any) -> None:
        del node, arguments, options

    constants.ENABLE_RAY_CLUSTER = False
    for name in _UNUSED:
        setattr(node, name, start_nothing)
    _put(_ENVIRONMENT)
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = was_cluster
        for name, method in were.items():
            setattr(node, name, method)
        _put(environment)


def _put(variables: Mapping[str, str | None]) -> None:
    """Sets variables of the environment, or takes them out of it."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder that only this user can enter; removed at the end.

    A process that is killed leaves its folder: the next one removes it, as its lock is gone.

    Raises:
        ClusterError: no folder with a path short enough for sockets can be made.
    """
    for base in _bases():
        _remove_abandoned(base)
        try:
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        except OSError:
            continue
        break
    else:
        tried = ", ".join(map(str, _bases())) or os.environ.get("TMPDIR", "none")
        raise ClusterError(
            "cannot start Ray on this machine: its sockets need a folder for temporary files with "
            f"a path of at most {_longest_base()} characters that can be written (tried: {tried}). "
            "Set RAY_TMPDIR to one, such as a new folder in /tmp, or do without Ray: "
            "--set cluster.executor=serial."
        )
    try:
        with closing(_Lock(folder)):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _bases() -> list[Path]:
    """Folders for temporary files whose paths leave room for a socket's, the best first."""
    named = [os.environ.get("RAY_TMPDIR"), tempfile.gettempdir(), "/tmp"]
    paths = dict.fromkeys(Path(name).absolute() for name in named if name)
    return [path for path in paths if len(os.fsencode(path)) <= _longest_base()]


def _longest_base() -> int:
    # mkdtemp adds eight characters to the prefix.
    name = f"/{_PREFIX}{'x' * 8}/{_LONGEST_SOCKET}"
    return _SOCKET_PATH_BYTES - len(name)


class _Lock:
    """Says that a folder is in use, for as long as this process lives."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        os.close(self._file)


def _remove_abandoned(base: Path) -> None:
    for folder in base.glob(f"{_PREFIX}*"):
        # In use, another user's, or gone by now.
        with suppress(OSError):
            found = folder.lstat()
            # A process that made one a moment ago may not have locked it yet.
            is_old = time.time() - found.st_mtime > _SETTLED_SECONDS
            if is_old and stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
                with closing(_Lock(folder)):
                    shutil.rmtree(folder, ignore_errors=True)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
