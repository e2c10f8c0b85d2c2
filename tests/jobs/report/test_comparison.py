"""Pairing and reading of a comparison, on tables whose numbers are known."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.jobs.audits.specs import Spec
from offmanifold.jobs.compare.pairing import Difference
from offmanifold.jobs.compare.runs import Comparison, compare_runs
from offmanifold.jobs.compare.side_by_side import difference_table, headline_table
from offmanifold.jobs.record.kept_facts import keep_facts
from offmanifold.jobs.record.run_directory import (
    PROVENANCE_FILE,
    SPEC_FILE,
    SUMMARY_FILE,
    RunDirectory,
)
from offmanifold.jobs.results.reduction import reduce_run
from offmanifold.jobs.spec.audit import MODEL_ROLES
from offmanifold.jobs.spec.facts import DatasetFacts, Facts, GeneratorFacts
from offmanifold.jobs.spec.loading import dump_spec

from .conftest import CLASSES, SHAPE, headers, texts

STAGES: dict[str, Any] = {"inversion": {}, "variance": {}, "likelihood": {}}


def finish(folder: Path, groups: list[Any]) -> None:
    """Writes what a run has besides its parts."""
    spec = Spec.model_validate(
        {
            "name": "synthetic",
            "generators": [{"name": "small", "source": "shipped:digits"}],
            "groups": [
                {"name": group.name, "role": group.role, "count": 60, "conditions": "all"}
                | ({} if group.role in MODEL_ROLES else {"dataset": "digits"})
                for group in groups
            ]
            + [{"name": "null", "role": "null", "count": 64}],
            "stages": STAGES,
        }
    )
    found = {"num_classes": CLASSES, "image_shape": SHAPE, "sha256": "0" * 64}
    provenance = {"generators": {"small": found}, "datasets": {}}
    (folder / SPEC_FILE).write_text(dump_spec(spec))
    (folder / PROVENANCE_FILE).write_text(json.dumps(provenance))
    images = DatasetFacts("digits", None, None, {}, "0" * 64, "0" * 64, CLASSES, None, 60, 256)
    generator = GeneratorFacts(
        source="shipped:digits",
        name="small",
        sha256="0" * 64,
        latent_dim=5,
        num_classes=CLASSES,
        image_shape=SHAPE,
        evaluations_per_second=None,
    )
    datasets = {group.name: images for group in groups if group.role not in MODEL_ROLES}
    facts = Facts({"small": generator}, datasets, {}, SHAPE, backbone=None)
    keep_facts(RunDirectory(LocalStorage(folder)), facts)


@pytest.fixture
def pair(synthetic_run: Callable[..., Any], tmp_path: Path) -> list[Path]:
    """A run, and one with ln p of test images about 3 nats up, errors doubled, and one moved on."""
    run = synthetic_run()
    folders: list[Path] = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        run.run_dir = folder
        if name == "second":
            for row in run.rows["likelihood"]:
                rise = 2.5 + int(row["image_id"][-6:]) % 2
                row["log_likelihood"] += rise if row["group"] == "test" else 0.0
            for row in run.rows["inversion"]:
                row["mse"] *= 2.0
            moved = next(row for row in run.rows["images"] if row["image_id"] == "test-000004")
            moved["source"] = "test:elsewhere"
            lost = next(row for row in run.rows["likelihood"] if row["image_id"] == "test-000007")
            lost |= {"status": "failed", "error": "lost", "log_likelihood": None}
        context = run.write()
        # The pairs come from the parts: both runs may have the first one's summary.
        summary = folders[0] / SUMMARY_FILE if folders else None
        table = reduce_run(context) if summary is None else pq.read_table(summary)
        pq.write_table(table, folder / SUMMARY_FILE)
        finish(folder, list(context.groups))
        folders.append(folder)
    return folders


def difference(comparison: Comparison, **keys: str | None) -> Difference:
    (found,) = [
        each
        for each in comparison.differences
        if all(getattr(each, key) == value for key, value in keys.items())
    ]
    return found


def test_differences_are_of_the_shared_images_that_both_computed(pair: list[Path]) -> None:
    comparison = compare_runs(pair)
    shared = {each.group: (each.shared, each.altered) for each in comparison.overlaps}
    assert shared["test"] == (59, 0)
    assert shared["generated"] == (40, 0)
    assert "simulated" not in shared
    keys = {"metric": "log_likelihood", "estimator": "guided"}
    for condition, n in (("own", (58, 59)), ("marginal", (58,))):
        found = difference(comparison, **keys, group="test", condition=condition)
        interval = found.interval
        assert interval.value == pytest.approx(3.0, abs=0.02)
        # Every image differs by half a nat from the mean.
        width = 2 * 1.96 * 0.5 / np.sqrt(interval.n)
        assert interval.high - interval.low == pytest.approx(width, rel=0.2)
        # One image was moved; the class of another that failed may not be its own.
        assert interval.n in n
    other = {**keys, "estimator": "classical"}
    still = difference(comparison, **other, group="test", condition="own").interval
    assert still.value == 0.0
    errors = difference(comparison, metric="reconstruction_mse", group="train", condition="own")
    assert errors.interval.value > 0
    accuracy = difference(
        comparison, metric="accuracy_reconstruction", group="test", condition="every class"
    )
    # Of no image that one of them alone has right, more may be left out by chance.
    assert accuracy.interval.value == 0.0
    assert accuracy.interval.low == -accuracy.interval.high < 0


def test_words_follow_the_interval_and_headlines_hold_every_side(pair: list[Path]) -> None:
    comparison = compare_runs(pair)
    headlines = headline_table(comparison)
    assert headlines is not None
    assert headers(headlines)[-3:] == ["A", "B", "N"]
    assert all(row[-3] == row[-2] for row in texts(headlines))
    assert "classical" not in {cell for row in texts(headlines) for cell in row}
    table = difference_table(comparison, headlines=True)
    assert table is not None
    said = {(row[1], row[2]): row[6] for row in table.rows if row[4] != "classical"}
    assert said[("ln p, nats", "test")] == "B is higher"
    assert said[("mean squared error", "train")] == "B is higher"
    reverse = difference_table(compare_runs(pair[::-1]), headlines=True)
    assert reverse is not None
    back = {(row[1], row[2]): row[6] for row in reverse.rows}
    assert back[("ln p, nats", "test")] == "B is lower"


def test_the_same_values_are_said_to_be_equal(pair: list[Path]) -> None:
    table = difference_table(compare_runs(pair), headlines=True)
    assert table is not None
    said = {(row[1], row[2]): row[6] for row in table.rows if row[4] != "classical"}
    assert said[("ln p, nats", "train")] == "equal"
