"""Two drivers on one run: of two specs only one may go on; of one spec, the later is told.

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
from dataclasses import dataclass
from pathlib import Path

from ...cluster.storage import Storage, StorageError
from ...workers.json_file import MOST_NOTE_BYTES, parse_json

logger = logging.getLogger(__name__)

_FOLDER = "_drivers"
_RENEWED_SECONDS = 20.0
# Three renewals missed, and what the clocks of two machines may differ.
_PRESENT_SECONDS = 90.0


@dataclass(frozen=True)
class Driver:
    """A driver that is present: its process, and what it works for (see :func:`announced`)."""

    host: str
    pid: int
    since: float
    work: str

    def __str__(self) -> str:
        """For people."""
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"process {self.pid} on {self.host}, since {since}"


class Presence:
    """A driver's place among those of a run, as long as :func:`announced` lasts."""

    def __init__(self, storage: Storage, work: str) -> None:
        self._storage = storage
        self._work = work
        self._name = f"{_FOLDER}/{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}.json"
        self._since = time.time()

    def renew(self) -> None:
        """Says that it is still there.

        Raises:
            StorageError: the run directory cannot be written.
        """
        content = {
            "host": socket.gethostname(),
            "processes": _processes(),
            "pid": os.getpid(),
            "since": self._since,
            "seen": time.time(),
            "work": self._work,
        }
        self._storage.write(self._name, json.dumps(content).encode())

    def rivals(self) -> list[Driver]:
        """The drivers that are present and work for something else."""
        return [driver for driver in self._others() if driver.work != self._work]

    def warn_of_company(self) -> None:
        """Warns of the drivers that work for the same."""
        for driver in self._others():
            if driver.work == self._work:
                logger.warning(
                    "another driver is working on this run: %s. The rows stay correct, because the "
                    "first to finish a shard wins, but much work is done twice: stop one of them",
                    driver,
                )

    def leave(self) -> None:
        """Says that it is gone."""
        try:
            self._storage.delete(self._name)
        except StorageError as error:
            # What ended the run says more; the file is soon taken for that of a killed driver.
            logger.debug("the end of this driver could not be noted: %s", error)

    def _others(self) -> list[Driver]:
        """What the other drivers that are present say of themselves; old files are removed."""
        present = []
        for name in self._storage.list_names(_FOLDER):
            path = f"{_FOLDER}/{name}"
            if path == self._name:
                continue
            try:
                content = parse_json(self._storage.read(path, MOST_NOTE_BYTES))
                driver = Driver(
                    str(content["host"]),
                    int(content["pid"]),
                    float(content["since"]),
                    str(content.get("work", "")),
                )
                recent = time.time() - content["seen"] < _PRESENT_SECONDS
            except (StorageError, ValueError, LookupError, TypeError, AttributeError):
                # It has just ended, or is no driver's file.
                continue
            if recent and not _ended(driver, content.get("processes")):
                present.append(driver)
            else:
                self._storage.delete(path)
        return present


@contextmanager
def announced(storage: Storage, work: str = "") -> Iterator[Presence]:
    """Say in the run directory that this driver is at work, and warn of others at the same work.

    It says so before it looks at others: of two that start at once, one at least sees the other.

    Args:
        storage: the run directory.
        work: what two drivers that plan the same have in common, and no others.

    Raises:
        StorageError: the run directory cannot be written.
    """
    presence = Presence(storage, work)
    presence.renew()
    presence.warn_of_company()
    ended = threading.Event()
    thread = threading.Thread(target=_keep_renewing, args=(presence, ended), daemon=True)
    thread.start()
    try:
        yield presence
    finally:
        ended.set()
        thread.join()
        presence.leave()


def _keep_renewing(presence: Presence, ended: threading.Event) -> None:
    while not ended.wait(_RENEWED_SECONDS):
        try:
            presence.renew()
        except StorageError as error:
            # Only a later driver would miss it; the run itself meets a broken disk soon enough.
            logger.warning("%s", error)


def _processes() -> str | None:
    """Names the table of processes that this process is in: a machine's, or a container's."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def _ended(driver: Driver, processes: object) -> bool:
    """Whether a driver is known to have been killed: its process would be here, and is not."""
    here = _processes()
    if here is None or processes != here:
        return False
    try:
        os.kill(driver.pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False
