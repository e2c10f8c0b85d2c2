"""Class shares and diversity as stages: from a spec to tables, summary and answers."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.core.classifiers.training import ClassifierTraining
from offmanifold.core.statistics.interval import Interval
from offmanifold.jobs.audits import METRICS
from offmanifold.jobs.audits.class_shares.annotator_plan import plan
from offmanifold.jobs.audits.class_shares.section import class_shares_kept
from offmanifold.jobs.audits.specs import gather_facts, load_spec
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.plan.stage import AuditContext
from offmanifold.jobs.reduce.context import GeneratorInfo
from offmanifold.jobs.reduce.schema import class_condition, exact, summary_row, summary_table
from offmanifold.jobs.report.summary import Summary
from offmanifold.jobs.report.view import View
from offmanifold.jobs.spec.loading import SpecError
from offmanifold.workers import classifiers
from offmanifold.workers.resources import Resources
from offmanifold.workers.spooled_images import SpooledImages
from sklearn.datasets import load_digits
from typer.testing import CliRunner

from .conftest import write_spec

CLASSES = 10
_SETS = {"learned": (0, 590), "held": (590, 1190), "honest": (1190, 1797)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of an honest generator, of one that lacks three classes, and of a GAN.

    The honest one is a third part of the digits, which no classifier learned from.
    """
    folder = tmp_path_factory.mktemp("shares")
    write_sets(folder)
    result = CliRunner().invoke(
        app, ["run", str(write_spec(folder, spec_of())), "--out", str(folder / "run")]
    )
    assert result.exit_code == 0, result.output
    (folder / "output.txt").write_text(" ".join(result.output.split()))
    return folder


def write_sets(folder: Path) -> None:
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    images = np.round(digits.images[order] / 16 * 255).astype(np.uint8)[..., None]
    labels = digits.target[order].astype(np.int64)
    for name, (start, stop) in _SETS.items():
        np.savez(folder / f"{name}.npz", images[start:stop], labels[start:stop])
    made, classes = images[1190:].copy(), labels[1190:].copy()
    lost, zeros = np.isin(classes, (3, 4, 5)), np.flatnonzero(classes == 0)
    chosen = np.random.default_rng(1).choice(zeros, int(lost.sum()))
    made[lost], classes[lost] = made[chosen], 0
    np.savez(folder / "lacking.npz", made, classes)


def spec_of(**stages: Any) -> dict[str, Any]:
    return {
        "name": "shares",
        "generators": [
            {"name": "honest", "samples": {"dataset": "npz", "path": "honest.npz"}},
            {"name": "lacking", "samples": {"dataset": "npz", "path": "lacking.npz"}},
            {"name": "gan", "source": "shipped:digits"},
        ],
        "groups": [{"name": "generated", "role": "generated", "count": 2}],
        "stages": {
            "annotator": {
                "dataset": "npz",
                "split": None,
                "path": "learned.npz",
                "architecture": "linear",
                "most_rounds": 6,
            },
            "class_shares": {"dataset": "npz", "split": None, "path": "held.npz"},
            "diversity": {"factors": [1, 3, 30], "repeats": 2, "most_rounds": 2},
        }
        | stages,
        "cluster": {"executor": "serial"},
    }


def value(finished: Path, generator: str, metric: str, condition: str | None = None) -> pd.Series:
    summary = pd.read_parquet(finished / "run" / "summary.parquet")
    of = (summary.generator == generator) & (summary.metric == metric)
    found = summary[of & ((summary.condition == condition) | (condition is None))]
    assert len(found) == 1
    return found.iloc[0]


def answers(finished: Path, generator: str) -> str:
    names = [each["name"] for each in spec_of()["generators"]]
    text = (finished / "output.txt").read_text().partition(f" {generator} Does ")[2]
    for name in names:
        text = text.partition(f" {name} Does ")[0]
    return text


def test_the_honest_is_not_convicted_and_one_that_lacks_classes_is(finished: Path) -> None:
    for generator in ("honest", "gan"):
        said = answers(finished, generator)
        assert "its share? Not decided" in said
        assert "as its data? Not decided" in said
        assert value(finished, generator, "class_shares_p_value").value > 0.05
        assert value(finished, generator, "equivalent_share").low <= 1
    said = answers(finished, "lacking")
    assert "its share? No" in said
    assert "as its data? No" in said
    assert value(finished, "lacking", "class_shares_p_value").value < 1e-3
    assert value(finished, "lacking", "equivalent_share").low > 1
    for lost in (3, 4, 5):
        assert value(finished, "lacking", "class_share_ratio", f"class {lost}").high < 0.2
        accuracy = value(finished, "lacking", "classifier_class_accuracy", f"linear, class {lost}")
        assert accuracy.value == 0


def test_the_summary_says_what_the_tables_hold(finished: Path) -> None:
    table = pd.read_parquet(finished / "run" / "annotations")
    real = table[table.group == "held-out"]
    made = table[table.generator == "gan"]
    assert len(real) == 600
    assert len(made) == 590
    assert (made.label == made.condition).all()
    right = value(finished, "gan", "label_correctness").value
    assert right == pytest.approx((made.predicted == made.label).mean())
    assert value(finished, "gan", "annotator_test_accuracy").value == pytest.approx(
        (real.predicted == real.label).mean()
    )
    shown = made[made.pixels.notna()]
    assert shown.groupby("predicted").size().tolist() == [8] * CLASSES
    assert (shown.sort_values("image_id").pixels.map(len) == 64).all()
    shares = [np.bincount(each.predicted, minlength=CLASSES) / len(each) for each in (made, real)]
    assert value(finished, "gan", "class_total_variation").value == pytest.approx(
        np.abs(shares[0] - shares[1]).sum() / 2
    )
    (annotator,) = pd.read_parquet(finished / "run" / "annotator").to_dict("records")
    assert annotator["test_accuracy"] == pytest.approx((real.predicted == real.label).mean())
    models = pd.read_parquet(finished / "run" / "classifiers")
    assert sorted(models.source.unique()) == ["generated", "real"]
    assert models[models.factor == 30].images.tolist() == [20, 20]
    named = models.image_id == "linear-generated-00001-0"
    (once,) = models[named & (models.generator == "gan")].to_dict("records")
    assert once["images"] == 590
    confusion = np.reshape(once["test_confusion"], (CLASSES, CLASSES))
    assert confusion.sum() == len(once["test_correct"]) == 600
    assert confusion.trace() / 600 == pytest.approx(once["test_accuracy"])


def test_the_report_has_both_sections_and_what_training_left_is_gone(finished: Path) -> None:
    page = (finished / "run" / "report.html").read_text()
    assert "Does each class get its share?" in page
    assert "Is it as diverse as the data?" in page
    assert "had not converged when training ended" in page
    assert page.count("Generated images in rows by the annotator") == 3
    left = finished / "run" / "_training"
    assert not left.exists() or not list(left.iterdir())


@pytest.mark.parametrize(
    ("hidden", "corrected", "answer", "said"),
    [
        (1.5, True, "yes", ""),
        (4.0, True, "undecided", "4.0 times as large"),
        (None, True, "undecided", "cannot tell"),
        (None, False, "undecided", "lack a class"),
    ],
)
def test_shares_are_alike_only_as_far_as_the_annotator_can_tell_classes(
    hidden: float | None, corrected: bool, answer: str, said: str
) -> None:
    """One that gives every image the same label sees no difference between any two generators."""
    numbers = {"floor": exact(0.01, 9000), "hidden": None if hidden is None else exact(hidden, 900)}
    rows = [
        summary_row("class_total_variation", Interval(0.01, 0.0, 0.02, 9000), generator="g"),
        summary_row("class_shares_p_value", exact(0.6, 9000), generator="g"),
        *(
            summary_row(f"class_total_variation_{name}", each, generator="g")
            for name, each in numbers.items()
            if each is not None
        ),
    ]
    if corrected:
        share = Interval(0.5, 0.45, 0.55, 900)
        keys = {"generator": "g", "condition": class_condition(0)}
        rows.append(summary_row("class_share_corrected", share, **keys))
    nothing: Any = None
    summary = Summary(summary_table(rows, METRICS))
    verdict = class_shares_kept(View(nothing, summary, GeneratorInfo("g", 0, (1, 8, 8))))
    assert verdict is not None
    (finding,) = verdict.findings
    assert finding.answer == answer
    assert said in finding.sentence


class KilledError(Exception):
    """In the place of the signal."""


@pytest.mark.parametrize("damaged", [False, True])
def test_training_goes_on_where_a_killed_worker_left_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, damaged: bool
) -> None:
    write_sets(tmp_path)
    spec = load_spec(str(write_spec(tmp_path, spec_of())))
    context: Any = AuditContext(spec, gather_facts(spec))
    (shard,) = plan(context)

    def rows(run: str) -> Any:
        resources = Resources(LocalStorage.create(tmp_path / run), torch.device("cpu"))
        return classifiers.train_annotator(shard.items, shard.settings, resources)

    (whole,) = rows("whole")
    advance, calls = ClassifierTraining.advance, []

    def dies(training: ClassifierTraining, batches: int) -> None:
        calls.append(training.progress.round)
        if len(calls) == 4:
            raise KilledError
        advance(training, batches)

    monkeypatch.setattr(classifiers, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(ClassifierTraining, "advance", dies)
    with pytest.raises(KilledError):
        rows("killed")
    (state,) = (tmp_path / "killed" / "_training").iterdir()
    if damaged:
        content = bytearray(state.read_bytes())
        content[len(content) // 2] ^= 1
        state.write_bytes(content)
    calls.extend([0] * 10)
    (resumed,) = rows("killed")
    # It began again with the fourth of six rounds, or the first.
    assert next(each for each in calls[4:] if each) == (1 if damaged else 3)
    assert (f"{state} is damaged: that training starts anew" in caplog.text) == damaged
    assert list((tmp_path / "killed" / "_training").iterdir()) == []
    assert np.array_equal(resumed.pop("weights"), whole.pop("weights"))
    assert resumed == whole


@pytest.mark.parametrize("levels", [17, 256, 2**12, None])
def test_spooled_images_are_those_that_came(levels: int | None) -> None:
    rng = np.random.default_rng(0)
    values = rng.random((40, 1, 3, 5), dtype=np.float32)
    if levels is not None:
        values = (np.round(values * (levels - 1)) / (levels - 1)).astype(np.float32)
    spool = SpooledImages((1, 3, 5), levels, 40, torch.device("cpu"))
    for start in (0, 25):
        stop = 25 if start == 0 else 40
        spool.extend(torch.from_numpy(values[start:stop]), list(range(start, stop)))
    chosen = rng.permutation(40)[:13]
    assert np.allclose(spool.batch(chosen).numpy(), values[chosen], rtol=0, atol=1e-6)
    assert spool.labels.tolist() == list(range(40))


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ({"annotator": None}, "stages.class_shares needs an annotator"),
        ({"class_shares": None, "diversity": None}, "stages.annotator labels nothing"),
        (
            {"class_shares": {"dataset": "npz", "split": None, "path": "learned.npz"}},
            "are those that stages.annotator learns from",
        ),
        ({"diversity": {"factors": [2, 4]}}, "expected 1 and numbers that ascend"),
        ({"diversity": {"factors": [1, 100]}}, "give factors of 59 at most"),
        (
            {"diversity": {"factors": [1, 2], "multiples": [1, 2]}},
            "give more samples, smaller multiples",
        ),
        (
            {"class_shares": {"dataset": "npz", "split": None, "path": "held.npz", "images": 700}},
            "stages.class_shares.images: 700 images of generator honest",
        ),
    ],
)
def test_what_cannot_be_is_said_before_any_work(
    tmp_path: Path, stages: dict[str, Any], said: str
) -> None:
    write_sets(tmp_path)
    spec = spec_of(**stages)
    spec["stages"] = {name: each for name, each in spec["stages"].items() if each is not None}
    with pytest.raises(SpecError, match=said):
        gather_facts(load_spec(str(write_spec(tmp_path, spec))))
