"""Processes that tests start, watch and end."""

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def start_driver(root, address, shards, items, seconds, *killers, environment, folder):
    """``driver.py`` on a run, from a folder that is not ours."""
    arguments = [root, address, shards, items, seconds, *killers]
    return subprocess.Popen(
        [sys.executable, HERE / "driver.py", *map(str, arguments)],
        env=environment,
        # Workers must find the package and the shards all the same.
        cwd=folder,
        # A shell's background jobs, and so perhaps this test, ignore interrupts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def is_alive(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)
