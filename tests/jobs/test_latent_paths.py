"""The audit of paths along the latent: a generator that memorised, an honest one, and refusals."""

import html
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from offmanifold.core.statistics.latent_paths import dwell
from offmanifold.jobs.audits import METRICS
from offmanifold.jobs.audits.latent_paths.question import dwells_at_training
from offmanifold.jobs.audits.latent_paths.reduce import reduce_latent_paths
from offmanifold.jobs.audits.specs import gather_facts, load_spec
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.reduce.context import GeneratorInfo
from offmanifold.jobs.reduce.schema import exact, summary_row, summary_table
from offmanifold.jobs.report.summary import Summary
from offmanifold.jobs.report.verdict import Finding
from offmanifold.jobs.report.view import View
from offmanifold.jobs.spec.loading import SpecError
from offmanifold.workers.schema import STATUS_OK
from scipy.spatial.distance import cdist
from typer.testing import CliRunner

from .conftest import write_spec

PATHS, STEPS, HELD = 16, 10, 200
# A module is known by its name alone, so each test file has names of its own.
MODULE = """
import numpy as np
import torch
from offmanifold.core.generators.adapter import ModuleGenerator
from torch import nn

class Memory(nn.Module):
    def __init__(self):
        super().__init__()
        images = np.load(__file__.replace("latent_path_models.py", "training.npz"))["arr_0"]
        prototypes = torch.from_numpy(images[:300]).float().flatten(1) / 255
        random = torch.Generator().manual_seed(0)
        self.register_buffer("prototypes", prototypes)
        self.register_buffer("kinds", torch.randn(5, len(prototypes), generator=random))

    def forward(self, latent):
        return (torch.softmax(8 * latent @ self.kinds, 1) @ self.prototypes).view(-1, 1, 8, 8)

def memory():
    return ModuleGenerator(Memory(), latent_dim=5, num_classes=0, image_shape=(1, 8, 8),
                           native_range=(0, 1))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sklearn.datasets import load_digits

    place = tmp_path_factory.mktemp("latent-paths")
    digits = (load_digits().images * 15).astype(np.uint8)
    digits = digits[np.random.default_rng(1).permutation(len(digits))]
    for name, pixels in (("training", digits[:600]), ("held_out", digits[600 : 600 + HELD])):
        np.savez(place / f"{name}.npz", pixels[..., None])
    (place / "latent_path_models.py").write_text(MODULE)
    return place


def npz(name: str) -> dict[str, Any]:
    return {"dataset": "npz", "path": f"{name}.npz", "split": None}


def spec_of(folder: Path, **changes: Any) -> Path:
    stage = {
        **npz("training"),
        "held_out": npz("held_out"),
        "paths": PATHS,
        "steps": STEPS,
        "shard_items": 6,
        **changes.pop("latent_paths", {}),
    }
    spec = {
        "name": "latent-paths",
        "generators": [
            {"name": "memory", "source": "latent_path_models:memory"},
            {"name": "honest", "source": "shipped:digits", "conditions": [0, 1]},
        ],
        "groups": [{"name": "generated", "role": "generated", "count": 2}],
        "stages": {"latent_paths": stage},
        "cluster": {"executor": "serial"},
        **changes,
    }
    return write_spec(folder, spec)


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    out = folder / "out"
    done = CliRunner().invoke(app, ["run", str(spec_of(folder)), "--out", str(out)])
    assert done.exit_code == 0, done.output
    return out


def pick(whole: Path, metric: str, generator: str, against: str | None = None) -> float:
    rows = pd.read_parquet(whole / "summary.parquet")
    rows = rows[(rows.metric == metric) & (rows.generator == generator)]
    rows = rows[rows.against.isna() if against is None else rows.against == against]
    assert len(rows) == 1
    return float(rows.value.iloc[0])


def test_rows_are_those_of_the_images_along_each_path(folder: Path, whole: Path) -> None:
    table = pd.read_parquet(whole / "latent_paths")
    rows = table[table.generator == "memory"].sort_values("image_id").reset_index(drop=True)
    assert len(rows) == PATHS
    assert len(table[table.generator == "honest"].condition.unique()) == 2
    training, held_out = (
        np.load(folder / f"{name}.npz")["arr_0"].reshape(-1, 64) / 255
        for name in ("training", "held_out")
    )
    pool = np.r_[training, held_out]
    for row in rows.iloc[:2].to_dict("records"):
        kept = np.asarray(row["pixels"]).reshape(9, 64)
        first, last = kept[0], kept[-1]
        near = np.asarray(row["pool_distance"]).reshape(2 * STEPS + 1, -1)
        place = np.asarray(row["pool_place"]).reshape(2 * STEPS + 1, -1)
        for image, at in ((first, 0), (last, STEPS)):
            distance = cdist(image[None], pool)[0]
            assert near[at] == pytest.approx(np.sort(distance)[:50], abs=1e-6)
            # Held-out images have another order in the pool than in their set.
            known = place[at] < len(training)
            assert distance[place[at][known]] == pytest.approx(near[at][known], abs=1e-6)
            assert known.sum() == (np.argsort(distance)[:50] < len(training)).sum()
            assert row["nearest_index"][at] == cdist(image[None], training)[0].argmin()
        assert len(row["step"]) == STEPS
        shown = training[row["nearest_index"][0]]
        assert np.asarray(row["nearest_pixels"])[:64] == pytest.approx(shown, abs=1e-6)
        assert (row["pool_training"], row["pool_held_out"]) == (600, HELD)
        assert np.abs(dwell(np.array([row["step"]]), near[None, :, 0])) <= 1
    controls = table[table.generator.isna()]
    assert len(controls) == HELD / 2
    assert (controls.pool_held_out == HELD / 2).all()


def test_the_memory_is_seen_and_the_honest_generator_is_not(whole: Path) -> None:
    assert pick(whole, "path_dwell_p", "memory") <= 0.01
    assert pick(whole, "path_dwell_p", "honest") > 0.01
    assert pick(whole, "path_dwell", "memory", "training") > 0.1
    assert pick(whole, "path_p_alike", "memory") == pick(whole, "path_p_alike", "honest") > 0.05
    for metric in ("path_switches", "path_dwell"):
        pick(whole, metric, "honest", "held-out")
    report = html.unescape((whole / "report.html").read_text(encoding="utf-8"))
    assert "Does it dwell at training images along its latent?" in report
    assert "paths along the latent, above the nearest training images" in report


def test_what_few_held_out_images_do_not_tell_is_not_said() -> None:
    """Of 2,000 training and 10 held-out images hardly one of the latter is among the 50 nearest."""
    rng = np.random.default_rng(0)
    points, paths = 2 * STEPS + 1, 3
    near = [rng.permuted(np.tile(np.arange(2000), (points, 1)), axis=1)[:, :50] for _ in "abc"]
    frame = pd.DataFrame(
        {
            "group": "generated",
            "generator": "made",
            "status": STATUS_OK,
            "step": [rng.random(STEPS) for _ in near],
            "pool_training": 2000,
            "pool_held_out": 10,
            "pool_place": [each.ravel() for each in near],
            "pool_distance": [np.sort(rng.random((points, 50)), axis=1).ravel() for _ in near],
        }
    )
    info = GeneratorInfo("made", 0, (1, 8, 8))
    context: Any = SimpleNamespace(
        tables=SimpleNamespace(read=lambda *_: frame),
        generators=[info],
        seed_of=lambda *_: 0,
        resamples=2000,
    )
    rows = reduce_latent_paths(context)
    found = {row.metric: row.value for row in rows}
    assert not {"path_dwell", "path_switches"} & set(found)
    nearest = len(np.unique([each[:, 0] for each in near]))
    assert found["path_dwell_blind"] == pytest.approx((1 - nearest / 2010) ** 10, rel=0.02)
    rows.append(summary_row("path_p_alike", exact(0.5, 5), generator="made", group="generated"))
    verdict = dwells_at_training(View(context, Summary(summary_table(rows, METRICS)), info))
    assert verdict is not None
    (finding,) = verdict.findings
    assert finding.sentence.startswith("How much it dwells is not said")
    assert f"{100 * found['path_dwell_blind']:.0f}% of exchanges leave all" in finding.sentence
    assert finding.counted == f"N = {paths} paths"


def answered(paths: int, places: np.ndarray, nearness: np.ndarray) -> Finding:
    """The answer of so many paths that stand at training images, all of them, with a control."""
    rng, points, failed = np.random.default_rng(0), 2 * STEPS + 1, 3 - min(paths, 3)
    near = [np.sort(rng.random((points, 50)), axis=1).ravel() for _ in range(paths)]
    frame = pd.DataFrame(
        {
            "group": ["generated"] * (paths + failed) + ["held-out"] * len(places),
            "generator": ["made"] * (paths + failed) + [None] * len(places),
            "status": [STATUS_OK] * paths + ["error"] * failed + [STATUS_OK] * len(places),
            "step": [*(rng.random(STEPS) for _ in near), *[None] * (failed + len(places))],
            "pool_training": 100,
            "pool_held_out": 100,
            "pool_place": [
                *(np.tile(rng.permutation(100)[:50], points) for _ in near),
                *[None] * failed,
                *places[:, None],
            ],
            "pool_distance": [*near, *[None] * (failed + len(places))],
            "pool_nearness": [*[np.nan] * (paths + failed), *nearness],
        }
    )
    info = GeneratorInfo("made", 0, (1, 8, 8))
    context: Any = SimpleNamespace(
        tables=SimpleNamespace(read=lambda *_: frame),
        generators=[info],
        seed_of=lambda *_: 0,
        resamples=2000,
    )
    rows = reduce_latent_paths(context)
    verdict = dwells_at_training(View(context, Summary(summary_table(rows, METRICS)), info))
    assert verdict is not None
    return verdict.findings[0]


def told(finding: Finding) -> str:
    assert finding.null is not None
    return finding.null.sentence


def test_a_control_that_cannot_speak_up_decides_nothing_and_is_told() -> None:
    rng = np.random.default_rng(0)
    places = np.where(np.arange(50) % 2, rng.permutation(100)[:50], 100 + np.arange(50))
    assert "in the place of generated ones gives" in told(answered(40, places, rng.random(50)))
    # All held-out images have one nearest: exchanged labels could say nothing of it.
    found = answered(40, np.full(50, 150), rng.random(50))
    assert found.answer == "undecided"
    assert "can say nothing" in told(found)


@pytest.mark.parametrize("paths", [0, 1])
def test_fewer_than_two_usable_paths_are_an_open_answer(paths: int) -> None:
    found = answered(paths, np.arange(50), np.linspace(0, 1, 50))
    assert found.answer == "undecided"
    assert found.sentence.startswith(f"{paths} of its paths can be used, but two are needed")


def test_what_cannot_be_tested_is_refused(folder: Path) -> None:
    few = {"dataset": "npz", "path": "few.npz", "split": None}
    np.savez(folder / "few.npz", np.load(folder / "held_out.npz")["arr_0"][:60])
    wrong: dict[str, dict[str, Any]] = {
        "held_out is missing": {"latent_paths": {"held_out": None}},
        "stages.latent_paths.held_out: the same images": {
            "latent_paths": {"held_out": npz("training")}
        },
        "stages.latent_paths.held_out.dataset: npz has 60": {"latent_paths": {"held_out": few}},
        "stages.latent_paths.images: 99 held-out images": {"latent_paths": {"images": 99}},
        "stages.latent_paths.paths": {"latent_paths": {"paths": 1}},
        "is known by samples alone and has no latent": {
            "generators": [{"name": "made", "samples": npz("held_out")}]
        },
    }
    for message, changes in wrong.items():
        with pytest.raises(SpecError, match=message):
            gather_facts(load_spec(str(spec_of(folder, **changes))))
