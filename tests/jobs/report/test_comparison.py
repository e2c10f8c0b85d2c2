"""Pairing and reading of a comparison, on tables whose numbers are known."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from offmanifold.jobs.audits.likelihood.densities import trusted_estimator
from offmanifold.jobs.audits.specs import Spec
from offmanifold.jobs.compare.pairing import Difference
from offmanifold.jobs.compare.runs import Comparison, compare_sides
from offmanifold.jobs.compare.side_by_side import difference_table, headline_table
from offmanifold.jobs.compare.sides import Side
from offmanifold.jobs.record.versions import Versions
from offmanifold.jobs.report.words import BOUND
from offmanifold.jobs.results.reduction import reduce_run
from offmanifold.jobs.spec.audit import MODEL_ROLES, AuditSpec

from .conftest import headers, texts


def spec_of(groups: list[Any]) -> AuditSpec:
    """A spec whose stages make what a synthetic run has."""
    return Spec.model_validate(
        {
            "name": "synthetic",
            "generators": [{"name": "small", "source": "shipped:digits"}],
            "groups": [
                {"name": group.name, "role": group.role, "count": 60, "conditions": "all"}
                | ({} if group.role in MODEL_ROLES else {"dataset": "digits"})
                for group in groups
            ]
            + [{"name": "null", "role": "null", "count": 64}],
            "stages": {"inversion": {}, "variance": {}, "likelihood": {}},
        }
    )


@pytest.fixture
def pair(synthetic_run: Callable[..., Any], tmp_path: Path) -> list[Side]:
    """A run, and one with ln p of test images about 3 nats up, errors doubled, and one moved on."""
    run = synthetic_run()
    sides: list[Side] = []
    for letter in "AB":
        folder = tmp_path / letter
        folder.mkdir()
        run.run_dir = folder
        if letter == "B":
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
        (generator,) = context.generators
        side = Side(
            letter,
            context,
            spec_of(list(context.groups)),
            generator,
            weights="0" * 64,
            trusted=trusted_estimator(context.tables),
            datasets={},
            instruments={},
            versions=Versions("1", "offmanifold 1", {}, {}),
            # The pairs come from the parts: both may have the first one's summary.
            rows=sides[0].rows if sides else reduce_run(context).to_pylist(),
        )
        sides.append(side)
    return sides


def difference(comparison: Comparison, **keys: str | None) -> Difference:
    (found,) = [
        each
        for each in comparison.differences
        if all(getattr(each, key) == value for key, value in keys.items())
    ]
    return found


def test_differences_are_of_the_shared_images_that_both_computed(pair: list[Side]) -> None:
    comparison = compare_sides(pair)
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
    assert (accuracy.interval.low, accuracy.interval.value, accuracy.interval.high) == (0, 0, 0)


def test_words_follow_the_interval_and_headlines_hold_every_side(pair: list[Side]) -> None:
    comparison = compare_sides(pair)
    headlines = headline_table(comparison)
    assert headlines is not None
    assert headers(headlines)[-3:] == ["A", "B", "N"]
    assert all(row[-3] == row[-2] for row in texts(headlines))
    assert "classical" not in {cell for row in texts(headlines) for cell in row}
    table = difference_table(comparison, headlines=True)
    assert table is not None
    assert BOUND in headlines.caption
    assert BOUND in table.caption
    said = {(row[1], row[2]): row[6] for row in table.rows if row[4] != "classical"}
    assert said[("ln p, nats", "test")] == "B is higher"
    assert said[("mean squared error", "train")] == "B is higher"
    exchanged = [
        replace(side, letter=letter) for letter, side in zip("AB", reversed(pair), strict=True)
    ]
    reverse = difference_table(compare_sides(exchanged), headlines=True)
    assert reverse is not None
    back = {(row[1], row[2]): row[6] for row in reverse.rows}
    assert back[("ln p, nats", "test")] == "B is lower"


def test_the_same_values_are_said_to_be_equal(pair: list[Side]) -> None:
    table = difference_table(compare_sides(pair), headlines=True)
    assert table is not None
    said = {(row[1], row[2]): row[6] for row in table.rows if row[4] != "classical"}
    assert said[("ln p, nats", "train")] == "equal"
