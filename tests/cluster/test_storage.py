"""What every storage promises, on a disk and in the bucket of a real service."""

import io
import itertools
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.cluster.locations import create_storage
from offmanifold.cluster.s3_settings import S3Settings
from offmanifold.cluster.storage import Storage, StorageError, StrangeFileError

from ..object_store import BUCKET, ObjectStore

_prefixes = (f"storage-{number}/run" for number in itertools.count())


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "local":
        return LocalStorage.create(tmp_path / "run")
    store: ObjectStore = request.getfixturevalue("store")
    store.use(request.getfixturevalue("monkeypatch"))
    return create_storage(f"s3://{BUCKET}/{next(_prefixes)}", S3Settings())


def test_nothing_is_left_of_making_it_ready(storage: Storage) -> None:
    assert storage.list_names() == []
    with storage.columns() as (files, folder):
        selector = pa.fs.FileSelector(folder, recursive=True, allow_not_found=True)
        assert files.get_file_info(selector) == []


def test_the_first_writer_wins(storage: Storage) -> None:
    assert storage.publish("stage/part-1", b"first")
    assert not storage.publish("stage/part-1", b"second")
    assert storage.read("stage/part-1") == b"first"
    assert storage.list_names("stage") == ["part-1"]


def test_the_same_bytes_published_twice_are_published_once(storage: Storage) -> None:
    assert storage.publish("stage/part-1", b"rows")
    assert not storage.publish("stage/part-1", b"rows")


def test_of_many_writers_at_once_exactly_one_wins(storage: Storage) -> None:
    writers = 8
    for part in range(20):
        with ThreadPoolExecutor(writers) as pool:
            contents = [bytes([w]) * 10_000 for w in range(writers)]
            won = list(pool.map(lambda data, p=part: storage.publish(f"s/{p}", data), contents))
        assert sum(won) == 1
        assert storage.read(f"s/{part}") == contents[won.index(True)]


def test_of_what_is_far_too_large_nothing_is_read(storage: Storage) -> None:
    storage.write("a.json", b"a" * 1000)
    assert storage.read("a.json", 1000) == b"a" * 1000
    with pytest.raises(StrangeFileError, match=r"a\.json.*999 .*remove it"):
        storage.read("a.json", 999)


def test_write_replaces(storage: Storage) -> None:
    storage.write("summary", b"old")
    storage.write("summary", b"new")
    assert storage.read("summary") == b"new"
    assert storage.list_names() == ["summary"]


def test_an_empty_file_and_one_of_several_mebibytes(storage: Storage) -> None:
    large = bytes(range(256)) * 80_000
    for name, data in (("empty", b""), ("large", large)):
        assert storage.publish(name, data)
        assert storage.read(name) == data


def test_listing_and_deleting(storage: Storage) -> None:
    assert storage.list_names("stage") == []
    for name in ("b", "a", ".hidden"):
        storage.write(f"stage/{name}", b"")
    storage.write("stage/folder/c", b"")
    storage.write("stage-of-another-name/d", b"")
    assert storage.list_names("stage") == ["a", "b"]
    assert storage.exists("stage/a")
    assert not storage.exists("stage/fold")
    storage.delete("stage/a")
    storage.delete("stage/a")
    assert not storage.exists("stage/a")
    assert storage.list_names("stage") == ["b"]


def test_names_that_a_url_would_change(storage: Storage) -> None:
    names = ["a b", "a+b", "a%20b", "ä-π", "a=b&c?d#e"]
    for name in names:
        assert storage.publish(f"stage/{name}", name.encode())
    assert storage.list_names("stage") == sorted(names)
    assert [storage.read(f"stage/{name}").decode() for name in names] == names


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside", "a/../../b", ""])
def test_a_name_cannot_leave_the_run(storage: Storage, name: str) -> None:
    with pytest.raises(ValueError, match="relative path inside the run"):
        storage.publish(name, b"")


def test_reading_what_is_not_there(storage: Storage) -> None:
    with pytest.raises(StorageError, match=r"cannot read .*/s/part: .*[Nn]o such (file|object)"):
        storage.read("s/part")


def test_a_copy_in_another_process_is_the_same_place(storage: Storage) -> None:
    storage.write("stage/part", b"rows")
    copy: Storage = pickle.loads(pickle.dumps(storage))
    assert copy == storage
    assert copy.read("stage/part") == b"rows"


def test_single_columns_are_read(storage: Storage) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"image_id": ["a", "b"], "pixels": [[0.5], [1.0]]}), sink)
    storage.publish("images/part-1.parquet", sink.getvalue())
    with storage.columns() as (files, folder):
        table = pq.read_table(
            f"{folder}/images/part-1.parquet", columns=["image_id"], filesystem=files
        )
    assert table.to_pydict() == {"image_id": ["a", "b"]}


def test_a_place_is_named_as_a_person_would(storage: Storage) -> None:
    assert storage.locate("stage/part") == f"{storage.locate()}/stage/part"
    assert storage.locate().endswith("/run")


def test_a_file_is_moved_in_place_of_another(storage: Storage) -> None:
    storage.publish("images/part-1.parquet", b"new")
    storage.publish("_damaged/images/part-1.parquet", b"old")
    storage.move("images/part-1.parquet", "_damaged/images/part-1.parquet")
    assert storage.read("_damaged/images/part-1.parquet") == b"new"
    assert storage.list_names("images") == []
    storage.move("images/part-1.parquet", "_damaged/images/part-1.parquet")
    assert storage.read("_damaged/images/part-1.parquet") == b"new"
    assert storage.publish("images/part-1.parquet", b"again")
