"""Copies of a bucket's files: made once, verified, and never outside their folder."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from offmanifold.cluster.s3_inputs import RemoteFile, S3Folder
from offmanifold.cluster.s3_settings import S3Settings
from offmanifold.cluster.storage import StorageError

from ..faulty_proxy import Fault, Request, faulty_proxy
from ..object_store import BUCKET, ObjectStore

CONTENT = bytes(range(256)) * 8_000


@pytest.fixture(autouse=True)
def cache(store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    store.use(monkeypatch)
    monkeypatch.setenv("OFFMANIFOLD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def folder_with(store: ObjectStore, prefix: str, **files: bytes) -> S3Folder:
    for name, content in files.items():
        store.client().put_object(Bucket=BUCKET, Key=f"{prefix}/{name}", Body=content)
    return S3Folder(BUCKET, prefix, S3Settings())


def copies_in(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file() and path.name != ".lock"]


def test_a_file_is_copied_once_and_its_new_content_again(store: ObjectStore, cache: Path) -> None:
    folder = folder_with(store, "once", weights=CONTENT)
    file = folder.listing()["weights"]
    first = folder.fetch("weights", file)
    made = first.stat().st_mtime_ns
    assert first.read_bytes() == CONTENT
    assert folder.fetch("weights", file).stat().st_mtime_ns == made
    folder = folder_with(store, "once", weights=b"new")
    assert folder.fetch("weights", folder.listing()["weights"]).read_bytes() == b"new"
    assert len(copies_in(cache)) == 2
    assert cache.stat().st_mode & 0o077 == 0


def test_many_processes_at_once_read_it_from_the_bucket_once(store: ObjectStore) -> None:
    folder_with(store, "crowd", weights=CONTENT)
    reads: list[str] = []

    def note(request: Request) -> Fault | None:
        if request.method == "GET" and "/crowd/weights" in request.path:
            reads.append(request.path)
        return None

    code = """if True:
        import sys
        from offmanifold.cluster.s3_inputs import S3Folder
        from offmanifold.cluster.s3_settings import S3Settings
        folder = S3Folder(sys.argv[2], "crowd", S3Settings(sys.argv[1]))
        print(len(folder.fetch("weights", folder.listing()["weights"]).read_bytes()))"""
    with faulty_proxy(store.endpoint, note) as proxy:
        command = [sys.executable, "-c", code, proxy.endpoint, BUCKET]

        def run(_: int) -> str:
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout

        with ThreadPoolExecutor(4) as pool:
            assert {int(found) for found in pool.map(run, range(4))} == {len(CONTENT)}
    assert len(reads) == 1


def test_a_long_download_shows_that_its_thread_does_not_hang(store: ObjectStore) -> None:
    """A worker's heartbeat is the processor time of the thread that works."""
    folder_with(store, "long", weights=CONTENT)

    def slow(request: Request) -> Fault | None:
        return "slow" if request.method == "GET" and "/long/weights" in request.path else None

    with faulty_proxy(store.endpoint, slow) as proxy, ThreadPoolExecutor(1) as pool:
        folder = S3Folder(BUCKET, "long", S3Settings(proxy.endpoint))
        file = folder.listing()["weights"]
        clock = pool.submit(lambda: time.pthread_getcpuclockid(threading.get_ident())).result()
        fetched = pool.submit(folder.fetch, "weights", file)
        beats = []
        while not fetched.done():
            beats.append(time.clock_gettime(clock))
            time.sleep(0.5)
        assert fetched.result().read_bytes() == CONTENT
    assert len(beats) >= 5
    assert len(set(beats)) == len(beats)


def test_a_copy_that_was_cut_short_is_made_again(store: ObjectStore) -> None:
    folder = folder_with(store, "short", weights=CONTENT)
    file = folder.listing()["weights"]
    copy = folder.fetch("weights", file)
    copy.write_bytes(CONTENT[:100])
    assert folder.fetch("weights", file).read_bytes() == CONTENT


def test_what_changed_since_the_listing_is_refused(store: ObjectStore, cache: Path) -> None:
    folder = folder_with(store, "changing", weights=CONTENT)
    file = folder.listing()["weights"]
    folder_with(store, "changing", weights=b"other")
    with pytest.raises(StorageError, match="s3://audits/changing/weights: it changed"):
        folder.fetch("weights", file)
    assert not [path for path in copies_in(cache) if not path.name.endswith(".tmp")]


def test_an_object_in_several_parts_has_no_md5_and_is_copied(store: ObjectStore) -> None:
    client = store.client()
    where = {"Bucket": BUCKET, "Key": "parts/weights"}
    upload = client.create_multipart_upload(**where)["UploadId"]
    contents = [b"a" * 5 * 2**20, b"b"]
    parts = [
        {
            "PartNumber": number,
            "ETag": client.upload_part(**where, UploadId=upload, PartNumber=number, Body=content)[
                "ETag"
            ],
        }
        for number, content in enumerate(contents, 1)
    ]
    client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
    folder = S3Folder(BUCKET, "parts", S3Settings())
    file = folder.listing()["weights"]
    assert "-" in file.etag
    assert folder.fetch("weights", file).read_bytes() == b"".join(contents)


@pytest.mark.parametrize("name", ["../../escaped.png", "/etc/escaped.png", "a\x00b.png", "x" * 900])
def test_no_name_leads_out_of_the_folder_of_copies(
    store: ObjectStore, cache: Path, name: str
) -> None:
    """A copy's path follows from its hash: what a hostile listing calls it does not matter."""
    folder = folder_with(store, "hostile", plain=CONTENT)
    file = folder.listing()["plain"]
    with pytest.raises(StorageError):
        folder.fetch(name, RemoteFile(file.size, file.etag))
    assert all(path.is_relative_to(cache) for path in cache.parent.rglob("*escaped*"))


def test_a_folder_of_copies_has_the_files_that_are_there(store: ObjectStore) -> None:
    folder = folder_with(store, "model", config=b"{}", weights=b"w", other=b"o")
    copy = folder.copy(["config", "weights", "missing"])
    assert sorted(path.name for path in copy.iterdir()) == ["config", "weights"]
    assert folder.copy(["config", "weights"]) == copy


def test_a_folder_of_copies_that_cannot_be_written(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_with(store, "unwritable", weights=b"w")
    monkeypatch.setenv("OFFMANIFOLD_CACHE", "/sys/kernel/cache")
    with pytest.raises(StorageError, match=r"keep a copy of s3://audits/unwritable.*OFFMANIFOLD_"):
        folder.fetch("weights", folder.listing()["weights"])
