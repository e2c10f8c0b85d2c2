"""A link between nodes is cut in the middle of a run, and heals: nodes in network namespaces."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from .processes import wait_for
from .test_chaos import ITEMS, Run, environment, own

__all__ = ["environment", "own"]

NETWORK = "10.213.0"
BRIDGE = "offm0"
NODES = (2, 3)
# With both nodes a minute of work, which two cuts and two new nodes do not outlast.
SHARDS = 150


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def may_make_networks():
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    made = subprocess.run(["ip", "netns", "add", "offm-try"], capture_output=True, check=False)
    if made.returncode == 0:
        ip("netns", "delete", "offm-try")
    return made.returncode == 0


@pytest.fixture
def network():
    """A bridge, and a namespace on it for each node; the head is on this side of the bridge."""
    with contextlib.ExitStack() as undo:
        ip("link", "add", BRIDGE, "type", "bridge")
        undo.callback(ip, "link", "delete", BRIDGE)
        ip("address", "add", f"{NETWORK}.1/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        for node in NODES:
            name = f"offm{node}"
            ip("netns", "add", name)
            undo.callback(ip, "netns", "delete", name)
            ip("link", "add", f"veth{node}", "type", "veth", "peer", "name", "eth0", "netns", name)
            undo.callback(ip, "link", "delete", f"veth{node}")
            ip("link", "set", f"veth{node}", "master", BRIDGE, "up")
            ip("-n", name, "address", "add", f"{NETWORK}.{node}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield


class Nodes:
    """`ray start --block` of the head and, each in its namespace, of the nodes."""

    def __init__(self, environment, folder):
        # A node that is out of reach is given up after 3 seconds, rather than a minute.
        self._environment = environment | {
            "RAY_health_check_initial_delay_ms": "0",
            "RAY_health_check_period_ms": "500",
            "RAY_health_check_timeout_ms": "1000",
            "RAY_health_check_failure_threshold": "4",
        }
        self._folder = folder
        self._started = []

    def start(self, prefix, *arguments):
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
        process = subprocess.Popen(
            [*prefix, *command, "--disable-usage-stats", *arguments],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def start_head(self):
        self.start(
            [],
            *("--head", "--port=6399", f"--node-ip-address={NETWORK}.1", "--num-cpus=0"),
            *("--include-dashboard=false", f"--temp-dir={self._folder}"),
        )
        return f"{NETWORK}.1:6399"

    def start_node(self, node, address):
        """Starts a node, and waits for it: two at once would take each other's socket's name."""
        alive = how_many_are_alive(address, self._environment)
        process = self.start(
            ["ip", "netns", "exec", f"offm{node}"],
            *(f"--address={address}", f"--node-ip-address={NETWORK}.{node}", "--num-cpus=1"),
        )
        wait_for(lambda: how_many_are_alive(address, self._environment) > alive, 120)
        return process

    def end(self):
        for process in reversed(self._started):
            process.terminate()
        for process in self._started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=30)
            process.kill()


def is_up(address, environment):
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    return (
        subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0
    )


def how_many_are_alive(address, environment):
    count = (
        "import ray, sys; ray.init(sys.argv[1], logging_level='ERROR'); "
        "print(sum(node['Alive'] for node in ray.nodes()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", count, address],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not may_make_networks(), reason="needs the right to make network namespaces")
def test_a_link_that_is_cut_and_healed_changes_no_row(network, tmp_path, environment, own):  # noqa: ARG001
    run = Run(tmp_path, environment, shards=SHARDS, seconds=0.2)
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        nodes = Nodes(environment, Path(folder))
        try:
            address = nodes.start_head()
            wait_for(lambda: is_up(address, environment), 120)
            started = {node: nodes.start_node(node, address) for node in NODES}
            run.send_driver(address)
            run.wait_for_parts(2)
            for node in NODES:
                ip("link", "set", f"veth{node}", "down")
                run.faults["links cut"] += 1
                # Long enough for Ray to give the node up, while what runs there goes on.
                time.sleep(6)
                ip("link", "set", f"veth{node}", "up")
                # A node that was given up ends when it hears of it.
                started[node].wait(timeout=60)
                nodes.start_node(node, address)
                run.wait_for_parts(2)
            run.finish()
        finally:
            nodes.end()
    assert len(run.storage.list_names("stage")) * ITEMS == SHARDS * ITEMS
    run.check(own, tmp_path)
