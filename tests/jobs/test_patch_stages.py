"""The patch model and local variation as stages: from a spec to their tables and the summary."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from offmanifold.core.patches import local_variation
from offmanifold.jobs.commands.cli import app
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from typer.testing import CliRunner

from .conftest import small_spec, write_spec


def run(folder: Path, *arguments: str) -> Any:
    paths = [str(folder / "audit.yaml"), "--out", str(folder / "run")]
    return CliRunner().invoke(app, ["run", *paths, *arguments])


def patch_spec(*, simulated: bool = False, **settings: Any) -> dict[str, Any]:
    """The patch stages alone, or beside what simulated images need."""
    spec = small_spec()
    stages = {
        "patch_gmm": {**spec["stages"]["patch_gmm"], **settings},
        "local_variation": {},
    }
    if simulated:
        fewest = {"transitions": 1, "chains": 1, "restarts": 1, "bank": 0, "iterations": 1}
        stages |= {"variance": {"value": 0.02}, "likelihood": {**fewest, "shard_items": 80}}
    else:
        spec["groups"] = [group for group in spec["groups"] if group["role"] != "simulated"]
    return {**spec, "stages": stages}


def pixels_of(folder: Path) -> dict[str, np.ndarray]:
    rows = pd.read_parquet(folder / "run" / "images")
    return {
        image_id: np.asarray(pixels).reshape(1, 1, 8, 8)
        for image_id, pixels in zip(rows.image_id, rows.pixels, strict=True)
    }


def direct_density(fit: pd.Series, pixels: np.ndarray) -> float:
    weights = np.asarray(fit["weights"])
    means = np.asarray(fit["means"]).reshape(len(weights), 64)
    factors = np.asarray(fit["precision_cholesky"]).reshape(-1, 64, 64)
    terms = [
        np.log(weight) + multivariate_normal(mean, np.linalg.inv(factor @ factor.T)).logpdf(pixels)
        for weight, mean, factor in zip(weights, means, factors, strict=True)
    ]
    return float(logsumexp(terms))


def test_every_image_is_scored_under_its_classes_mixture(audit_folder: Path) -> None:
    write_spec(audit_folder, patch_spec(simulated=True, shard_items=7))
    result = run(audit_folder)
    assert result.exit_code == 0, result.output
    table = pd.read_parquet(audit_folder / "run" / "patch_gmm")
    likelihood = pd.read_parquet(audit_folder / "run" / "likelihood")
    keys = ["generator", "condition", "group", "image_id", "label"]
    both = table.merge(likelihood, on=keys)
    assert len(both) == len(table) == len(likelihood) == 80
    assert (table.model_class == table.condition).all()
    assert set(table.patches) == {1}
    assert set(table.covered) == {1.0}
    fits = pd.read_parquet(audit_folder / "run" / "patch_fit").set_index("condition")
    assert sorted(fits.index) == [0, 1]
    assert set(fits.patches) == {6}
    assert set(fits.covariance_floor) == {0.01}
    pixels = pixels_of(audit_folder)
    stored = table[table.image_id.isin(pixels.keys())]
    assert len(stored) == 68
    chosen = stored[["condition", "image_id", "log_density"]].iloc[::9]
    for condition, image_id, log_density in zip(*chosen.to_dict("list").values(), strict=True):
        expected = direct_density(fits.loc[condition], pixels[image_id].ravel())
        assert log_density == pytest.approx(expected, rel=1e-6)


def test_local_variation_is_that_of_the_stored_pixels(audit_folder: Path) -> None:
    write_spec(audit_folder, patch_spec(simulated=True))
    assert run(audit_folder).exit_code == 0
    table = pd.read_parquet(audit_folder / "run" / "local_variation")
    assert len(table) == 12 + 12 + 6 + 6 + 4
    pixels = pixels_of(audit_folder)
    found = dict(zip(table.image_id, table.variation, strict=True))
    for image_id, image in pixels.items():
        expected = local_variation(image.astype(np.float32), 0.05).item()
        assert found[image_id] == pytest.approx(expected, rel=1e-6)
    # Grey images of one value, and noise on what the generator makes.
    assert table[table.group == "plain"].variation.max() < 1e-6
    assert table[table.group == "simulated"].variation.min() > 0.1


def test_changed_settings_change_what_they_touch_and_no_more(audit_folder: Path) -> None:
    write_spec(audit_folder, patch_spec())
    assert run(audit_folder).exit_code == 0
    folder = audit_folder / "run"
    before = {stage: set((folder / stage).iterdir()) for stage in ("images", "local_variation")}
    fits = set((folder / "patch_fit").iterdir())
    scores = set((folder / "patch_gmm").iterdir())
    changed = ("--set", "stages.patch_gmm.covariance_floor=0.02", "--changed")
    assert run(audit_folder, *changed).exit_code == 0
    assert {stage: set((folder / stage).iterdir()) for stage in before} == before
    assert not fits & set((folder / "patch_fit").iterdir())
    assert not scores & set((folder / "patch_gmm").iterdir())


def test_a_set_without_labels_has_one_mixture_for_all(audit_folder: Path) -> None:
    for index, path in enumerate(sorted((audit_folder / "images").glob("*/*.png"))):
        (audit_folder / "flat").mkdir(exist_ok=True)
        (audit_folder / "flat" / f"{index}.png").write_bytes(path.read_bytes())
    write_spec(audit_folder, patch_spec(path="flat", patch_mean="removed"))
    result = run(audit_folder)
    assert result.exit_code == 0, result.output
    fits = pd.read_parquet(audit_folder / "run" / "patch_fit")
    assert fits.condition.isna().all()
    assert fits.patches.item() == 12
    table = pd.read_parquet(audit_folder / "run" / "patch_gmm")
    assert table.model_class.isna().all()
    assert (table.groupby("image_id").log_density.nunique() == 1).all()


def test_a_class_whose_fit_failed_costs_its_own_rows_alone(audit_folder: Path) -> None:
    write_spec(audit_folder, patch_spec())
    # Files that are there when the spec is checked, and cannot be read when they are fitted.
    for path in (audit_folder / "images" / "zero").glob("*.png"):
        path.write_bytes(path.read_bytes()[:60])
    result = run(audit_folder)
    assert result.exit_code == 3, result.output
    fits = pd.read_parquet(audit_folder / "run" / "patch_fit").set_index("condition")
    assert fits.status.to_dict() == {0: "ok", 1: "failed"}
    assert "no image of class 1" in fits.error[1]
    table = pd.read_parquet(audit_folder / "run" / "patch_gmm")
    assert (table[table.condition == 0].status == "ok").all()
    failed = table[table.condition == 1]
    assert (failed.status == "failed").all()
    assert failed.error.str.contains("patch model of class 1 failed: no image").all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"components": 7}, ["patch_gmm.components: 7", "6 patches of class 0", "max_patches"]),
        ({"max_patches": 1}, ["patch_gmm.components: 2", "1 patches"]),
        ({"dataset": "single_colour", "path": None}, ["patch_gmm.dataset", "is endless"]),
        ({"path": "nowhere"}, ["stages.patch_gmm", "nowhere"]),
        ({"covariance_floor": 0.0}, ["covariance_floor", "greater than 0"]),
    ],
)
def test_what_cannot_be_fitted_stops_before_any_work(
    audit_folder: Path, change: dict[str, Any], words: list[str]
) -> None:
    write_spec(audit_folder, patch_spec(**change))
    result = run(audit_folder)
    assert result.exit_code == 2
    assert all(word in result.stderr for word in words), result.stderr
    assert not (audit_folder / "run").exists()


@pytest.mark.parametrize("stage", ["patch_gmm", "local_variation"])
def test_images_smaller_than_a_patch_stop_before_any_work(audit_folder: Path, stage: str) -> None:
    module = audit_folder / "decoder.py"
    text = module.read_text().replace("(1, 8, 8)", "(1, 4, 16)").replace("1, 8, 8)", "1, 4, 16)")
    module.write_text(text)
    spec = patch_spec(dataset="digits", split="train", path=None)
    spec["groups"] = [{"name": "generated", "role": "generated", "count": 2}]
    spec["stages"] = {stage: {} if stage == "local_variation" else spec["stages"][stage]}
    if stage == "patch_gmm":
        spec["stages"][stage]["dataset"] = "folder"
        spec["stages"][stage] |= {"path": "images", "split": None, "resize": "lanczos"}
    write_spec(audit_folder, spec)
    result = run(audit_folder)
    assert result.exit_code == 2
    assert f"stages.{stage}: images are 4 x 16 pixels, a patch is 8 x 8" in result.stderr


def test_a_part_of_the_fit_reads_back_as_it_was(audit_folder: Path) -> None:
    write_spec(audit_folder, patch_spec())
    assert run(audit_folder).exit_code == 0
    part = next((audit_folder / "run" / "patch_fit").iterdir())
    row = pq.read_table(io.BytesIO(part.read_bytes())).to_pylist()[0]
    assert sum(row["weights"]) == pytest.approx(1)
    assert row["components"] == 2
    assert row["images"] == row["patches"] == 6
    assert row["converged"] is True
