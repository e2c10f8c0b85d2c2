"""Parts read by their columns: what is fetched, and whose failure a failure is."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.cluster.locations import open_storage
from offmanifold.cluster.s3_settings import S3Settings
from offmanifold.cluster.storage import CredentialsError, StorageError
from offmanifold.workers.part_file import (
    PartError,
    check_part,
    columns_or_damage,
    read_columns,
    read_columns_of_parts,
    read_part,
)
from offmanifold.workers.seal import sealed_table
from offmanifold.workers.shard import part_path
from offmanifold.workers.stored_images import IMAGES_TABLE

from ..faulty_proxy import Fault, Request, faulty_proxy
from ..object_store import BUCKET, ObjectStore

SHARDS = [f"{number:016x}" for number in range(2)]
COLUMNS = ["image_id", "status"]
ROWS = 8


def part(shard: str) -> bytes:
    """Images of noise, which no codec makes smaller."""
    noise = np.random.default_rng(3).random((ROWS, 3 * 64 * 64), dtype=np.float32)
    rows = [
        {"image_id": f"{shard}-{row}", "status": "ok", "pixels": pixels.tolist()}
        for row, pixels in enumerate(noise)
    ]
    return sealed_table(
        pa.Table.from_pylist(rows, schema=IMAGES_TABLE.arrow), part_path(IMAGES_TABLE.name, shard)
    )


@pytest.fixture
def address(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run in a bucket with the parts of :data:`SHARDS`."""
    store.use(monkeypatch)
    found = f"s3://{BUCKET}/parts"
    storage = open_storage(found, S3Settings())
    for shard in SHARDS:
        storage.publish(part_path(IMAGES_TABLE.name, shard), part(shard))
    return found


def test_columns_come_without_the_pixels_beside_them(store: ObjectStore, address: str) -> None:
    whole = len(part(SHARDS[0]))
    assert whole > 300_000
    with faulty_proxy(store.endpoint, lambda _: None) as proxy:
        storage = open_storage(address, S3Settings(proxy.endpoint))
        found = read_columns(storage, IMAGES_TABLE, SHARDS[0], COLUMNS)
        assert proxy.sent < whole / 4
        assert found.equals(read_part(storage, IMAGES_TABLE, SHARDS[0], COLUMNS))


@pytest.mark.parametrize("fault", ["500", "503", "reset", "stall"])
def test_columns_are_read_again_where_a_request_fails(
    store: ObjectStore, address: str, fault: Fault
) -> None:
    seen: Counter[str] = Counter()

    def once_an_object(request: Request) -> Fault | None:
        """The first request for a body of each object fails."""
        if request.method != "GET" or "part-" not in request.path:
            return None
        seen[request.path] += 1
        return fault if seen[request.path] == 1 else None

    with faulty_proxy(store.endpoint, once_an_object) as proxy:
        storage = open_storage(address, S3Settings(proxy.endpoint, timeout=1))
        tables = list(read_columns_of_parts(storage, IMAGES_TABLE, SHARDS, COLUMNS))
        assert proxy.met[fault] == len(SHARDS)
    ids = [table["image_id"].to_pylist() for table in tables]
    assert ids == [[f"{shard}-{row}" for row in range(ROWS)] for shard in SHARDS]


def test_a_refusal_is_not_a_damaged_part(store: ObjectStore, address: str) -> None:
    def late(request: Request) -> Fault | None:
        """The part is found, and its content refused."""
        return "expired" if request.method == "GET" else None

    with faulty_proxy(store.endpoint, late) as proxy:
        storage = open_storage(address, S3Settings(proxy.endpoint))
        with pytest.raises(CredentialsError, match=f"{address}/images/part-.* expired"):
            read_columns(storage, IMAGES_TABLE, SHARDS[0], COLUMNS)


def test_a_part_that_is_gone_is_named(address: str, tmp_path: Path) -> None:
    storage = LocalStorage.create(tmp_path)
    place = f"{tmp_path}/images/part-{SHARDS[0]}.parquet"
    with pytest.raises(StorageError, match=f"cannot read {place}: .*{place} does not exist"):
        read_columns(storage, IMAGES_TABLE, SHARDS[0], COLUMNS)
    with pytest.raises(StorageError, match=f"{address}/images/part-{'f' * 16}"):
        read_columns(open_storage(address, S3Settings()), IMAGES_TABLE, "f" * 16, COLUMNS)


def test_columns_are_proved_before_they_are_decoded(tmp_path: Path) -> None:
    """A flipped bit anywhere is refused, or lies in what was not asked for."""
    storage, name = LocalStorage.create(tmp_path), part_path(IMAGES_TABLE.name, SHARDS[0])
    rows = [{"image_id": f"x-{row}", "status": "ok", "pixels": [0.5] * 9} for row in range(ROWS)]
    content = sealed_table(pa.Table.from_pylist(rows, schema=IMAGES_TABLE.arrow), name)
    storage.publish(name, content)
    expected = read_columns(storage, IMAGES_TABLE, SHARDS[0], COLUMNS)
    assert expected["image_id"].to_pylist() == [row["image_id"] for row in rows]
    refused = 0
    for position in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        (tmp_path / name).write_bytes(damaged)
        (found,) = columns_or_damage(storage, IMAGES_TABLE, SHARDS[:1], COLUMNS)
        if isinstance(found, PartError):
            refused += found.part == name
        else:
            assert found.equals(expected)
        with pytest.raises(PartError, match=name):
            check_part(storage, IMAGES_TABLE, SHARDS[0])
    assert len(content) / 6 < refused < len(content) / 3
    storage.write(part_path(IMAGES_TABLE.name, SHARDS[1]), content)
    with pytest.raises(PartError, match=f"{SHARDS[1]}.parquet holds the rows of {name}"):
        read_columns(storage, IMAGES_TABLE, SHARDS[1], COLUMNS)


@pytest.mark.parametrize("content", [part("cut")[:-20], b"PAR1", b""])
def test_a_damaged_part_is_called_so(tmp_path: Path, content: bytes) -> None:
    storage = LocalStorage.create(tmp_path)
    storage.publish(part_path(IMAGES_TABLE.name, SHARDS[0]), content)
    with pytest.raises(PartError, match="is not a complete Parquet file"):
        read_columns(storage, IMAGES_TABLE, SHARDS[0], COLUMNS)


def test_a_file_without_blocks_is_no_part_however_much_it_claims(tmp_path: Path) -> None:
    storage = LocalStorage.create(tmp_path / "run")
    path = Path(storage.locate(part_path(IMAGES_TABLE.name, SHARDS[0])))
    path.parent.mkdir()
    with path.open("wb") as file:
        file.truncate(2**40)
    for read in (check_part, read_part):
        with pytest.raises(PartError, match="has more than 4,294,967,296 bytes"):
            read(storage, IMAGES_TABLE, SHARDS[0])
    with pytest.raises(PartError, match="is not a complete Parquet file"):
        read_columns(storage, IMAGES_TABLE, SHARDS[0], COLUMNS)
