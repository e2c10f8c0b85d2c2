"""Published checkpoints in a bucket: what lies beside a file counts there too."""

import json
from pathlib import Path

import pytest
from offmanifold.workers.checkpoints.opening import open_checkpoint
from offmanifold.workers.generators import GeneratorError, GeneratorSource, describe_generator

from ..object_store import BUCKET, ObjectStore
from .recorded import write_checkpoint


@pytest.fixture(autouse=True)
def _service(store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store.use(monkeypatch)
    monkeypatch.setenv("OFFMANIFOLD_CACHE", str(tmp_path / "cache"))


def put(store: ObjectStore, prefix: str, file: Path) -> str:
    """The address of the object that the file becomes."""
    key = f"{prefix}/{file.name}"
    store.client().put_object(Bucket=BUCKET, Key=key, Body=file.read_bytes())
    return f"s3://{BUCKET}/{key}"


def test_a_config_is_read_beside_the_weights_and_is_a_part_of_their_hash(
    store: ObjectStore, tmp_path: Path
) -> None:
    path = write_checkpoint("biggan-deep", tmp_path)
    address = put(store, "beside", path)
    with pytest.raises(
        GeneratorError, match=f"{address} .*config.json.*must be in the same folder"
    ):
        describe_generator(GeneratorSource(address, family="biggan-deep"))
    put(store, "beside", tmp_path / "config.json")
    here = describe_generator(GeneratorSource(str(path), family="biggan-deep"))
    there = describe_generator(GeneratorSource(address, family="biggan-deep"))
    assert there.sha256 == here.sha256
    assert (there.source, there.latent_dim) == (address, here.latent_dim)

    config = tmp_path / "config.json"
    settings = json.loads(config.read_text())
    config.write_text(json.dumps({**settings, "eps": 2 * settings["eps"]}))
    put(store, "beside", config)
    assert describe_generator(GeneratorSource(address, family="biggan-deep")).sha256 != here.sha256
    # Under the name that a model's own config has.
    config.rename(tmp_path / "biggan-deep-128-config.json")
    other = put(store, "renamed", path)
    put(store, "renamed", tmp_path / "biggan-deep-128-config.json")
    renamed = describe_generator(GeneratorSource(other, family="biggan-deep"))
    assert (
        renamed.sha256 == describe_generator(GeneratorSource(address, family="biggan-deep")).sha256
    )
    assert open_checkpoint(path).file.sha256 not in (here.sha256, open_checkpoint(path).sha256)
