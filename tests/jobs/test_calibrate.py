"""Verdicts are tried on culprits: the honest one is left alone, and the fault that is looked for
is found."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.core.culprits.classes import DROPS_A_CLASS, HONEST, UNEVEN_CLASSES
from offmanifold.core.culprits.copies import copying_culprits
from offmanifold.core.statistics.interval import Interval
from offmanifold.jobs.audits.class_shares.detector import class_shares_detector
from offmanifold.jobs.audits.copies.detector import copies_detector
from offmanifold.jobs.audits.detector import Detector, DetectorMaker
from offmanifold.jobs.audits.specs import gather_facts, load_spec
from offmanifold.jobs.commands.calibrate import Calibration, Trial, calibration_table
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.plan.stage import AuditContext
from offmanifold.workers.resources import Resources
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from .conftest import write_spec

REPEATS = 40
# Of 40 repeats with a chance of 5% as many have one of 1 in 1,000.
MOST_FALSE_ALARMS = 7
_DIGITS = {"dataset": "digits"}
STAGES = {
    "annotator": {**_DIGITS, "split": "train", "architecture": "linear", "most_rounds": 5},
    "class_shares": {**_DIGITS, "split": "test"},
    "copies": {**_DIGITS, "split": "train", "held_out": {**_DIGITS, "split": "test"}},
}

Opened = Callable[[DetectorMaker], Detector]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    spec = load_spec(str(write_spec(tmp_path, spec_of(STAGES))))
    context = AuditContext(spec, gather_facts(spec))
    resources = Resources(LocalStorage.create(tmp_path / "run"), torch.device("cpu"))
    return lambda maker: maker(context, resources)


def spec_of(stages: dict[str, object]) -> dict[str, object]:
    return {
        "name": "tried",
        "generators": [{"name": "gan", "source": "shipped:digits"}],
        "groups": [{"name": "generated", "role": "generated", "count": 2}],
        "stages": stages,
        "cluster": {"executor": "serial"},
    }


def test_class_shares_find_a_missing_class_and_leave_an_honest_generator_alone(
    opened: Opened,
) -> None:
    detector = opened(class_shares_detector)
    assert detector.answers(HONEST, REPEATS).count("bad") < MOST_FALSE_ALARMS
    # Real halves are told apart in 5%, and then nothing is decided.
    assert detector.answers(DROPS_A_CLASS, REPEATS).count("bad") > REPEATS - MOST_FALSE_ALARMS
    assert detector.answers(HONEST, 3) == detector.answers(HONEST, 3)
    assert "1,297 generated against 500 held-out" in detector.notes[0]


def test_copies_are_found_and_an_honest_generator_is_left_alone(opened: Opened) -> None:
    detector = opened(copies_detector)
    culprits = {
        each.name: each
        for each in copying_culprits(detector.real.training, detector.real.training_labels)
    }
    assert detector.answers(HONEST, REPEATS).count("bad") < MOST_FALSE_ALARMS
    said = detector.answers(culprits["replay-flipped"], 5)
    assert said.count("bad") >= 4
    assert "good" not in said
    # Images so few: the note says which share of copies they show.
    assert "A share of 5.0% would be found" in detector.notes[0]


def test_a_class_of_one_image_ends_no_calibration(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    for name, count in {"train/0": 50, "train/1": 10, "test/0": 110, "test/1": 1}.items():
        (tmp_path / name).mkdir(parents=True)
        for index in range(count):
            pixels = noise.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.png")
    folder = {"dataset": "folder", "path": str(tmp_path)}
    copies = {**folder, "split": "train", "held_out": {**folder, "split": "test"}}
    spec = load_spec(str(write_spec(tmp_path, spec_of({"copies": copies}))))
    context = AuditContext(spec, gather_facts(spec))
    resources = Resources(LocalStorage.create(tmp_path / "run"), torch.device("cpu"))
    detector = copies_detector(context, resources)
    for culprit in (DROPS_A_CLASS, UNEVEN_CLASSES):
        assert "open" in detector.answers(culprit, 8)


def test_a_spec_without_such_a_verdict_is_refused(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, spec_of({"images": {}, "inversion": {}}))
    result = CliRunner().invoke(app, ["calibrate", str(spec)])
    assert result.exit_code == 2
    assert "none has a verdict that can be tried" in " ".join(result.output.split())


def test_the_table_says_which_are_false_alarms() -> None:
    trials = (
        Trial("shares", "honest", "", Interval(0.05, 0.019, 0.107, 100), Interval(0.9, 0.8, 1, 9)),
        Trial(
            "shares",
            "blur",
            "is not sharp",
            Interval(0.5, 0.4, 0.6, 100),
            Interval(0, 0, 0.03, 100),
        ),
    )
    console = Console(width=140)
    with console.capture() as captured:
        console.print(calibration_table(Calibration("digits", trials, ("A note.",))))
    lines = [" ".join(line.split()) for line in captured.get().splitlines()]
    assert "shares honest nothing: false alarms 5.0 [1.9, 10.7] 90.0 [80.0, 100.0] 100" in lines
    assert "shares blur is not sharp 50.0 [40.0, 60.0] 0.0 [0.0, 3.0] 100" in lines
    assert "A note." in lines
