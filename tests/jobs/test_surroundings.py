"""What happens to folders, disks and services is never an image's fault."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from offmanifold.jobs.audits.specs import load_spec
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.drive.image_folders import refuse_among_images, refuse_inputs_among_parts
from offmanifold.jobs.spec.loading import SpecError
from offmanifold.workers.runner import ShardWorker
from typer.testing import CliRunner

from .conftest import SHORT_END, lean_spec, write_spec


def audit(folder: Path, out: str | Path = "run") -> Any:
    return CliRunner().invoke(app, ["run", str(folder / "audit.yaml"), "--out", str(folder / out)])


@pytest.fixture
def small(audit_folder: Path) -> Path:
    """An audit of seconds: images and their inversions."""
    spec = lean_spec()
    spec["groups"] = spec["groups"][:1]
    spec["groups"][0]["conditions"] = "own"
    spec["stages"] = {
        "images": {"shard_items": 4},
        "inversion": {"iterations": 2, "restarts": 1, "bank": 8, **SHORT_END},
    }
    write_spec(audit_folder, spec)
    return audit_folder


@pytest.mark.parametrize("out", ["images", "images/run", "link/run", "images/zero/../one/run"])
def test_a_run_directory_among_the_images_is_refused_before_work(small: Path, out: str) -> None:
    (small / "link").symlink_to(small / "images")
    before = sorted(small.rglob("*"))
    result = audit(small, out)
    assert result.exit_code == 2, result.output
    assert "groups.train.path: the run directory" in result.output
    assert "choose another --out" in result.output
    assert sorted(small.rglob("*")) == before


def test_the_folders_of_classes_that_are_sets_of_their_own_are_image_folders_too(
    small: Path,
) -> None:
    content = lean_spec()
    folders = {each: {"dataset": "folder", "path": f"images/{each}"} for each in ("zero", "one")}
    content["groups"] = [
        {"name": "train", "role": "train", "dataset": "sources", "sources": folders}
    ]
    spec = load_spec(str(write_spec(small, content)))
    with pytest.raises(SpecError, match=r"groups.train.sources.one.path: the run directory"):
        refuse_among_images(spec, str(small / "images" / "one" / "run"))
    refuse_among_images(spec, str(small / "images" / "run"))


def test_images_where_a_run_around_them_keeps_its_parts_are_not_moved_aside(small: Path) -> None:
    # No code in the run directory, which is refused before.
    content = lean_spec()
    content["generators"] = [{"name": "digits", "source": "shipped:digits"}]
    write_spec(small, content).rename(small / "other.yaml")
    before = sorted(small.rglob("*"))
    done = CliRunner().invoke(app, ["run", str(small / "other.yaml"), "--out", str(small)])
    assert done.exit_code == 2, done.output
    assert f"{small}/images: lies in {small}/images, where the run would keep its own" in (
        done.output
    )
    assert sorted(small.rglob("*")) == before
    spec = load_spec(str(small / "other.yaml"))
    (small / "link").symlink_to(small)
    with pytest.raises(SpecError, match="choose another --out"):
        refuse_inputs_among_parts(spec, str(small / "link"))
    for out in (small / "run", small.parent):
        refuse_inputs_among_parts(spec, str(out))
    group = spec.groups[0].model_copy(update={"path": "s3://bucket/a/_log/images"})
    stored = spec.model_copy(update={"groups": (group,)})
    refuse_inputs_among_parts(stored, "s3://bucket")
    with pytest.raises(SpecError, match="lies in s3://bucket/a/_log"):
        refuse_inputs_among_parts(stored, "s3://bucket/a/")


def test_a_run_beside_the_images_or_around_them_is_not(small: Path) -> None:
    spec = load_spec(str(small / "audit.yaml"))
    for out in ("run", "images-run", "."):
        refuse_among_images(spec, str(small / out))
    refuse_among_images(spec, "s3://bucket/images/run")
    group = spec.groups[0].model_copy(update={"path": "s3://bucket/images"})
    stored = spec.model_copy(update={"groups": (group,)})
    for out in ("s3://bucket/images", "s3://bucket/images/run"):
        with pytest.raises(SpecError, match="the run directory s3://bucket/images"):
            refuse_among_images(stored, out)
    refuse_among_images(stored, "s3://bucket/images-run")


def emptied(images: Path, aside: Path) -> None:
    """As a disk leaves its mount point."""
    images.rename(aside)
    images.mkdir()


def half_gone(images: Path, aside: Path) -> None:
    shutil.copytree(images, aside)
    shutil.rmtree(images / "one")


LOSSES: dict[str, Callable[[Path, Path], object]] = {
    "gone": lambda images, aside: images.rename(aside),
    "emptied": emptied,
    "half gone": half_gone,
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("opened", [False, True])
def test_a_folder_that_vanishes_stops_the_run_and_fails_no_image(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: str, opened: bool
) -> None:
    compute = ShardWorker.compute
    shards: list[Any] = []

    def in_time(worker: ShardWorker, payload: Any, start: int, stop: int) -> Any:
        if len(shards) == int(opened):
            LOSSES[loss](small / "images", tmp_path / "aside")
        shards.append(payload)
        return compute(worker, payload, start, stop)

    with monkeypatch.context() as patched:
        patched.setattr(ShardWorker, "compute", in_time)
        result = audit(small)
    assert result.exit_code == 1, result.output
    last = result.output.strip().splitlines()[-1]
    assert f"image set folder in {small}/images" in last
    for part in (small / "run" / "images").glob("*"):
        assert (pd.read_parquet(part).status == "ok").all()
    shutil.rmtree(small / "images", ignore_errors=True)
    (tmp_path / "aside").rename(small / "images")
    result = audit(small)
    assert result.exit_code == 0, result.output
    table = pd.read_parquet(small / "run" / "images")
    assert len(table) == 12
    assert (table.status == "ok").all()


def test_a_file_that_never_could_be_read_is_one_failed_image(small: Path) -> None:
    (small / "images" / "one" / "0.png").unlink()
    (small / "images" / "one" / "0.png").symlink_to("nothing.png")
    result = audit(small)
    assert result.exit_code == 3, result.output
    table = pd.read_parquet(small / "run" / "images")
    assert sorted(table.status) == ["failed"] + ["ok"] * 11


def test_a_folder_that_vanishes_while_it_is_hashed_is_a_bad_spec(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from offmanifold.workers.datasets.listed_images import ListedImages

    whole = ListedImages.hash

    def late(images: ListedImages) -> str:
        shutil.rmtree(small / "images" / "one", ignore_errors=True)
        return whole(images)

    monkeypatch.setattr(ListedImages, "hash", late)
    result = audit(small)
    assert result.exit_code == 2, result.output
    assert "changed while they were read" in result.output
    assert json.dumps(sorted(path.name for path in small.glob("run"))) == "[]"
