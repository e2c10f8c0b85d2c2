"""A second real S3 service for tests: Ceph's radosgw, from Debian's packages, all in memory.

One monitor, one storage daemon and one gateway, on loopback, as whoever runs the tests:
``apt-get install ceph-mon ceph-osd radosgw``. They start in about 15 seconds.
"""

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .object_store import OWNER, READER, ObjectStore, await_store, free_ports

PROGRAMS = (
    "ceph",
    "ceph-authtool",
    "ceph-mon",
    "ceph-osd",
    "monmaptool",
    "radosgw",
    "radosgw-admin",
)

_CONFIGURATION = """\
[global]
fsid = {cluster}
keyring = {folder}/keyring
mon host = {address}
public addr = 127.0.0.1
ms bind ipv6 = false
run dir = {folder}
crash dir = {folder}
admin socket =
pid file =
log file = {folder}/$name.log
mon data = {folder}/mon
mon data avail warn = 0
mon data avail crit = 0
mon allow pool size one = true
osd data = {folder}/osd
osd objectstore = memstore
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd crush chooseleaf type = 0
rgw data = {folder}/gateway
rgw frontends = beast endpoint=127.0.0.1:{gateway}
"""
_MONITOR_AND_STORAGE = ("--cap", "mon", "allow *", "--cap", "osd", "allow *")
_RIGHTS = {
    "mon.": ("--cap", "mon", "allow *"),
    "client.admin": _MONITOR_AND_STORAGE,
    "client.gateway": _MONITOR_AND_STORAGE,
    "osd.0": ("--cap", "mon", "allow profile osd", "--cap", "osd", "allow *"),
}


def missing_programs() -> list[str]:
    """What of Ceph is not installed here."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


@contextmanager
def ceph_store(folder: Path) -> Iterator[ObjectStore]:
    """A Ceph that keeps its logs in ``folder``, its objects in memory, and ends with the block."""
    monitor, gateway = free_ports(2)
    address, cluster = f"v2:127.0.0.1:{monitor}", str(uuid.uuid4())
    configuration = _CONFIGURATION.format(
        cluster=cluster, folder=folder, address=address, gateway=gateway
    )
    (folder / "ceph.conf").write_text(configuration)
    ceph = _Ceph(folder)
    try:
        ceph.start_monitor(address, cluster)
        ceph.start_storage()
        ceph.make_users()
        process = ceph.start("radosgw", "-n", "client.gateway", "-f")
        store = ObjectStore(f"http://127.0.0.1:{gateway}")
        await_store(store, process, folder / "client.gateway.log")
        yield store
    finally:
        ceph.kill()


class _Ceph:
    """The processes of one cluster."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {**os.environ, "CEPH_CONF": str(folder / "ceph.conf")}
        self._processes: list[subprocess.Popen[bytes]] = []
        for name in ("mon", "osd", "gateway"):
            (folder / name).mkdir()

    def start_monitor(self, address: str, cluster: str) -> None:
        keys, monitors = str(self._folder / "keyring"), str(self._folder / "monitors")
        self.run("ceph-authtool", keys, "--create-keyring")
        for name, rights in _RIGHTS.items():
            self.run("ceph-authtool", keys, "--gen-key", "-n", name, *rights)
        self.run(
            "monmaptool", monitors, "--create", "--fsid", cluster, "--addv", "a", f"[{address}]"
        )
        self.run("ceph-mon", "-i", "a", "--mkfs", "--keyring", keys, "--monmap", monitors)
        self.start("ceph-mon", "-i", "a", "-f")

    def start_storage(self) -> None:
        identity = str(uuid.uuid4())
        self.run("ceph", "osd", "new", identity, "0")
        self.run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", identity)
        self.start("ceph-osd", "-i", "0", "-f")

    def make_users(self) -> None:
        """The owner, and a user under it who may only read."""
        owner = ("--uid", "owner", "--access-key", OWNER[0], "--secret-key", OWNER[1])
        self.run("radosgw-admin", "user", "create", *owner, "--display-name", "owner")
        reader = ("--subuser", "owner:reader", "--access", "read", "--key-type", "s3")
        keys = ("--access-key", READER[0], "--secret-key", READER[1])
        self.run("radosgw-admin", "subuser", "create", "--uid", "owner", *reader, *keys)

    def run(self, *command: str) -> None:
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, (command, done.stderr)

    def start(self, *command: str) -> "subprocess.Popen[bytes]":
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command, env=self._environment, stdout=quiet, stderr=quiet)
        self._processes.append(process)
        return process

    def kill(self) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()
