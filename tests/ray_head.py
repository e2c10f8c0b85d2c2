"""A cluster of its own for tests, as `ray start --head` makes it; ended by its process ids."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil


def clean_environment(home: Path) -> dict[str, str]:
    """A home of its own, so that no token and no cluster of the developer's is touched."""
    hidden = {"RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}
    kept = {key: value for key, value in os.environ.items() if key not in hidden}
    home.mkdir(parents=True, exist_ok=True)
    return kept | {"HOME": str(home)}


def make_token(environment: Mapping[str, str]) -> None:
    """What the README tells a user to do once."""
    ray = [sys.executable, "-m", "ray.scripts.scripts"]
    subprocess.run(
        [*ray, "get-auth-token", "--generate"], env=environment, check=True, capture_output=True
    )


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def head_with_dashboard(environment: Mapping[str, str], scratch: Path) -> Iterator[str]:
    """Starts a head with two CPUs; where its dashboard listens."""
    # Ray cannot start its parts with a Python whose path holds a space; this path holds none.
    (scratch / "venv").symlink_to(Path(sys.executable).parents[1])
    folder = scratch / "venv" / "bin"
    # The job's Python is found on the path; ours must not lead to the checkout.
    found = {**environment, "PATH": f"{folder}{os.pathsep}{environment['PATH']}"}
    found.pop("PYTHONPATH", None)
    # Ray's sockets lie under this folder, and their paths may have 107 characters only.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as temporary:
        process = subprocess.Popen(
            [
                *(folder / "python", "-m", "ray.scripts.scripts", "start", "--head", "--block"),
                *("--port=0", "--num-cpus=2", f"--dashboard-port={free_port()}"),
                *("--disable-usage-stats", f"--temp-dir={temporary}"),
                *(
                    f"--dashboard-agent-listen-port={free_port()}",
                    f"--ray-client-server-port={free_port()}",
                ),
            ],
            env=found | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield _dashboard(process)
        finally:
            _end(process)


def _dashboard(process: "subprocess.Popen[str]") -> str:
    printed = ""
    assert process.stdout is not None
    for line in process.stdout:
        printed += line
        if address := re.search(r"(http://)?(127\.0\.0\.1:\d+)", line):
            return f"http://{address[2]}"
    raise AssertionError(printed)


def _end(process: "subprocess.Popen[str]") -> None:
    family = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    process.communicate(timeout=60)
    for child in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.send_signal(signal.SIGKILL)
