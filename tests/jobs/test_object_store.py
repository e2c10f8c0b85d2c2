"""An audit whose run, images and checkpoint all lie in a bucket of a real S3 service."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from offmanifold.cluster.locations import open_storage
from offmanifold.cluster.s3_settings import S3Settings
from offmanifold.jobs.commands.cli import app
from typer.testing import CliRunner

from ..faulty_proxy import Fault, Request, at_random, faulty_proxy
from ..object_store import BUCKET, OWNER, ObjectStore
from ..stored_runs import assert_the_same_rows
from .conftest import SHORT_END, fill_audit_folder, forget_decoder, write_spec

# Each starts a Ray, and two cores are too few for two at once.
pytestmark = pytest.mark.xdist_group("ray")

WEIGHTS = Path(__file__).parents[2] / "workers" / "weights" / "digits"
STAGES = ["images", "inversion", "variance", "likelihood", "neighbours"]


def spec_at(place: str) -> dict[str, Any]:
    """A small audit of the digits' generator, its inputs under ``place``."""
    images = {"dataset": "folder", "path": f"{place}/images"}
    return {
        "name": "stored",
        "generators": [{"name": "digits", "source": f"{place}/gan"}],
        "groups": [
            {"name": "train", "role": "train", **images, "classes": {"zero": 0, "one": 1}},
            {"name": "generated", "role": "generated", "count": 4},
        ],
        "stages": {
            "inversion": {
                "iterations": 5,
                "restarts": 2,
                "bank": 16,
                "shard_items": 8,
                **SHORT_END,
            },
            "variance": {"estimator": "profile"},
            "likelihood": {
                "transitions": 2,
                "leapfrog_steps": 1,
                "chains": 2,
                "restarts": 2,
                "candidates": 2,
                "bank": 16,
                "iterations": 3,
                **SHORT_END,
                "shard_items": 8,
            },
            "neighbours": {"dataset": "folder", "path": f"{place}/images", "split": None},
        },
        "cluster": {"executor": "serial"},
    }


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, store: ObjectStore) -> Iterator[Path]:
    """The same images and checkpoint in a folder and in the bucket, and the run on the folder."""
    folder = tmp_path_factory.mktemp("inputs") / "audit"
    fill_audit_folder(folder)
    (folder / "gan").mkdir()
    for file in WEIGHTS.iterdir():
        (folder / "gan" / file.name).write_bytes(file.read_bytes())
    upload(folder, store)
    write_spec(folder, spec_at(str(folder)))
    done = CliRunner().invoke(
        app, ["run", str(folder / "audit.yaml"), "--out", str(folder / "run")]
    )
    assert done.exit_code == 0, done.output
    yield folder
    forget_decoder(folder)


def upload(folder: Path, store: ObjectStore) -> None:
    client = store.client()
    for place in ("images", "gan"):
        for file in sorted((folder / place).rglob("*.*")):
            key = f"inputs/{file.relative_to(folder).as_posix()}"
            client.put_object(Bucket=BUCKET, Key=key, Body=file.read_bytes())


@pytest.fixture(autouse=True)
def _service(store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store.use(monkeypatch)
    monkeypatch.setenv("OFFMANIFOLD_CACHE", str(tmp_path / "cache"))


def audit(folder: Path, address: str, *options: str) -> Any:
    write_spec(folder, spec_at(f"s3://{BUCKET}/inputs"))
    spec = str(folder / "audit.yaml")
    return CliRunner().invoke(app, ["run", spec, "--out", address, *options])


def keys_under(store: ObjectStore, address: str) -> list[str]:
    """Of all objects of a run, in its folders too."""
    prefix = address.removeprefix(f"s3://{BUCKET}/") + "/"
    pages = store.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return [found["Key"] for page in pages for found in page.get("Contents", [])]


def assert_as_in_the_folder(address: str, folder: Path) -> None:
    places = (f"s3://{BUCKET}/inputs", str(folder))
    assert_the_same_rows(address, folder / "run", STAGES, places)


def test_rows_equal_the_local_ones_without_a_secret_and_what_is_deleted_is_computed_again(
    inputs: Path, store: ObjectStore
) -> None:
    address = f"s3://{BUCKET}/whole/run"
    done = audit(inputs, address)
    assert done.exit_code == 0, done.output
    assert f"report: {address}/report.html" in done.output
    assert_as_in_the_folder(address, inputs)

    keys = keys_under(store, address)
    assert {"likelihood", "_log", "_drawn"} <= {key.split("/")[2] for key in keys if "/" in key}
    for key in keys:
        content = store.client().get_object(Bucket=BUCKET, Key=key)["Body"].read()
        assert not [part for part in OWNER if part.encode() in content], key
    run = open_storage(address, S3Settings())
    for stage in ("images", "likelihood"):
        run.delete(f"{stage}/{run.list_names(stage)[0]}")
    status = CliRunner().invoke(app, ["status", address, "--json"])
    assert status.exit_code == 0, status.output
    pending = {each["stage"]: each["pending"] for each in json.loads(status.output)["stages"]}
    assert pending["images"] == 1
    assert audit(inputs, address).exit_code == 0
    assert_as_in_the_folder(address, inputs)

    report = CliRunner().invoke(app, ["report", address, "--tables", str(inputs / "tables")])
    assert report.exit_code == 0, report.output
    assert list((inputs / "tables").iterdir())
    compared = CliRunner().invoke(app, ["compare", address, str(inputs / "run")])
    assert compared.exit_code == 0, compared.output
    assert "not have the same images" not in compared.output


def test_an_absent_bucket_ends_before_any_work_with_its_own_message(inputs: Path) -> None:
    done = audit(inputs, "s3://no-such-bucket/run")
    assert done.exit_code == 1
    assert "cannot use s3://no-such-bucket/run: there is no such bucket" in done.output


@pytest.mark.parametrize("address", ["s3:/bucket/run", "gs://bucket/run", "s3://bucket/a/../b"])
def test_what_is_no_address_of_a_bucket_is_a_bad_usage(inputs: Path, address: str) -> None:
    done = audit(inputs, address)
    assert done.exit_code == 2
    assert "expected a path, or s3://BUCKET/PREFIX" in done.output


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("storage={endpoint: 'http://key:secret@host'}", "cluster.storage.endpoint"),
        ("storage={secret: x}", "cluster.storage.secret: unknown key"),
        ("storage={addressing: host}", "cluster.storage.addressing"),
    ],
)
def test_keys_have_no_place_in_a_spec(inputs: Path, setting: str, message: str) -> None:
    done = audit(inputs, f"s3://{BUCKET}/refused", "--set", f"cluster.{setting}")
    assert done.exit_code == 2
    assert message in done.output


FAULTS: tuple[Fault, ...] = ("500", "503", "reset", "lost", "stall")


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["serial", "ray"])
def test_a_service_that_fails_every_tenth_time_gives_the_same_rows(
    inputs: Path, store: ObjectStore, monkeypatch: pytest.MonkeyPatch, executor: str
) -> None:
    address = f"s3://{BUCKET}/faulty/{executor}"
    with faulty_proxy(store.endpoint, at_random(3, 0.1, FAULTS)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        for _ in range(5):
            done = audit_as_a_user(inputs, address, executor, "--set", "cluster.storage.timeout=1")
            if done.returncode == 0:
                break
            # A clear end, from which the same command goes on.
            assert done.returncode == 1, done.stderr
            assert "run the same command again" in done.stderr.lower()
    assert done.returncode == 0, done.stderr
    assert sum(proxy.met[fault] for fault in FAULTS) >= 10, proxy.met
    store.use(monkeypatch)
    assert_as_in_the_folder(address, inputs)


@pytest.mark.slow
def test_a_service_that_breaks_down_ends_a_run_under_ray_which_the_same_command_resumes(
    inputs: Path, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"s3://{BUCKET}/down/run"

    def no_likelihoods(request: Request) -> Fault | None:
        return "503" if request.method == "PUT" and "/likelihood/part-" in request.path else None

    with faulty_proxy(store.endpoint, no_likelihoods) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        done = audit_as_a_user(inputs, address, "ray", "--set", "cluster.storage.patience=2")
    assert done.returncode == 1
    refusal = rf"cannot write {address}/likelihood/part-.*kept failing.*run the same command"
    assert re.search(refusal, done.stderr), done.stderr
    store.use(monkeypatch)
    before = open_storage(address, S3Settings())
    assert before.list_names("inversion")
    assert not before.list_names("likelihood")
    done = audit_as_a_user(inputs, address, "ray")
    assert done.returncode == 0, done.stderr
    assert_as_in_the_folder(address, inputs)


@pytest.mark.slow
def test_under_ray(inputs: Path) -> None:
    address = f"s3://{BUCKET}/ray/run"
    done = audit_as_a_user(inputs, address, "ray")
    assert done.returncode == 0, done.stderr
    assert_as_in_the_folder(address, inputs)


@pytest.mark.slow
def test_under_ray_in_a_bucket_of_ceph(
    inputs: Path, ceph: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(inputs, ceph)
    ceph.use(monkeypatch)
    address = f"s3://{BUCKET}/ceph/run"
    done = audit_as_a_user(inputs, address, "ray")
    assert done.returncode == 0, done.stderr
    assert_as_in_the_folder(address, inputs)


def audit_as_a_user(
    folder: Path, address: str, executor: str, *options: str
) -> subprocess.CompletedProcess[str]:
    """Runs the audit whose inputs are in the bucket."""
    spec = spec_at(f"s3://{BUCKET}/inputs")
    spec["cluster"] = {"executor": executor, "workers": 2 if executor == "ray" else None}
    cli = str(Path(sys.executable).with_name("offmanifold"))
    command = [cli, "run", str(write_spec(folder, spec)), "--out", address, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)
