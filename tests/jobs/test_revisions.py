"""A revision is part of its shards' ids: raised, it computes them again, and nothing else."""

import importlib
import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from offmanifold.jobs.audits import STAGES
from offmanifold.jobs.commands.cli import app
from offmanifold.workers.inversion import COMPUTATION as INVERTING
from offmanifold.workers.inversion import INVERSION_TABLE
from offmanifold.workers.likelihood import (
    COMPARISON_TABLE,
    CONVERGENCE_TABLE,
    ESTIMATORS,
    LIKELIHOOD_TABLE,
    SWEEP_TABLE,
)
from offmanifold.workers.revisions import Computation
from offmanifold.workers.schema import TableSchema
from offmanifold.workers.shard import Item, Shard
from typer.testing import CliRunner

from ..registered import COMPUTATIONS, TABLES
from .conftest import lean_spec, write_spec

ITEM = Item("g", 1, "train", "train-000001", 1, seed=5, image_part="a", image_row=0)
RUN_STAGES = ("images", "inversion", "variance", "tuning", "likelihood", "comparison")


def shard(
    item: Item = ITEM,
    table: TableSchema = INVERSION_TABLE,
    computation: Computation = INVERTING,
    **settings: Any,
) -> Shard:
    return Shard(table, computation, settings, (item,))


def raise_revision(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """As an edit of the number does, for every shard that is planned from now on."""
    computation = COMPUTATIONS[name]
    monkeypatch.setitem(vars(computation), "revision", computation.revision + 1)


def test_a_computation_has_one_name_and_a_function() -> None:
    every = {each for stage in STAGES for each in stage.computations}
    assert sorted(each.name for each in every) == sorted(COMPUTATIONS)
    for computation in every:
        module, _, function = computation.entry.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_a_table_has_one_name_and_its_own_columns() -> None:
    assert len(TABLES) == len(STAGES)
    for table in TABLES.values():
        assert len(set(table.arrow.names)) == len(table.arrow.names)
        assert set(table.repeated_by) <= {name for name, _ in table.columns}


def test_a_shard_takes_little_on_its_way_to_a_worker() -> None:
    whole = shard(iterations=5)
    assert whole.table.arrow.names
    sent = pickle.dumps(whole)
    assert len(sent) < 2000
    assert pickle.loads(sent) == whole
    assert pickle.loads(sent).table.arrow.equals(INVERSION_TABLE.arrow, check_metadata=True)


def test_a_revision_changes_the_ids_of_its_computation_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ids() -> dict[str, str]:
        estimates = {
            f"{table.name} {estimator}": shard(
                table=table, computation=computation, estimator=estimator
            ).id
            for table in (LIKELIHOOD_TABLE, COMPARISON_TABLE, CONVERGENCE_TABLE, SWEEP_TABLE)
            for estimator, computation in ESTIMATORS.items()
        }
        return {"inversion": shard().id, **estimates}

    before = ids()
    assert len(set(before.values())) == len(before)
    raise_revision(monkeypatch, "likelihood.guided")
    after = ids()
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {name for name in before if name.endswith("guided")}


@dataclass(frozen=True)
class WiderItem(Item):
    """An item as it may be some day."""

    wavelength: float | None = None


def test_an_optional_field_or_setting_that_is_none_changes_no_id() -> None:
    base = shard(iterations=5)
    wider = WiderItem(**vars(ITEM))
    assert shard(wider, iterations=5).id == base.id
    assert shard(iterations=5, polish=None).id == base.id
    given = [
        shard(replace(wider, wavelength=0.0), iterations=5),
        shard(iterations=5, polish=0),
        shard(iterations=5, polish={"steps": None}),
        shard(iterations=5, polish={}),
    ]
    assert len({base.id, *(each.id for each in given)}) == 5


def estimates_spec() -> dict[str, Any]:
    """Both estimators on few images."""
    spec = lean_spec()
    for group in spec["groups"]:
        group["count"] = 2
    spec["stages"]["variance"] = {"estimator": "profile", "fit": "all"}
    spec["stages"]["comparison"] = {
        "estimator": "classical",
        "transitions": 3,
        "leapfrog_steps": 1,
        "chains": 2,
        "pilots": 1,
    }
    return spec


def run(folder: Path) -> Path:
    out = folder / "run"
    result = CliRunner().invoke(app, ["run", str(folder / "audit.yaml"), "--out", str(out)])
    assert result.exit_code == 0, result.output
    return out


def parts(folder: Path, stage: str) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in (folder / stage).glob("part-*.parquet")}


def rows(out: Path, stage: str) -> pd.DataFrame:
    table = pd.read_parquet(out / stage)
    return table.sort_values(["image_id", "condition"], ignore_index=True)


@pytest.mark.slow
@pytest.mark.ci
def test_a_resumed_run_computes_what_a_raised_revision_touches(
    audit_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_spec(audit_folder, estimates_spec())
    out = run(audit_folder)
    tables = {stage: rows(out, stage) for stage in RUN_STAGES}
    steps: list[tuple[set[str], set[str]]] = [
        (set(), set()),
        # The likelihood's settings hold the variance itself, which is the same as before.
        ({"variance.profile"}, {"variance"}),
        ({"likelihood.guided"}, {"likelihood"}),
        ({"likelihood.classical", "tuning"}, {"comparison", "tuning"}),
        # The guided chains begin at the inversion's latents, the classical ones do not.
        ({"inversion"}, {"inversion", "variance", "likelihood"}),
    ]
    for raised, computed in steps:
        before = {stage: parts(out, stage) for stage in RUN_STAGES}
        aside = {stage: parts(out / "_superseded", stage) for stage in RUN_STAGES}
        for computation in raised:
            raise_revision(monkeypatch, computation)
        run(audit_folder)
        for stage in RUN_STAGES:
            after = parts(out, stage)
            moved = parts(out / "_superseded", stage).keys() - aside[stage].keys()
            kept = before[stage].items() & after.items()
            assert moved == before[stage].keys() - after.keys()
            if stage not in computed:
                assert after == before[stage]
            elif stage == "likelihood" and "inversion" in raised:
                # Simulated images have no inversion: the shard of theirs depends on nothing new.
                (part,) = [name for name, _ in kept]
                assert set(pd.read_parquet(out / stage / part).group) == {"simulated"}
            else:
                assert not kept
            # The algorithm itself stayed as it was.
            pd.testing.assert_frame_equal(rows(out, stage), tables[stage])
