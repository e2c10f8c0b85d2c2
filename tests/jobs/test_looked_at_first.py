"""Before any work: whether the images fit, and whether groups of different roles share any."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from offmanifold.jobs.audits.specs import gather_facts, load_spec
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.drive.driver import provenance_of
from offmanifold.jobs.spec.facts import Facts
from offmanifold.jobs.spec.shared import ChosenImages, shared_images
from offmanifold.workers.datasets import open_dataset
from PIL import Image
from typer.testing import CliRunner, Result

SIDE = 8


def picture(level: int, mode: str = "L", size: int = SIDE, kind: str = "PNG") -> bytes:
    sink = io.BytesIO()
    values = (np.arange(size * size).reshape(size, size) + level).astype(np.uint8)
    made = Image.fromarray(values).convert(mode)
    if mode == "RGBA":
        made.putalpha(level)
    made.save(sink, kind)
    return sink.getvalue()


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def spec_of(place: Path, *groups: dict[str, Any]) -> Path:
    spec = {
        "name": "looked-at",
        "generators": [{"name": "digits", "source": "shipped:digits"}],
        "groups": [{"dataset": "folder", **group} for group in groups],
        "stages": {"inversion": {}},
        "cluster": {"executor": "serial"},
    }
    file = place / "audit.yaml"
    file.write_text(yaml.safe_dump(spec))
    return file


TRAIN = {"name": "train", "role": "train", "path": "train", "class": 3}
TEST = {"name": "test", "role": "test", "path": "test", "class": 3}


def command(verb: str, spec: Path) -> Result:
    out = ["--out", str(spec.parent / "run")] if verb == "run" else []
    return CliRunner().invoke(app, [verb, str(spec), *out])


@pytest.mark.parametrize(
    ("content", "expected", "remedy"),
    [
        (picture(9, size=12), "has shape 1x12x12, but the audit needs 1x8x8", "resize"),
        (picture(9, "RGBA"), "64 of 64 pixels that are not opaque", "alpha"),
    ],
    ids=["size", "alpha"],
)
@pytest.mark.parametrize("verb", ["plan", "run"])
def test_a_misfit_ends_plan_and_run_before_any_work(
    tmp_path: Path, content: bytes, expected: str, remedy: str, verb: str
) -> None:
    write(tmp_path / "train", {"a.png": picture(1), "b.png": content, "c.png": picture(3)})
    done = command(verb, spec_of(tmp_path, TRAIN))
    told = " ".join(done.stderr.split())
    assert done.exit_code == 2
    assert "groups.train" in told
    assert "b.png" in told
    assert expected in told
    assert not (tmp_path / "run").exists()
    # What the message names is enough.
    ways = {"resize": ("lanczos",), "alpha": ("white", "drop")}[remedy]
    for way in ways:
        assert f"{remedy}: {way}" in told
        mended = gather_facts(load_spec(str(spec_of(tmp_path, {**TRAIN, remedy: way}))))
        assert mended.groups["train"].length == 3


def test_what_is_done_to_pictures_is_told(tmp_path: Path) -> None:
    grey = picture(1)
    files = {"a.png": grey, "b.png": picture(2, "RGBA"), "c[/x]\x1b.png": b"torn"}
    write(tmp_path / "train", {name.replace("/", "_"): file for name, file in files.items()})
    planned = command("plan", spec_of(tmp_path, {**TRAIN, "alpha": "drop"}))
    told = " ".join(planned.output.split())
    assert "3 images read; 1 with an alpha channel; 1 that cannot be read, such as" in told
    assert "\x1b" not in told


def test_names_are_no_markup(tmp_path: Path) -> None:
    write(tmp_path / "train", {"[/red]/a.png": picture(1), "[/red]/b[bold].txt": b"x"})
    planned = command("plan", spec_of(tmp_path, TRAIN))
    assert planned.exit_code == 0, planned.output
    assert "[/red]/b[bold].txt" in " ".join(planned.output.split())


def facts_of(place: Path, *groups: dict[str, Any]) -> Facts:
    return gather_facts(load_spec(str(spec_of(place, *groups))))


def test_pictures_that_train_and_test_share_are_told(tmp_path: Path) -> None:
    """By their pixels: another name, another format, another place of the same is the same."""
    write(tmp_path / "train", {f"{level}.png": picture(level) for level in range(6)})
    write(tmp_path / "test", {f"{level}.png": picture(level) for level in range(7, 10)})
    write(tmp_path / "test", {"copy.bmp": picture(2, kind="BMP"), "again.png": picture(2)})
    write(tmp_path / "test", {"colour.png": picture(5, "RGB")})
    outliers = {"name": "odd", "role": "outlier", "path": "train", "count": 2}
    (shared,) = facts_of(tmp_path, TRAIN, TEST).shared
    assert (shared.one, shared.other, shared.count, shared.compared) == ("train", "test", 2, 6)
    assert shared.complete
    spec = spec_of(tmp_path, TRAIN, TEST, outliers)
    told = " ".join(command("plan", spec).output.split())
    assert "train and test share pictures: 2 of 6 images of train are also in test, such as" in told
    loaded = load_spec(str(spec))
    kept = provenance_of(loaded, gather_facts(loaded))["shared_images"]
    kept = json.loads(json.dumps(kept))
    assert (kept["train, test"]["count"], kept["train, odd"]["count"]) == (2, 2)


def test_only_the_images_that_are_taken_are_compared(tmp_path: Path) -> None:
    write(tmp_path / "train", {f"{level}.png": picture(level) for level in range(40)})
    (all_of,) = facts_of(tmp_path, TRAIN, {**TEST, "path": "train"}).shared
    assert all_of.count == 40
    some = {**TRAIN, "count": 20}, {**TEST, "path": "train", "count": 20}
    (shared,) = facts_of(tmp_path, *some).shared
    assert 0 < shared.count < 20
    apart = {**TRAIN, "name": "other"}
    assert facts_of(tmp_path, TRAIN, apart).shared == ()


def test_images_of_classes_that_are_not_evaluated_are_not_compared(tmp_path: Path) -> None:
    files = {f"{label}/{n}.png": picture(9 * label + n) for label in (3, 5) for n in range(4)}
    write(tmp_path / "train", files)
    write(tmp_path / "test", {"3/a.png": picture(28), "5/a.png": picture(46)})
    groups = [{**each, "class": None} for each in (TRAIN, TEST)]
    (shared,) = facts_of(tmp_path, *groups).shared
    assert shared.count == 2
    spec = yaml.safe_load((tmp_path / "audit.yaml").read_text())
    spec["generators"][0]["conditions"] = [5]
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump(spec))
    (shared,) = gather_facts(load_spec(str(tmp_path / "audit.yaml"))).shared
    assert (shared.count, shared.compared) == (1, 4)
    assert shared.examples[0].endswith("5/1.png")


def test_beyond_the_bound_there_may_be_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offmanifold.jobs.spec.shared.MOST_COMPARED", 3)
    write(tmp_path, {f"{level}.png": picture(level) for level in range(9)})
    images = open_dataset("folder", path=tmp_path, image_shape=(1, SIDE, SIDE))
    groups = [ChosenImages(role, role, images, range(9)) for role in ("train", "test")]
    (shared,) = shared_images(groups)
    assert "at least 3 images of train" in str(shared)
