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
    """What docs/clusters.md tells a user to do once."""
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


def python_without_spaces(scratch: Path) -> Path:
    """Our Python under a path that holds no space, from which alone Ray can start its parts."""
    link = scratch / "venv"
    if not link.exists():
        link.symlink_to(Path(sys.executable).parents[1])
    return link / "bin" / "python"


@contextlib.contextmanager
def head_with_dashboard(
    environment: Mapping[str, str],
    scratch: Path,
    host: str = "127.0.0.1",
    port: int = 0,
    cpus: int = 2,
    session: Path | None = None,
    agent_port: int | None = None,
) -> Iterator[str]:
    """Starts a head; where its dashboard listens. Its session lies in ``session``, or anywhere.

    The node's agent listens on ``agent_port``, or anywhere.
    """
    python = python_without_spaces(scratch)
    # The job's Python is found on the path; ours must not lead to the checkout.
    found = {**environment, "PATH": f"{python.parent}{os.pathsep}{environment['PATH']}"}
    found.pop("PYTHONPATH", None)
    elsewhere = () if host == "127.0.0.1" else (f"--node-ip-address={host}",)
    with contextlib.ExitStack() as undo:
        folder = session or undo.enter_context(session_folder())
        process = subprocess.Popen(
            [
                *(python, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
                *(f"--port={port}", f"--num-cpus={cpus}", *elsewhere),
                *(f"--dashboard-host={host}", f"--dashboard-port={free_port()}"),
                *("--disable-usage-stats", f"--temp-dir={folder}"),
                *(
                    f"--dashboard-agent-listen-port={agent_port or free_port()}",
                    f"--ray-client-server-port={free_port()}",
                ),
            ],
            env=found | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        undo.callback(_end, process)
        yield _dashboard(process, host)


@contextlib.contextmanager
def session_folder() -> Iterator[Path]:
    """A folder for a session; Ray's sockets lie under it, and their paths are 107 long at most."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _dashboard(process: "subprocess.Popen[str]", host: str) -> str:
    printed = ""
    assert process.stdout is not None
    for line in process.stdout:
        printed += line
        if address := re.search(rf"http://{re.escape(host)}:\d+", line):
            return address[0]
    raise AssertionError(printed)


def _end(process: "subprocess.Popen[str]") -> None:
    family = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    process.communicate(timeout=60)
    for child in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.send_signal(signal.SIGKILL)
