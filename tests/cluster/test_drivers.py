"""Whole drivers in processes of their own: killed, raced, interrupted, joining a cluster."""

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from offmanifold.cluster.local_storage import LocalStorage

from .processes import is_alive, start_driver, wait_for

# Each starts a Ray, and two cores are too few for two at once.
pytestmark = pytest.mark.xdist_group("ray")

HERE = Path(__file__).parent


@pytest.fixture
def storage(tmp_path):
    return LocalStorage.create(tmp_path / "run")


@pytest.fixture
def environment(tmp_path):
    """A home of its own, so that no token and no cluster of the developer's is touched."""
    (tmp_path / "home").mkdir()
    hidden = {"RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}
    kept = {key: value for key, value in os.environ.items() if key not in hidden}
    return kept | {"HOME": str(tmp_path / "home"), "PYTHONFAULTHANDLER": "1"}


@pytest.fixture
def driver(storage, environment, tmp_path):
    """Starts drivers; ends what is left of them."""
    started: list[subprocess.Popen[str]] = []

    def start(shards, items, seconds, *killers, address="local", **extra):
        process = start_driver(
            *(storage.root, address, shards, items, seconds, *killers),
            environment=environment | extra,
            folder=tmp_path,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def rows(storage):
    sys.path.insert(0, str(HERE))
    try:
        from shards import rows_of
    finally:
        sys.path.remove(str(HERE))
    return rows_of(storage)


def descendants(pid):
    """All processes under ``pid``, from /proc."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = status.read_text().rpartition(")")[2].split()
            parents[int(status.parent.name)] = int(fields[1])
    found: set[int] = set()
    frontier = {pid}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier} - found
        found |= frontier
    return found


def title(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def finish(process, seconds=150):
    output, errors = process.communicate(timeout=seconds)
    assert process.returncode == 0, errors
    assert output.splitlines()[-1] == "complete"
    return output


@pytest.mark.slow
@pytest.mark.ci
def test_a_killed_driver_takes_its_ray_along_and_a_second_one_resumes(driver, storage, environment):
    first = driver(6, 4, 0.1)
    wait_for(lambda: len(storage.list_names("stage")) >= 2, 60)
    token = Path(environment["HOME"]) / ".ray" / "auth_token"
    assert token.stat().st_mode & 0o777 == 0o600
    # Ray's two agents wait for a minute whether the head comes back; they hold nothing up.
    family = {pid for pid in descendants(first.pid) if "Agent" not in title(pid)}
    first.kill()
    first.wait()
    before = {name: storage.read(f"stage/{name}") for name in storage.list_names("stage")}
    assert 2 <= len(before) < 6

    finish(driver(6, 4, 0.1))
    assert {name: storage.read(f"stage/{name}") for name in before} == before
    assert rows(storage) == dict.fromkeys(range(24), "ok")
    # Ray's server and raylet, and two workers.
    assert len(family) >= 4
    wait_for(lambda: not any(map(is_alive, family)), 30)


@pytest.mark.slow
@pytest.mark.ci
def test_two_drivers_at_once_double_nothing(driver, storage):
    both = [driver(10, 2, 0.05), driver(10, 2, 0.05)]
    outputs = [finish(process) for process in both]
    assert rows(storage) == dict.fromkeys(range(20), "ok")
    assert sum(output.count("published=True") for output in outputs) == 10


@pytest.mark.slow
@pytest.mark.ci
def test_ctrl_c_ends_a_driver_within_seconds(driver, storage):
    process = driver(2, 1, 60)
    wait_for(lambda: storage.list_names("workers"), 60)
    family = descendants(process.pid)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert time.monotonic() - begin < 10
    assert "KeyboardInterrupt" in errors
    wait_for(lambda: not any(map(is_alive, family)), 10)


@pytest.mark.slow
def test_random_deaths_of_drivers_and_workers_change_no_row(driver, storage):
    randomness = random.Random(0)
    for _ in range(3):
        process = driver(30, 4, 0.05, 50)
        connected = process.stdout.readline()
        assert connected == "connected\n"
        time.sleep(randomness.uniform(1, 4))
        for name in storage.list_names("workers"):
            if int(name) in descendants(process.pid) and randomness.random() < 0.5:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(name), signal.SIGKILL)
        time.sleep(randomness.uniform(0, 2))
        process.kill()
        process.communicate()
    finish(driver(30, 4, 0.05, 50))
    found = rows(storage)
    assert "worker process has died" in found.pop(50)
    assert found == {item: "ok" for item in range(120) if item != 50}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def head(environment, tmp_path):
    """A cluster as `ray start --head` makes it; a function that starts it, its address."""
    started: list[subprocess.Popen[str]] = []
    # Ray cannot start its server for ray:// with a Python whose path holds a space, and --block
    # ends the whole head when one part dies. This path to the same environment holds none.
    (tmp_path / "venv").symlink_to(Path(sys.executable).parents[1])
    python = tmp_path / "venv" / "bin" / Path(sys.executable).name

    def start():
        process = subprocess.Popen(
            [
                *(python, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
                *("--port=0", "--num-cpus=2", "--include-dashboard=false"),
                *("--disable-usage-stats", f"--temp-dir={temporary}"),
                f"--ray-client-server-port={free_port()}",
            ],
            env=environment | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        printed = ""
        assert process.stdout is not None
        for line in process.stdout:
            printed += line
            if address := re.search(r"--address='([\d.]+:\d+)'", line):
                return address[1]
        raise AssertionError(printed)

    # Ray's sockets lie under this folder, and their paths may have 107 characters only.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as temporary:
        yield start
        for process in started:
            family = descendants(process.pid)
            process.terminate()
            process.communicate(timeout=60)
            for pid in filter(is_alive, family):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def make_token(environment):
    subprocess.run(
        [sys.executable, "-m", "ray.scripts.scripts", "get-auth-token", "--generate"],
        env=environment,
        check=True,
        capture_output=True,
    )


@pytest.mark.slow
@pytest.mark.ci
def test_a_cluster_with_a_token_is_joined_and_left_running(
    head, driver, storage, environment, tmp_path
):
    make_token(environment)
    address = head()
    finish(driver(2, 3, 0.0, address=address))
    assert rows(storage) == dict.fromkeys(range(6), "ok")
    # It still runs: a second driver finds it, and has nothing to do.
    finish(driver(2, 3, 0.0, address=address))

    (tmp_path / "stranger").mkdir()
    stranger = driver(3, 3, 0.0, address=address, HOME=str(tmp_path / "stranger"))
    _, errors = stranger.communicate(timeout=200)
    assert "rejects the token, or none was found" in errors.splitlines()[-1]
    assert len(rows(storage)) == 6


@pytest.mark.slow
def test_a_cluster_without_a_token_is_joined_too(head, driver, storage, environment):
    address = head()
    make_token(environment)
    finish(driver(2, 3, 0.0, address=address))
    assert rows(storage) == dict.fromkeys(range(6), "ok")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "patience"),
    [
        # Ray's own patience is half a minute.
        pytest.param("127.0.0.1:1", {"RAY_py_gcs_connect_timeout_s": "3"}, marks=pytest.mark.ci),
        ("127.0.0.1:1", {}),
        ("nonsense", {}),
    ],
)
def test_a_cluster_that_is_not_there_is_an_error_in_bounded_time(driver, address, patience):
    begin = time.monotonic()
    _, errors = driver(1, 1, 0.0, address=address, **patience).communicate(timeout=200)
    assert time.monotonic() - begin < 150
    assert f"ClusterError: cannot join the Ray cluster at {address}" in errors.splitlines()[-1]


_LOCAL_RAY = """if True:
    import ray
    from offmanifold.cluster.ray_session import ray_session
    from offmanifold.cluster.resources import WorkerResources
    with ray_session(None, WorkerResources(workers=1)):
        print(ray.get_runtime_context().gcs_address, flush=True)
        input()
"""


def health(address, environment):
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    # Ray's command would else ask at the machine's own address, where a local Ray does not listen.
    loopback = environment | {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    return subprocess.run(command, env=loopback, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.ci
def test_the_local_ray_wants_a_token_that_nobody_reads_whatever_the_environment_says(
    environment, tmp_path
):
    token = Path(environment["HOME"]) / ".ray" / "auth_token"
    make_token(environment)
    token.chmod(0o644)
    open_mode = environment | {"RAY_AUTH_MODE": "disabled"}
    with subprocess.Popen(
        [sys.executable, "-c", _LOCAL_RAY],
        # Nor does it take an address.
        env=open_mode | {"RAY_ADDRESS": "127.0.0.1:1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert token.stat().st_mode & 0o777 == 0o600
        (tmp_path / "stranger").mkdir()
        stranger = open_mode | {"HOME": str(tmp_path / "stranger")}
        owner = environment | {"RAY_AUTH_MODE": "token"}
        refused, welcome = health(address, stranger), health(address, owner)
        _, errors = process.communicate("\n")
    assert process.returncode == 0, errors
    assert f"other users could read the token in {token}" in errors
    assert welcome.returncode == 0, welcome.stderr
    assert refused.returncode != 0
    assert "InvalidAuthToken" in refused.stderr
