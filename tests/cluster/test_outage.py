"""A service that is away for a while is waited for, for so long and no longer."""

import threading
import time

import pytest
from offmanifold.cluster.locations import open_storage
from offmanifold.cluster.outage import wait_out
from offmanifold.cluster.s3_client import S3Connection
from offmanifold.cluster.s3_settings import S3Settings
from offmanifold.cluster.storage import AwayError, StorageDeniedError

from ..faulty_proxy import Fault, Request, faulty_proxy
from ..object_store import BUCKET, ObjectStore


def test_what_is_away_is_asked_again_and_what_refuses_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers: list[Exception | str] = [AwayError("first."), AwayError("second."), "here"]

    def call() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert wait_out(60.0, call) == "here"
    assert "first. Trying again; waited 0 s so far, 60 s at most" in caplog.text
    answers = [StorageDeniedError("no"), "here"]
    with pytest.raises(StorageDeniedError):
        wait_out(60.0, call)
    answers = [AwayError("the cause"), AwayError("what followed"), AwayError("what followed")]
    with pytest.raises(AwayError, match="the cause"):
        wait_out(0.1, call)
    answers = [AwayError("the cause"), "here"]
    with pytest.raises(AwayError, match="the cause"):
        wait_out(0.0, call)


@pytest.mark.parametrize("fault", ["503", "reset"])
def test_a_bucket_that_is_away_for_seconds(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    store.use(monkeypatch)
    # One request a call, so that not botocore waits.
    monkeypatch.setattr(S3Connection.__init__, "__defaults__", (1,))
    away = threading.Event()

    def choose(request: Request) -> Fault | None:
        del request
        return fault if away.is_set() else None

    with faulty_proxy(store.endpoint, choose) as proxy:
        address = f"s3://{BUCKET}/outage-{fault}"
        patient = open_storage(address, S3Settings(proxy.endpoint, patience=60.0))
        assert patient.publish("first", b"1")
        away.set()
        with pytest.raises(AwayError):
            open_storage(address, S3Settings(proxy.endpoint)).list_names()
        began = time.monotonic()
        threading.Timer(1.0, away.clear).start()
        assert patient.publish("second", b"2")
        assert time.monotonic() - began >= 1.0
        away.set()
        threading.Timer(1.0, away.clear).start()
        assert patient.read("second") == b"2"
        assert patient.list_names() == ["first", "second"]
