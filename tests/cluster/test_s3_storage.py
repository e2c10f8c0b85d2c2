"""What only a bucket can do to a run: races over HTTP, refusals, lost answers, secrets."""

import hashlib
import pickle
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pyarrow.parquet as pq
import pytest
from offmanifold.cluster.locations import create_storage, open_storage
from offmanifold.cluster.s3_settings import S3Settings
from offmanifold.cluster.storage import CredentialsError, Storage, StorageError

from ..faulty_proxy import Fault, Request, faulty_proxy
from ..object_store import BUCKET, OWNER, READER, ObjectStore, free_ports

HASTY = S3Settings(timeout=1.0)


@pytest.fixture(scope="module", params=["store", pytest.param("ceph", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    """Each of the real services in turn."""
    service: ObjectStore = request.getfixturevalue(request.param)
    return service


@pytest.fixture(autouse=True)
def _service(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.use(monkeypatch)


def at(prefix: str, bucket: str = BUCKET, settings: S3Settings = HASTY) -> Storage:
    return open_storage(f"s3://{bucket}/{prefix}", settings)


def make(bucket: str = BUCKET, settings: S3Settings = HASTY) -> Storage:
    return create_storage(f"s3://{bucket}/refused/run", settings)


@pytest.mark.slow
def test_of_two_processes_at_once_exactly_one_wins() -> None:
    code = """if True:
        import sys, time
        from offmanifold.cluster.locations import open_storage
        from offmanifold.cluster.s3_settings import S3Settings
        storage = open_storage(sys.argv[1], S3Settings())
        storage.list_names()
        time.sleep(max(0.0, float(sys.argv[3]) - time.time()))
        won = [storage.publish(f"s/{i}", sys.argv[2].encode() * 300_000) for i in range(100)]
        print(sum(won))"""
    storage = at("two-processes")
    begin = time.time() + 3

    def run(name: str) -> int:
        command = [sys.executable, "-c", code, storage.locate(), name, str(begin)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=90)
        return int(done.stdout)

    with ThreadPoolExecutor(2) as pool:
        won = list(pool.map(run, "ab"))
    names = storage.list_names("s")
    assert sum(won) == len(names) == 100
    by_first = sum(storage.read(f"s/{name}") == b"a" * 300_000 for name in names)
    assert won == [by_first, 100 - by_first]


@pytest.mark.slow
def test_two_writers_of_six_mebibytes_race_and_one_wins() -> None:
    storage = at("large")
    contents = [bytes([w]) * 6_000_000 for w in range(2)]
    for race in range(10):
        with ThreadPoolExecutor(2) as pool:
            won = list(pool.map(lambda data, r=race: storage.publish(f"s/{r}", data), contents))
        assert sum(won) == 1
        assert storage.read(f"s/{race}") == contents[won.index(True)]


def test_a_part_of_many_megabytes_is_one_upload(store: ObjectStore) -> None:
    content = bytes(20_000_000)
    assert at("one").publish("s/part", content)
    found = store.client().head_object(Bucket=BUCKET, Key="one/s/part")
    # The ETag of an object that came in several parts has their number after a hyphen.
    assert found["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'


def test_a_listing_of_more_than_one_page_is_whole(store: ObjectStore) -> None:
    storage, client = at("pages"), store.client()
    names = [f"part-{index:04d}" for index in range(1100)]
    with ThreadPoolExecutor(8) as pool:
        for name in names:
            pool.submit(client.put_object, Bucket=BUCKET, Key=f"pages/s/{name}", Body=b"")
    assert storage.list_names("s") == names


REFUSALS: list[tuple[tuple[str, str], str, str]] = [
    (
        (OWNER[0], "not-the-secret-5d1f"),
        BUCKET,
        "the secret key does not match .*AWS_SECRET_ACCESS",
    ),
    (
        ("UNKNOWNKEY9Z", "some-secret-77aa"),
        BUCKET,
        "the service does not know this access key.* endpoint",
    ),
    (READER, BUCKET, "permission denied.* s3:PutObject"),
    (OWNER, "no-such-bucket", "there is no such bucket. Create it"),
]


@pytest.mark.parametrize(("keys", "bucket", "message"), REFUSALS)
def test_a_refusal_names_the_place_and_the_remedy_and_no_secret(
    store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    keys: tuple[str, str],
    bucket: str,
    message: str,
) -> None:
    store.use(monkeypatch, keys)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "")
    with pytest.raises(StorageError, match=rf"s3://{bucket}/refused/run.*: {message}") as refused:
        make(bucket)
    printed = "".join(traceback.format_exception(refused.value))
    assert not [part for part in keys if part in printed]


def test_what_may_be_read_is_read_without_the_right_to_write(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    at("readable").write("a", b"content")
    store.use(monkeypatch, READER)
    assert at("readable").read("a") == b"content"


def test_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(
        CredentialsError, match=r"s3://audits/refused/run: no credentials found.*Set"
    ):
        make()
    with pytest.raises(StorageError, match="no credentials"), at("a").columns():
        pass


def test_a_profile_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(StorageError, match="AWS_PROFILE names a profile"):
        make()


def test_an_endpoint_where_nobody_listens_is_told_of_soon() -> None:
    (port,) = free_ports(1)
    began = time.monotonic()
    with pytest.raises(StorageError, match=rf"127.0.0.1:{port} cannot be reached .*Check that"):
        make(settings=S3Settings(endpoint=f"http://127.0.0.1:{port}"))
    assert time.monotonic() - began < 10


def test_reading_a_column_of_what_is_gone_names_the_object() -> None:
    storage = at("gone")
    with (
        pytest.raises(StorageError, match="gone/images/part"),
        storage.columns() as (files, folder),
    ):
        pq.read_table(f"{folder}/images/part-1.parquet", filesystem=files)


def only(fault: Fault, method: str, times: int) -> Callable[[Request], Fault | None]:
    """The first so many requests of a method fail."""
    left = [times]

    def choose(request: Request) -> Fault | None:
        if request.method != method or not left[0]:
            return None
        left[0] -= 1
        return fault

    return choose


def test_a_put_whose_answer_was_lost_has_won(store: ObjectStore) -> None:
    with faulty_proxy(store.endpoint, only("lost", "PUT", 1)) as proxy:
        storage = at("lost", settings=S3Settings(proxy.endpoint, timeout=5))
        assert storage.publish("s/part", b"rows")
        assert proxy.met["lost"] == 1
        assert not storage.publish("s/part", b"rows")


@pytest.mark.parametrize("fault", ["500", "503", "reset", "409"])
def test_a_put_that_failed_for_a_moment_is_sent_again(store: ObjectStore, fault: Fault) -> None:
    with faulty_proxy(store.endpoint, only(fault, "PUT", 2)) as proxy:
        storage = at(f"again-{fault}", settings=S3Settings(proxy.endpoint, timeout=5))
        assert storage.publish("s/part", b"rows" * 1000)
        assert proxy.met[fault] == 2
        assert storage.read("s/part") == b"rows" * 1000


@pytest.mark.parametrize("fault", ["reset", "stall"])
def test_an_answer_that_breaks_off_is_read_again(store: ObjectStore, fault: Fault) -> None:
    content = bytes(range(256)) * 4000
    at(f"broken-{fault}").write("a", content)
    with faulty_proxy(store.endpoint, only(fault, "GET", 2)) as proxy:
        storage = at(f"broken-{fault}", settings=S3Settings(proxy.endpoint, timeout=1))
        assert storage.read("a") == content
        assert proxy.met[fault] == 2


def test_expired_credentials(store: ObjectStore) -> None:
    with (
        faulty_proxy(store.endpoint, lambda _: "expired") as proxy,
        pytest.raises(
            CredentialsError, match=r"credentials have expired.*run the same command again"
        ),
    ):
        make(settings=S3Settings(proxy.endpoint))


def test_a_service_that_ignores_the_condition_is_refused(store: ObjectStore) -> None:
    with faulty_proxy(store.endpoint, lambda _: "careless") as proxy:
        settings = S3Settings(proxy.endpoint)
        with pytest.raises(StorageError, match=r"ignores conditional writes.*elsewhere"):
            create_storage(f"s3://{BUCKET}/careless/run", settings)
    assert at("careless/run").list_names() == []


def test_neither_a_copy_nor_its_text_holds_credentials() -> None:
    storage = at("a")
    storage.write("b", b"")
    for made in (pickle.dumps(storage), repr(storage).encode()):
        assert not [part for part in OWNER if part.encode() in made]
