"""A revision is part of its shards' ids: raised, it computes them again, and nothing else."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from offmanifold.jobs.commands.cli import app
from offmanifold.workers.revisions import REVISIONS, computation_of
from offmanifold.workers.shard import Item, Shard
from typer.testing import CliRunner

from .conftest import lean_spec, write_spec

INVERSION, LIKELIHOOD = (
    f"offmanifold.workers.{module}:compute" for module in ("inversion", "likelihood")
)
ITEM = Item("g", 1, "train", "train-000001", 1, seed=5, image_part="a", image_row=0)
STAGES = ("images", "inversion", "variance", "tuning", "likelihood", "comparison")


def shard(stage: str, compute: str, item: Item = ITEM, **settings: Any) -> Shard:
    return Shard(stage, compute, settings, (item,))


@pytest.mark.parametrize(
    ("compute", "settings", "computation"),
    [
        ("images:compute_dataset", {}, "images.dataset"),
        ("images:compute_generated", {}, "images.generated"),
        ("inversion:compute", {}, "inversion"),
        ("likelihood:compute", {"estimator": "guided"}, "likelihood.guided"),
        ("likelihood:compute", {"estimator": "classical"}, "likelihood.classical"),
        ("reconstruction:compute", {}, "perceptual"),
    ],
)
def test_a_shards_computation_is_found(
    compute: str, settings: dict[str, str], computation: str
) -> None:
    assert computation_of(f"offmanifold.workers.{compute}", settings) == computation


@pytest.mark.parametrize(
    ("compute", "estimator", "name"),
    [
        ("offmanifold.workers.astrology:compute", None, "astrology"),
        (LIKELIHOOD, "sideways", "likelihood.sideways"),
        (LIKELIHOOD, None, "likelihood"),
    ],
)
def test_a_computation_without_a_revision_is_an_error(
    compute: str, estimator: str | None, name: str
) -> None:
    with pytest.raises(ValueError, match=rf"computation {name} .*workers/revisions\.py"):
        _ = shard("likelihood", compute, estimator=estimator).id


def test_a_revision_changes_the_ids_of_its_computation_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ids() -> dict[str, str]:
        estimates = {
            f"{stage} {estimator}": shard(stage, LIKELIHOOD, estimator=estimator).id
            for stage in ("likelihood", "comparison", "convergence", "sweep")
            for estimator in ("guided", "classical")
        }
        return {"inversion": shard("inversion", INVERSION).id, **estimates}

    before = ids()
    assert len(set(before.values())) == len(before)
    monkeypatch.setitem(REVISIONS, "likelihood.guided", 2)
    after = ids()
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {name for name in before if name.endswith("guided")}


@dataclass(frozen=True)
class WiderItem(Item):
    """An item as it may be some day."""

    wavelength: float | None = None


def test_an_optional_field_or_setting_that_is_none_changes_no_id() -> None:
    base = shard("inversion", INVERSION, iterations=5)
    wider = WiderItem(**vars(ITEM))
    assert shard("inversion", INVERSION, wider, iterations=5).id == base.id
    assert shard("inversion", INVERSION, iterations=5, polish=None).id == base.id
    given = [
        shard("inversion", INVERSION, replace(wider, wavelength=0.0), iterations=5),
        shard("inversion", INVERSION, iterations=5, polish=0),
        shard("inversion", INVERSION, iterations=5, polish={"steps": None}),
        shard("inversion", INVERSION, iterations=5, polish={}),
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
    tables = {stage: rows(out, stage) for stage in STAGES}
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
        before = {stage: parts(out, stage) for stage in STAGES}
        aside = {stage: parts(out / "_superseded", stage) for stage in STAGES}
        for computation in raised:
            monkeypatch.setitem(REVISIONS, computation, REVISIONS[computation] + 1)
        run(audit_folder)
        for stage in STAGES:
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
