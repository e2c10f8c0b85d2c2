"""A real S3 service for tests: SeaweedFS on this machine, which checks keys and permissions."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

BUCKET = "audits"
OWNER = ("OWNERKEY7Q2M", "owner-secret-8fe1c9")
READER = ("READERKEY4X9T", "reader-secret-03b7aa")
REGION = "us-east-1"


@dataclass(frozen=True)
class ObjectStore:
    """Where the service is; ``OWNER`` may do everything there, ``READER`` read and list."""

    endpoint: str

    def client(self, keys: tuple[str, str] = OWNER) -> Any:
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=keys[0],
            aws_secret_access_key=keys[1],
            config=Config(retries={"total_max_attempts": 1}),
        )

    def environment(self, keys: tuple[str, str] = OWNER) -> dict[str, str]:
        """What tells boto3 of the service, and nothing of the machine's own settings."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": keys[0],
            "AWS_SECRET_ACCESS_KEY": keys[1],
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def use(self, patch: pytest.MonkeyPatch, keys: tuple[str, str] = OWNER) -> None:
        """Set this process's environment so that boto3 finds the service."""
        for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL_S3"):
            patch.delenv(name, raising=False)
        for name, value in self.environment(keys).items():
            patch.setenv(name, value)


class Service:
    """A SeaweedFS that keeps its data in a folder, and can be restarted and held up."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        rights = {OWNER: ["Admin"], READER: ["Read", "List"]}
        identities = [
            {
                "name": access.lower(),
                "credentials": [{"accessKey": access, "secretKey": secret}],
                "actions": actions,
            }
            for (access, secret), actions in rights.items()
        ]
        (folder / "s3.json").write_text(json.dumps({"identities": identities}))
        (folder / "data").mkdir()
        names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc"]
        names += ["filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc"]
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        weed = Path(sys.executable).with_name("weed")
        self._command = [str(weed), "server", "-dir", str(folder / "data"), "-ip=127.0.0.1"]
        self._command += ["-ip.bind=127.0.0.1", "-filer", "-s3"]
        self._command += ["-s3.config", str(folder / "s3.json")]
        self._command += ["-s3.autoCreateBucket=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        self._command += ["-master.telemetry=false", "-master.volumeSizeLimitMB=64"]
        self._command += ["-volume.max=50"]
        self._command += [f"-{name}={port}" for name, port in ports.items()]
        self.store = ObjectStore(f"http://127.0.0.1:{ports['s3.port']}")
        self._process: subprocess.Popen[bytes] | None = None
        self._has_bucket = False

    def start(self) -> None:
        """Return once it answers."""
        log = self._folder / "log"
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                self._command, stdout=file, stderr=file, cwd=self._folder
            )
        await_store(self.store, self._process, log, is_new=not self._has_bucket)
        self._has_bucket = True

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it: by a signal that lets it write what it has, or at once."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def hold_up(self, seconds: float) -> None:
        """It answers nothing for a while, on connections that stay."""
        assert self._process is not None, "it was started"
        self._process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """A SeaweedFS that keeps its data in ``folder`` and ends with the block."""
    service = Service(folder)
    try:
        service.start()
        yield service.store
    finally:
        service.stop()


def free_ports(count: int) -> list[int]:
    """So many ports of this machine that nothing listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def await_store(
    store: ObjectStore, process: "subprocess.Popen[bytes]", log: Path, *, is_new: bool = True
) -> None:
    """Return once the service has the bucket, which it makes if ``is_new``, and an object in it."""
    deadline = time.monotonic() + 60
    client = store.client()
    while True:
        try:
            if is_new:
                with suppress(client.exceptions.BucketAlreadyOwnedByYou):
                    client.create_bucket(Bucket=BUCKET)
                client.put_object(Bucket=BUCKET, Key="ready", Body=b"")
            client.get_object(Bucket=BUCKET, Key="ready")
        except (BotoCoreError, ClientError):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        else:
            return
