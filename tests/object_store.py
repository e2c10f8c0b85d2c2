"""A real S3 service for tests: SeaweedFS on this machine, which checks keys and permissions."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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


@contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """A SeaweedFS that keeps its data in ``folder`` and ends with the block."""
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
    command = [str(weed), "server", "-dir", str(folder / "data"), "-ip=127.0.0.1"]
    command += ["-ip.bind=127.0.0.1", "-filer", "-s3", "-s3.config", str(folder / "s3.json")]
    command += ["-s3.autoCreateBucket=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    command += ["-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=50"]
    command += [f"-{name}={port}" for name, port in ports.items()]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        store = ObjectStore(f"http://127.0.0.1:{ports['s3.port']}")
        await_store(store, process, folder / "log")
        yield store
    finally:
        process.kill()
        process.wait()


def free_ports(count: int) -> list[int]:
    """So many ports of this machine that nothing listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def await_store(store: ObjectStore, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return once the service has made the bucket and stored an object in it."""
    deadline = time.monotonic() + 60
    client = store.client()
    while True:
        try:
            client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"")
        except (BotoCoreError, ClientError):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        else:
            return
