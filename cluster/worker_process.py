"""The process of one worker: a Ray actor that holds it, does its steps and shows that it lives."""

import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Sequence

import ray
from ray import cloudpickle

from .broken_worker import BrokenWorkerError
from .executor import AssembleStep, Report, Step, Worker

HEARTBEAT_GROUP = "heartbeat"


class WorkerProcess:
    """The actor. It is made empty, so that an error of the factory arrives as an ordinary one.

    Steps run on one thread, and heartbeats are answered on another.
    """

    def __init__(self) -> None:
        self._worker: Worker | None = None
        self._clock: int | None = None

    def start(self, import_paths: Sequence[str], pickled_factory: bytes) -> tuple[str, str]:
        """Make the worker; the id of the node that it lives on, and its process as host:pid."""
        self._clock = time.pthread_getcpuclockid(threading.get_ident())
        # The factory is unpickled only here, where the user's own modules can be found.
        sys.path[:0] = import_paths
        self._worker = cloudpickle.loads(pickled_factory)()
        node_id = str(ray.get_runtime_context().get_node_id())
        return node_id, f"{socket.gethostname()}:{os.getpid()}"

    def perform(self, pickled_step: bytes) -> Report:
        """Run one step; a worker that is broken takes its process with it."""
        if self._worker is None:
            raise RuntimeError("the worker was given work before it was started")
        self._clock = time.pthread_getcpuclockid(threading.get_ident())
        step: Step | AssembleStep = cloudpickle.loads(pickled_step)
        try:
            return step.perform(self._worker)
        except BrokenWorkerError:
            traceback.print_exc()
            sys.stderr.flush()
            # Alive, it would take shard after shard and fail them all.
            os._exit(1)

    @ray.method(concurrency_group=HEARTBEAT_GROUP)
    def heartbeat(self) -> tuple[float, float]:
        """CPU seconds of the thread that works, and how many items of its step are done.

        The seconds stand still while it waits for something. No answer comes from a process that is
        stopped, or whose interpreter is held.
        """
        seconds = 0.0 if self._clock is None else time.clock_gettime(self._clock)
        return seconds, 0.0 if self._worker is None else self._worker.done
