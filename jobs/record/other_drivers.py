"""Two drivers on one run: no row is harmed, and whoever comes second is told of the first.

Every driver leaves a small file in the run's ``_drivers`` folder while it works, and renews it. A
driver that is killed leaves its file behind, which soon says that nobody has renewed it.
"""

import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...cluster.storage import Storage, StorageError

logger = logging.getLogger(__name__)

_FOLDER = "_drivers"
_RENEWED_SECONDS = 20.0
# Three renewals missed, and what the clocks of two machines may differ.
_PRESENT_SECONDS = 90.0


@contextmanager
def announced(storage: Storage) -> Iterator[None]:
    """Say in the run directory that this driver is at work, after a warning about others.

    Raises:
        StorageError: the run directory cannot be written.
    """
    name = f"{_FOLDER}/{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}.json"
    # First our own, then the look at others: of two that start at once, one sees the other.
    since = time.time()
    _renew(storage, name, since)
    for other in _others(storage, name):
        logger.warning(
            "another driver is working on this run: process %s on %s, since %s. The rows stay "
            "correct, because the first to finish a shard wins, but much work is done twice: "
            "stop one of them",
            other["pid"],
            other["host"],
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(other["since"])),
        )
    ended = threading.Event()
    thread = threading.Thread(
        target=_keep_renewing, args=(storage, name, since, ended), daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        storage.delete(name)


def _renew(storage: Storage, name: str, since: float) -> None:
    content = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": since,
        "seen": time.time(),
    }
    storage.write(name, json.dumps(content).encode())


def _keep_renewing(storage: Storage, name: str, since: float, ended: threading.Event) -> None:
    while not ended.wait(_RENEWED_SECONDS):
        try:
            _renew(storage, name, since)
        except StorageError as error:
            # Only a later driver would miss it; the run itself meets a broken disk soon enough.
            logger.warning("%s", error)


def _others(storage: Storage, mine: str) -> list[dict[str, Any]]:
    """What the other drivers that are present say of themselves; old files are removed."""
    present = []
    for name in storage.list_names(_FOLDER):
        path = f"{_FOLDER}/{name}"
        if path == mine:
            continue
        try:
            content = json.loads(storage.read(path))
            recent = time.time() - content["seen"] < _PRESENT_SECONDS
        except (StorageError, ValueError, KeyError, TypeError):
            # It has just ended, or is no driver's file.
            continue
        if recent:
            present.append(content)
        else:
            storage.delete(path)
    return present
