"""Hosts of their own on this machine: network namespaces on a bridge, whose links can be cut."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .cluster.processes import wait_for
from .ray_head import python_without_spaces

_NETWORK = "10.213.0"
_BRIDGE = "offm0"
# This side of the bridge.
HERE = f"{_NETWORK}.1"
# Where a head on it listens.
PORT = 6399
# A node that is out of reach is given up after some seconds, rather than a minute. One that starts
# on a busy machine answers late at first.
IMPATIENT = {
    "RAY_health_check_initial_delay_ms": "15000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "4",
}


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def may_make_hosts() -> bool:
    """Whether this process may make network namespaces: root, most often."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    made = subprocess.run(["ip", "netns", "add", "offm-try"], capture_output=True, check=False)
    if made.returncode == 0:
        _ip("netns", "delete", "offm-try")
    return made.returncode == 0


@contextlib.contextmanager
def hosts(numbers: Sequence[int]) -> Iterator[None]:
    """A host for each number, which is the last one of its address; all see one another and us."""
    with contextlib.ExitStack() as undo:
        _ip("link", "add", _BRIDGE, "type", "bridge")
        undo.callback(_ip, "link", "delete", _BRIDGE)
        _ip("address", "add", f"{HERE}/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")
        for number in numbers:
            name, link = _name(number), _link(number)
            _ip("netns", "add", name)
            undo.callback(_ip, "netns", "delete", name)
            _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
            undo.callback(_ip, "link", "delete", link)
            _ip("link", "set", link, "master", _BRIDGE, "up")
            _ip("-n", name, "address", "add", f"{_NETWORK}.{number}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")
        yield


def _name(number: int) -> str:
    return f"offm{number}"


def _link(number: int) -> str:
    return f"veth{number}"


def on(number: int) -> list[str]:
    """What makes the command that follows run on that host."""
    return ["ip", "netns", "exec", _name(number)]


def cut(number: int) -> None:
    """Cuts a host off."""
    _ip("link", "set", _link(number), "down")


def heal(number: int) -> None:
    """Undoes `cut`."""
    _ip("link", "set", _link(number), "up")


class Nodes:
    """`ray start --block` on hosts, each a node with one CPU of the cluster at ``address``.

    What they print is kept in ``folder``, and so is what each sees in place of the head's
    ``session``: a node that ends deletes what it unpacked there, which must not be another's.
    """

    def __init__(
        self, folder: Path, session: Path, address: str, environment: Mapping[str, str]
    ) -> None:
        self._folder, self._session = folder, session
        self._address, self._environment = address, environment
        self._started: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, number: int) -> None:
        """Starts a node, and waits until the cluster has it."""
        alive = self.how_many_are_alive()
        python, log = python_without_spaces(self._folder), self._folder / f"node-{number}.log"
        own = self._folder / f"host-{number}"
        own.mkdir(exist_ok=True)
        with log.open("w") as file:
            process = subprocess.Popen(
                [
                    # Each command on a host has its mounts for itself.
                    *(*on(number), "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"'),
                    *(own, self._session, python, "-m", "ray.scripts.scripts", "start", "--block"),
                    *(f"--address={self._address}", f"--node-ip-address={_NETWORK}.{number}"),
                    *("--num-cpus=1", "--disable-usage-stats"),
                ],
                env=self._environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started[number] = process

        def joined() -> bool:
            assert process.poll() is None, log.read_text()
            return self.how_many_are_alive() > alive

        wait_for(joined, 120)

    def lose(self, number: int) -> None:
        """Cuts a node off until the cluster has given it up; when it hears of that, it ends."""
        alive = self.how_many_are_alive()
        cut(number)
        wait_for(lambda: self.how_many_are_alive() < alive, 60)
        heal(number)
        self._started[number].wait(timeout=60)

    def how_many_are_alive(self) -> int:
        """How many nodes the cluster has, the head included."""
        count = (
            "import ray, sys; ray.init(sys.argv[1], logging_level='ERROR'); "
            "print(sum(node['Alive'] for node in ray.nodes()))"
        )
        done = subprocess.run(
            [sys.executable, "-c", count, self._address],
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=60,
        )
        return int(done.stdout)

    def end(self) -> None:
        """Ends every node that was started."""
        for process in self._started.values():
            process.terminate()
        for process in self._started.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=40)
            process.kill()
