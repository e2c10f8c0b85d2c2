"""The folder of a Ray that a run starts, which must be short, private and gone afterwards."""

import fcntl
import os
import stat
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import ray
from offmanifold.cluster.local_ray import local_ray, private_folder
from offmanifold.cluster.ray_errors import ClusterError
from offmanifold.cluster.resources import WorkerResources
from ray.exceptions import RaySystemError, RpcError


@pytest.fixture
def base(monkeypatch):
    """A short folder for temporary files, in the place of the machine's."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        yield Path(folder)


def test_the_folder_is_private_and_removed(base):
    with private_folder() as folder:
        assert folder.parent == base
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "r").mkdir()
        (folder / "r" / "log").write_text("a log")
    assert not list(base.iterdir())


_NOBODY = 65534
_TRIED = 'ls "$0" || ls "$0/r" || cat "$0/r/log" || touch "$0/mine" || touch "$0/r/mine"'


@pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another user")
def test_another_user_can_neither_read_nor_write_in_it():
    with private_folder() as folder:
        (folder / "r").mkdir()
        # As open as Ray makes its own.
        (folder / "r").chmod(0o777)
        (folder / "r" / "log").write_text("a log")
        done = subprocess.run(
            ["/bin/sh", "-c", _TRIED, str(folder)],
            user=_NOBODY,
            group=_NOBODY,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode != 0
    assert not done.stdout
    assert done.stderr.count("Permission denied") == 5, done.stderr


def test_a_socket_fits_however_long_the_users_own_folder(monkeypatch, tmp_path):
    long = tmp_path / ("n" * 60)
    long.mkdir()
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with private_folder() as folder:
        assert not folder.is_relative_to(long)
        socket = "r/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
        assert len(os.fsencode(folder / socket)) <= 107


@pytest.mark.parametrize(
    "raised",
    [
        RaySystemError("no GCS"),
        RpcError("gone"),
        OSError("full"),
        Exception("The current node timed out during startup."),
    ],
)
def test_a_ray_that_ends_while_it_starts_is_told_with_a_remedy(base, monkeypatch, raised):
    def init(**_):
        raise raised

    monkeypatch.setattr(ray, "init", init)
    refusal = r"cannot start Ray on this machine: .*run the same command again"
    with pytest.raises(ClusterError, match=refusal), local_ray(WorkerResources(workers=1)):
        pass
    assert not list(base.iterdir())


def test_without_a_folder_that_can_be_written_the_remedy_is_told(monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(ClusterError, match="Set RAY_TMPDIR to one"), private_folder():
        pass


def test_what_killed_processes_left_goes_and_what_others_use_stays(base):
    abandoned, used, new = (base / f"om-ray-{name}" for name in ("a", "b", "c"))
    for folder in (abandoned, used, new):
        folder.mkdir()
        (folder / "lock").touch()
    hour_ago = time.time() - 3600
    with ExitStack() as stack:
        lock = stack.enter_context((used / "lock").open("r+"))
        fcntl.flock(lock, fcntl.LOCK_EX)
        for folder in (abandoned, used):
            os.utime(folder, (hour_ago, hour_ago))
        with private_folder():
            assert not abandoned.exists()
            assert used.exists()
            assert new.exists()
