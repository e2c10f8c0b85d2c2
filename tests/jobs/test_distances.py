"""The audit of distances: samples of the data beside some that are not, against direct numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.core.statistics.frechet import frechet_distance, kernel_distance, moments
from offmanifold.core.statistics.manifolds import manifolds
from offmanifold.jobs.audits import METRICS
from offmanifold.jobs.audits.distances.features_plan import plan
from offmanifold.jobs.audits.specs import gather_facts, load_spec
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.plan.stage import PlanContext
from offmanifold.jobs.record.run_directory import RunDirectory
from offmanifold.jobs.spec.loading import SpecError
from offmanifold.workers.distances import MEASURES
from PIL import Image
from scipy import stats
from sklearn.datasets import load_digits
from typer.testing import CliRunner

from .conftest import write_spec

IMAGES, SETS = 100, 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits in files: real ones, others that pose as samples, and blurred ones."""
    place = tmp_path_factory.mktemp("distances")
    digits = load_digits()
    order = np.random.default_rng(1).permutation(len(digits.images))
    images, labels = (digits.images * 15).astype(np.uint8)[order], digits.target[order]
    real, honest, learned = np.split(images[:1500], [500, 1000])
    # On the grid of the real ones, to which images are rounded.
    dull = (honest // 45 * 15).astype(np.uint8)
    for name, pixels, kept in (
        ("real", real, labels[:500]),
        ("honest", honest, None),
        ("dull", dull, None),
        ("learned", learned, labels[1000:1500]),
    ):
        given = [pixels[..., None]] if kept is None else [pixels[..., None], kept]
        np.savez(place / f"{name}.npz", *given)
    return place


def npz(name: str) -> dict[str, Any]:
    return {"dataset": "npz", "path": f"{name}.npz", "split": None}


def spec_of(folder: Path, **stages: Any) -> Path:
    spec = {
        "name": "distances",
        "generators": [
            {"name": name, "samples": {"dataset": "npz", "path": f"{name}.npz"}}
            for name in ("honest", "dull")
        ],
        "groups": [{"name": "generated", "role": "generated", "count": 2}],
        "stages": stages,
        "cluster": {"executor": "serial"},
    }
    return write_spec(folder, spec)


def whole_stages() -> dict[str, Any]:
    return {
        "annotator": {**npz("learned"), "architecture": "linear", "most_rounds": 1},
        "class_shares": {**npz("real"), "images": 20},
        "distances": {
            **npz("real"),
            "spaces": ["pixels", "annotator"],
            "images": IMAGES,
            "sets": SETS,
            "shard_items": 70,
        },
    }


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    out = folder / "whole"
    done = CliRunner().invoke(
        app, ["run", str(spec_of(folder, **whole_stages())), "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    return out


def vectors(whole: Path, space: str, group: str, generator: str | None = None) -> np.ndarray:
    """The features of a group in the order of their sets."""
    rows = pd.concat([pd.read_parquet(each) for each in sorted((whole / "features").iterdir())])
    rows = rows[(rows.space == space) & (rows.group == group)]
    rows = rows[rows.generator.isna() if generator is None else rows.generator == generator]
    return np.stack(rows.sort_values("image_id").features.to_list())


def test_distances_are_those_of_the_features(folder: Path, whole: Path) -> None:
    found = pd.read_parquet(whole / "distances")
    assert len(found) == 2 * 3 * SETS
    assert (found.n == IMAGES).all()
    pixels = np.load(folder / "dull.npz")["arr_0"].reshape(-1, 64)
    made = vectors(whole, "pixels", "generated", "dull")
    assert len(made) == SETS * IMAGES
    # Different samples, as they are.
    rounded = np.round(made * 255).astype(np.uint8)
    assert {row.tobytes() for row in rounded} <= {row.tobytes() for row in pixels}
    assert len(np.unique(rounded, axis=0)) > 0.99 * len(made)
    for space in ("pixels", "annotator"):
        reference = vectors(whole, space, "reference")
        others = vectors(whole, space, "real")
        assert (len(reference), len(others)) == (IMAGES, SETS * IMAGES)
        assert len(np.unique(np.r_[reference, others], axis=0)) > 0.99 * 4 * IMAGES
        last = vectors(whole, space, "generated", "dull")[-IMAGES:]
        keys = {"space": space, "generator": "dull", "image_id": f"generated-{SETS - 1:04d}"}
        (row,) = found[(found[list(keys)] == pd.Series(keys)).all(axis=1)].to_dict("records")
        balls = manifolds(last, reference)
        expected = {
            "frechet_distance": frechet_distance(moments(last), moments(reference)),
            "kernel_distance": kernel_distance(last, reference),
            "manifold_precision": balls.precise.mean(),
            "manifold_recall": balls.recalled.mean(),
            "manifold_density": balls.density.mean(),
            "manifold_coverage": balls.covered.mean(),
        }
        for measure, value in expected.items():
            assert row[measure] == pytest.approx(value, rel=1e-6, abs=1e-9)


def pick(whole: Path, metric: str, generator: str, group: str, space: str) -> dict[str, Any]:
    """The one row of the summary."""
    summary = pd.read_parquet(whole / "summary.parquet")
    keys = {"metric": metric, "generator": generator, "group": group, "condition": space}
    found = summary[(summary[list(keys)] == pd.Series(keys)).all(axis=1)]
    assert len(found) == 1
    return dict(found.iloc[0])


def test_a_summary_has_the_floor_beside_each_number(whole: Path) -> None:
    rows = pd.read_parquet(whole / "distances")
    for measure in MEASURES:
        for space in ("pixels", "annotator"):
            floor = pick(whole, measure, "honest", "real", space)
            assert floor["value"] == pick(whole, measure, "dull", "real", space)["value"]
            values = rows[(rows.space == space) & (rows.group == "real")][measure]
            if np.ptp(values) > 0:
                interval = stats.t.interval(0.95, SETS - 1, values.mean(), stats.sem(values))
                # Up to where the number can be.
                ends = np.clip(interval, METRICS[measure].least, METRICS[measure].most)
                assert (floor["low"], floor["high"]) == pytest.approx(tuple(ends))
            made = pick(whole, measure, "dull", "generated", space)
            mean = rows[(rows.space == space) & (rows.generator == "dull")][measure].mean()
            assert (made["value"], made["n"]) == (pytest.approx(mean), IMAGES)
    for space in ("pixels", "annotator"):
        honest, dull, floor = (
            pick(whole, "frechet_distance", *keys, space)
            for keys in (("honest", "generated"), ("dull", "generated"), ("honest", "real"))
        )
        assert dull["low"] > 3 * floor["high"]
        # Other digits of the same set score as real ones do.
        assert honest["low"] < floor["high"]
    report = (whole / "report.html").read_text()
    assert "Distances in features of the annotator, of sets of N images to N real ones" in report


def test_an_image_without_features_makes_every_set_smaller(tmp_path: Path) -> None:
    images = (load_digits().images * 15).astype(np.uint8)
    for name, pixels in (("real", images[:128]), ("made", images[128:192])):
        (tmp_path / name).mkdir()
        for number, each in enumerate(pixels):
            Image.fromarray(each).save(tmp_path / name / f"img{number:04d}.png")
    damaged = tmp_path / "made" / "img0040.png"
    damaged.write_bytes(damaged.read_bytes()[:-30])
    pictures = {"dataset": "folder", "path": "made", "image_shape": [1, 8, 8]}
    spec = {
        "name": "damaged",
        "generators": [{"name": "made", "samples": pictures}],
        "groups": [{"name": "generated", "role": "generated", "count": 2}],
        "stages": {
            "distances": {"dataset": "folder", "path": "real", "split": None}
            | {"images": 64, "sets": 1}
        },
        "cluster": {"executor": "serial"},
    }
    out = tmp_path / "run"
    done = CliRunner().invoke(app, ["run", str(write_spec(tmp_path, spec)), "--out", str(out)])
    assert "1 in features" in done.output
    found = pd.read_parquet(out / "distances")
    assert found.n.to_list() == [63, 63]
    assert np.isnan(pick(out, "frechet_distance", "made", "generated", "pixels")["low"])


def test_classes_are_those_of_the_real_images(tmp_path: Path) -> None:
    digits = load_digits()
    few = np.flatnonzero(digits.target < 2)[:200]
    pixels = (digits.images[few] * 15).astype(np.uint8)
    np.savez(tmp_path / "few.npz", pixels[..., None], digits.target[few])
    spec = load_spec(
        str(
            write_spec(
                tmp_path,
                {
                    "name": "classes",
                    "generators": [{"name": "digits", "source": "shipped:digits"}],
                    "groups": [{"name": "generated", "role": "generated", "count": 2}],
                    "stages": {"distances": {**npz("few"), "images": 100, "sets": 4}},
                },
            )
        )
    )
    run = RunDirectory(LocalStorage.create(tmp_path / "run"))
    shards = plan(PlanContext(spec, gather_facts(spec), run))
    asked = [
        item.condition for shard in shards for item in shard.items if item.group == "generated"
    ]
    share = digits.target[few].mean()
    assert set(asked) == {0, 1}
    # Four standard errors of 400 draws.
    assert abs(np.mean(np.array(asked) == 1) - share) < 4 * (share * (1 - share) / 400) ** 0.5


def refused() -> dict[str, tuple[dict[str, Any], str]]:
    stages = whole_stages()
    distances = stages["distances"]
    none = {"annotator": None, "class_shares": None}
    return {
        "no annotator": (none, "stages.distances.spaces: annotator, but there is none"),
        "a space twice": (
            {"distances": {**distances, "spaces": ["pixels", "pixels"]}},
            "spaces names one twice",
        ),
        "few real images": ({"distances": {**distances, "images": 251}}, "ask for at most 250"),
        "few samples": (
            {"distances": {**distances, "sets": 6}},
            "but there are 500; ask for sets: 5",
        ),
        "images that the annotator knows": (
            {"distances": {**distances, **npz("learned")}},
            "the images that stages.annotator learns from",
        ),
    }


@pytest.mark.parametrize(("changed", "message"), refused().values(), ids=refused())
def test_what_cannot_be_compared_is_refused(
    folder: Path, changed: dict[str, Any], message: str
) -> None:
    stages = {**whole_stages(), **changed}
    given = {name: value for name, value in stages.items() if value is not None}
    with pytest.raises(SpecError, match=message):
        gather_facts(load_spec(str(spec_of(folder, **given))))
