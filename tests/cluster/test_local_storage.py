import errno
import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.cluster.storage import StorageError


@pytest.fixture
def storage(tmp_path):
    return LocalStorage.create(tmp_path / "run")


def everything_in(root):
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def run_python(code, *arguments):
    """Run ``code`` in a process of its own; its standard output."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_of_two_processes_at_once_exactly_one_wins(storage):
    code = """if True:
        import sys, time
        from pathlib import Path
        from offmanifold.cluster.local_storage import LocalStorage
        storage = LocalStorage(Path(sys.argv[1]))
        time.sleep(max(0.0, float(sys.argv[3]) - time.time()))
        won = [storage.publish(f"s/{i}", sys.argv[2].encode()) for i in range(200)]
        print(sum(won))"""
    begin = time.time() + 1
    with ThreadPoolExecutor(2) as pool:
        won = list(pool.map(lambda name: int(run_python(code, storage.root, name, begin)), "ab"))
    names = storage.list_names("s")
    assert sum(won) == len(names) == 200
    by_first = sum(storage.read(f"s/{name}") == b"a" for name in names)
    assert won == [by_first, 200 - by_first]


def test_what_a_killed_writer_left_is_no_part_and_is_removed(storage, tmp_path):
    frame = pd.DataFrame({"image_id": ["a", "b"]})
    frame.to_parquet(tmp_path / "part")
    storage.publish("likelihood/part-1.parquet", (tmp_path / "part").read_bytes())
    code = """if True:
        import os, signal, sys
        from pathlib import Path
        from offmanifold.cluster.local_storage import LocalStorage
        os.link = lambda *names: os.kill(os.getpid(), signal.SIGKILL)  # the worst moment
        LocalStorage(Path(sys.argv[1])).publish("likelihood/part-2.parquet", b"half a part")"""
    with pytest.raises(subprocess.CalledProcessError):
        run_python(code, storage.root)
    assert len(everything_in(storage.root)) == 2

    assert storage.list_names("likelihood") == ["part-1.parquet"]
    assert pd.read_parquet(storage.root / "likelihood").image_id.tolist() == ["a", "b"]
    assert storage.remove_stale("likelihood") == 0
    assert storage.remove_stale("likelihood", older_than=-1.0) == 1
    assert everything_in(storage.root) == ["likelihood/part-1.parquet"]


def test_a_writer_whose_temporary_was_cleaned_away_writes_it_again(storage, monkeypatch):
    link = os.link
    removed: list[int] = []

    def clean_first(source, target):
        if not removed:
            removed.append(storage.remove_stale("s", older_than=-1.0))
        link(source, target)

    monkeypatch.setattr(os, "link", clean_first)
    assert storage.publish("s/part", b"rows")
    assert removed == [1]
    assert everything_in(storage.root) == ["s/part"]


def test_a_file_system_without_hard_links(storage, monkeypatch):
    def no_links(*_names):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    assert storage.publish("s/part", b"first")
    assert not storage.publish("s/part", b"second")
    assert storage.read("s/part") == b"first"
    assert everything_in(storage.root) == ["s/part"]


def test_a_full_disk_is_explained_and_leaves_nothing_behind(storage):
    # A real refusal by the kernel, which needs no rights to bring about: a limit on file sizes.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(StorageError, match=r"s/part: File too large\..*free some space"):
            storage.publish("s/part", b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert everything_in(storage.root) == []
    assert storage.publish("s/part", b"x" * 100_000)


def test_a_read_only_folder_is_explained():
    # Nobody may make folders in /sys, root included.
    with pytest.raises(StorageError, match=r"cannot create /sys/kernel/run: .*choose another"):
        LocalStorage.create(Path("/sys/kernel/run"))


def test_a_run_that_vanished_is_not_made_anew(tmp_path):
    storage = LocalStorage(tmp_path / "unmounted")
    for use in (lambda: storage.publish("s/part", b""), lambda: storage.list_names("s")):
        with pytest.raises(StorageError, match="unmounted does not exist: was the run moved"):
            use()
    assert list(tmp_path.iterdir()) == []
