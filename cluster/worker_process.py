"""The process of one worker: a Ray actor that holds it, does its steps and shows that it lives."""

import os
import socket
import sys
import threading
import time
from collections.abc import Sequence

import ray
from ray import cloudpickle

from .executor import AssembleStep, Report, Step, Worker
from .places import Place

HEARTBEAT_GROUP = "heartbeat"


class WorkerProcess:
    """The actor. It is made empty, so that an error of the factory arrives as an ordinary one.

    Steps run on one thread, and heartbeats are answered on another.
    """

    def __init__(self) -> None:
        self._worker: Worker | None = None
        self._clock: int | None = None

    def where(self) -> tuple[Place, str]:
        """Where Ray has put this process, which is asked before it does anything; and host:pid."""
        context = ray.get_runtime_context()
        gpus = context.get_accelerator_ids().get("GPU", [])
        host = socket.gethostname()
        place = Place(str(context.get_node_id()), host, tuple(sorted(map(str, gpus))))
        return place, f"{host}:{os.getpid()}"

    def start(self, import_paths: Sequence[str], pickled_factory: bytes) -> None:
        """Make the worker."""
        self._clock = time.pthread_getcpuclockid(threading.get_ident())
        # The factory is unpickled only here, where the user's own modules can be found.
        sys.path[:0] = import_paths
        self._worker = cloudpickle.loads(pickled_factory)()

    def perform(self, pickled_step: bytes) -> Report:
        """Run one step."""
        if self._worker is None:
            raise RuntimeError("the worker was given work before it was started")
        self._clock = time.pthread_getcpuclockid(threading.get_ident())
        step: Step | AssembleStep = cloudpickle.loads(pickled_step)
        return step.perform(self._worker)

    @ray.method(concurrency_group=HEARTBEAT_GROUP)
    def heartbeat(self) -> tuple[float, float]:
        """CPU seconds of the thread that works, and how many items of its step are done.

        The seconds stand still while it waits for something. No answer comes from a process that is
        stopped, or whose interpreter is held.
        """
        seconds = 0.0 if self._clock is None else time.clock_gettime(self._clock)
        return seconds, 0.0 if self._worker is None else self._worker.done
