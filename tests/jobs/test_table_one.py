"""The presets of the paper's tasks, on imitations of the sets' layouts, and attributes in a run."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from offmanifold.core.classifiers.combined import CombinedLabeller
from offmanifold.core.classifiers.own import OwnClassifier
from offmanifold.jobs.audits.class_shares.annotator_plan import annotator_shards
from offmanifold.jobs.audits.specs import gather_facts, load_spec
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.plan.stage import AuditContext
from offmanifold.jobs.spec.loading import SpecError
from PIL import Image
from typer.testing import CliRunner

from ..workers.paper_sets import picture, write_celeba, write_scene
from .conftest import write_spec

SCENES = ("bedroom", "kitchen", "classroom", "conference_room", "dining_room", "living_room")
# Presets that differ from another one by their attributes or scenes alone: for the long tests.
LIKE_ANOTHER = (
    "celeba-makeup-smiling",
    "celeba-bangs-smiling",
    "lsun-5",
    "celeba-smiling",
    "celeba-black-hair",
)
# Of each preset: how many classes, annotators to train, and whether samples have classes.
PRESETS = {
    "celeba-makeup-smiling": (4, 3, ()),
    "celeba-male-mouth": (4, 3, ()),
    "celeba-bangs-smiling": (4, 3, ()),
    "lsun-3": (3, 1, ()),
    "lsun-5": (5, 1, ()),
    "celeba-male": (2, 1, ("0", "1")),
    "celeba-smiling": (2, 1, ("0", "1")),
    "celeba-black-hair": (2, 1, ("0", "1")),
    "lsun-bedroom-kitchen": (2, 1, ("bedroom", "kitchen")),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_celeba(folder / "celeba", 12)
    for place, scene in enumerate(SCENES):
        write_scene(folder / "lsun" / f"{scene}_train_lmdb", 4, 100 * place)
        write_scene(folder / "lsun" / f"{scene}_val_lmdb", 3, 100 * place + 50)
    return folder


def write_samples(folder: Path, classes: tuple[str, ...]) -> None:
    for number in range(64):
        inside = folder / classes[number % 2] if classes else folder
        inside.mkdir(parents=True, exist_ok=True)
        picture(1000 + number, 64, 64).save(inside / f"{number}.png")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in LIKE_ANOTHER else [])
        for name in PRESETS
    ],
)
def test_a_task_of_the_paper_is_ready_for_who_has_the_data(
    name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes, annotators, named = PRESETS[name]
    for folder in ("celeba", "lsun"):
        (tmp_path / folder).symlink_to(data / folder)
    write_samples(tmp_path / "samples", named)
    monkeypatch.chdir(tmp_path)
    smaller = ["stages.diversity.factors=[1,2]"] if named else []
    smaller += ["stages.annotator.balance=4"] if name.startswith("lsun") else []
    spec = load_spec(name, tuple(smaller))
    facts = gather_facts(spec)
    for stage in ("annotator", "class_shares"):
        found = facts.references[stage]
        assert found.num_classes == classes
        assert len(set(np.bincount(found.labels or ()))) == 1
    assert len(annotator_shards(AuditContext(spec, facts))) == annotators
    samples = facts.generators["gan"].samples
    assert samples is not None
    assert (samples.labels is not None) == bool(named)


def test_both_annotators_are_trained_and_the_better_one_is_used(tmp_path: Path) -> None:
    """Bright or dark, and striped or not: each attribute is easy, and so are all four classes."""
    rng = np.random.default_rng(0)
    for folder, count in (("learned", 160), ("held", 120), ("made", 80)):
        (tmp_path / folder).mkdir()
        lines = ["file,bright,striped"]
        for number in range(count):
            bright, striped = number % 2, number // 2 % 2
            pixels = rng.normal(110 + 40 * bright, 30, (8, 8))
            pixels[::2] += 25 * striped
            name = f"{number:04d}.png"
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / folder / name)
            lines.append(f"{name},{bright},{striped}")
        (tmp_path / f"{folder}.csv").write_text("\n".join(lines))
    both = ["bright", "striped"]
    spec: dict[str, Any] = {
        "name": "attributes",
        "generators": [
            {
                "name": "gan",
                "samples": {"dataset": "folder", "path": "made", "image_shape": [1, 8, 8]},
            }
        ],
        "groups": [{"name": "generated", "role": "generated", "count": 2}],
        "stages": {
            "annotator": {
                "dataset": "folder",
                "split": None,
                "path": "learned",
                "labels": "learned.csv",
                "attribute": both,
                "architecture": "linear",
                "most_rounds": 3,
            },
            "class_shares": {
                "dataset": "folder",
                "split": None,
                "path": "held",
                "labels": "held.csv",
                "attribute": both,
            },
        },
        "cluster": {"executor": "serial"},
    }
    run = tmp_path / "run"
    result = CliRunner().invoke(app, ["run", str(write_spec(tmp_path, spec)), "--out", str(run)])
    assert result.exit_code == 0, result.output
    table = pd.read_parquet(run / "annotator").set_index("image_id")
    assert set(table.index) == {"annotator", "annotator of bright", "annotator of striped"}
    right = {name: np.stack(row) for name, row in table["test_correct"].items()}
    together = right["annotator of bright"] & right["annotator of striped"]
    summary = pd.read_parquet(run / "summary.parquet")
    alone = summary[summary.metric == "annotator_alone_accuracy"].set_index("condition")["value"]
    assert alone["every attribute"] == pytest.approx(together.mean())
    assert alone["all classes"] == pytest.approx(right["annotator"].mean())
    assert alone["annotator of bright"] == pytest.approx(right["annotator of bright"].mean())
    used = summary[summary.metric == "annotator_test_accuracy"]["value"].item()
    assert used == pytest.approx(max(alone["every attribute"], alone["all classes"]))
    labels = pd.read_parquet(run / "annotations")
    held = labels[labels.group == "held-out"]
    assert (held.predicted == held.label).mean() == pytest.approx(used)
    assert (
        "Held-out real images that each annotator labels rightly"
        in (run / "report.html").read_text()
    )
    spec["stages"]["class_shares"]["attribute"] = both[::-1]
    with pytest.raises(SpecError, match="the same attributes in the same order"):
        load_spec(str(write_spec(tmp_path, spec)))


def test_combined_logits_are_those_of_independent_attributes() -> None:
    first, second = torch.randn(5, 2), torch.randn(5, 2)
    parts = [
        OwnClassifier(answer, 2, (0.0, 1.0), "logits")
        for answer in (lambda _: first, lambda _: second)
    ]
    joint = CombinedLabeller(parts)(torch.rand(5, 1, 2, 2)).softmax(1)
    expected = first.softmax(1)[:, :, None] * second.softmax(1)[:, None, :]
    assert torch.allclose(joint, expected.flatten(1), atol=1e-6)


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        (["Male"], "a list of 2 to 10"),
        (["Male", "Male"], "a list of 2 to 10"),
        (["Male", ""], "attribute"),
    ],
)
def test_lists_of_attributes_that_are_none(
    tmp_path: Path, attribute: list[str], message: str
) -> None:
    spec = {
        "name": "a",
        "generators": [{"name": "gan", "source": "shipped:digits"}],
        "groups": [
            {"name": "t", "role": "train", "dataset": "celeba", "attribute": attribute, "count": 2}
        ],
        "stages": {},
    }
    with pytest.raises(SpecError, match=message):
        load_spec(str(write_spec(tmp_path, spec)))
