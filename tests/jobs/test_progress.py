"""What a run shows of how far it is: in lines, and in a bar on a terminal."""

import io
from dataclasses import dataclass
from pathlib import Path

import pytest
from offmanifold.jobs.audits.specs import load_spec
from offmanifold.jobs.drive.driver import run_audit
from offmanifold.jobs.drive.progress import Progress, StageProgress
from rich.console import Console

from .conftest import small_spec, write_spec


@dataclass(frozen=True)
class Report:
    task_id: str
    rows: int
    failed: int = 0
    seconds: float = 1.0
    published: bool = True


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def shown(*, terminal: bool = False) -> tuple[Progress, Clock, io.StringIO]:
    text, clock = io.StringIO(), Clock()
    console = Console(file=text, force_terminal=terminal, width=120, legacy_windows=False)
    return Progress(console, clock), clock, text


def test_lines_have_parts_of_items_with_rate_and_time_left() -> None:
    progress, clock, text = shown()
    with progress.stage("likelihood", 3, 90, 30) as stage:
        clock.now = 16.0
        stage.unreported(0.02)
        clock.now = 40.0
        stage.unreported(2.5)
        clock.now = 41.0
        stage.unreported(3.0)
        clock.now = 400.0
        stage.report(Report("a", 30, failed=1))
        # Of the shard that is reported nothing is left among those in work.
        stage.unreported(0.0)
        clock.now = 401.0
        stage.report(Report("b", 30))
    assert text.getvalue().splitlines() == [
        "likelihood: 90 items in 3 shards, 30 done before",
        "likelihood: 30.0/90 items",
        "likelihood: 32.5/90 items, 16.0 s an item, 15 min left",
        "likelihood: 60/90 items, 13.3 s an item, 7 min left",
        "likelihood: finished in 401.0 s, 1 failed",
    ]


def test_lines_become_rarer() -> None:
    progress, clock, text = shown()
    with progress.stage("likelihood", 1, 90, 0) as stage:
        for second in range(24 * 3600):
            clock.now = float(second)
            stage.unreported(second / 1000)
    assert 50 < len(text.getvalue().splitlines()) < 150


def test_more_than_planned_is_never_shown() -> None:
    progress, clock, text = shown()
    with progress.stage("likelihood", 1, 4, 0) as stage:
        clock.now = 20.0
        stage.unreported(9.0)
    assert "4/4 items, 5.0 s an item, 0.0 s left" in text.getvalue()


def test_a_stage_without_items_has_no_rate() -> None:
    progress, clock, text = shown(terminal=True)
    with progress.stage("null_fit", 0, 0, 0) as stage:
        clock.now = 20.0
        stage.unreported(0.0)
    assert "0/0 items" in text.getvalue()


def test_a_terminal_has_a_bar_that_moves_inside_a_shard() -> None:
    progress, clock, text = shown(terminal=True)
    with progress.stage("inversion", 1, 8, 0) as stage:
        clock.now = 4.0
        stage.unreported(2.0)
        progress.say("a line above the bar")
    drawn = text.getvalue()
    assert "25%" in drawn
    assert "2/8 items, 2.0 s an item, 12.0 s left" in drawn
    assert "a line above the bar" in drawn
    assert "finished" not in drawn


def test_a_run_tells_of_shards_that_are_not_finished(
    audit_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In-process and with real work: planned evaluations against those that were counted."""
    monkeypatch.setattr("offmanifold.cluster.serial_executor._INTERVAL_SECONDS", 0.001)
    spec = small_spec()
    spec["groups"] = [group for group in spec["groups"] if group["role"] == "train"]
    spec["stages"] = {"inversion": {"iterations": 200, "restarts": 4, "bank": 64}}
    of_inversion: list[float] = []
    tell = StageProgress.unreported

    def told(stage: StageProgress, items: float) -> None:
        # 12 images under 2 classes.
        if items and stage._total == 24:
            of_inversion.append(items)
        tell(stage, items)

    monkeypatch.setattr(StageProgress, "unreported", told)
    console = Console(file=io.StringIO())
    loaded = load_spec(str(write_spec(audit_folder, spec)))
    run_audit(loaded, str(audit_folder / "run"), Progress(console))
    assert len(of_inversion) > 10
    assert of_inversion == sorted(of_inversion)
    assert of_inversion[-1] <= 24
    # The plan counts what is computed: so the last word, just before the end, is near it.
    assert of_inversion[-1] > 20
