"""Compressed sensing from a spec: rows, summary, report, and what cannot be measured."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from offmanifold.core.sensing import measure, measurement_matrix
from offmanifold.core.statistics.ppca import PPCA
from offmanifold.jobs.audits.sensing.settings import SensingSpec
from offmanifold.jobs.commands.cli import app
from offmanifold.workers.shard import item_seed
from typer.testing import CliRunner

from .conftest import small_spec, write_spec


def sensing_spec(**settings: Any) -> dict[str, Any]:
    spec = small_spec()
    spec["groups"] = [group for group in spec["groups"] if group["role"] != "simulated"]
    spec["stages"] = {"sensing": {**spec["stages"]["sensing"], **settings}}
    return spec


def run(folder: Path, spec: dict[str, Any]) -> Any:
    write_spec(folder, spec)
    return CliRunner().invoke(
        app, ["run", str(folder / "audit.yaml"), "--out", str(folder / "run")]
    )


def test_rows_say_what_was_chosen_and_by_what(audit_folder: Path) -> None:
    result = run(audit_folder, sensing_spec())
    assert result.exit_code == 0, result.output
    rows = pd.read_parquet(audit_folder / "run" / "sensing")
    assert (rows.status == "ok").all(), rows.error.dropna().tolist()
    # 3 images of each of 4 groups at both numbers of measurements.
    assert len(rows) == 24
    assert rows.groupby(["group", "measurements"]).size().eq(3).all()
    labelled = rows[rows.group != "plain"]
    assert (labelled.condition == labelled.label).all()
    assert set(labelled.groupby("group").label.nunique()) == {2}
    objectives, psnrs = (
        np.array(rows[f"restart_{name}"].to_list()) for name in ("objective", "psnr")
    )
    picked = np.arange(len(rows)), objectives.argmin(axis=1)
    np.testing.assert_array_equal(rows.objective, objectives[picked])
    np.testing.assert_allclose(rows.psnr, psnrs[picked])
    np.testing.assert_array_equal(rows.oracle_psnr, psnrs.max(axis=1))
    assert (rows.oracle_psnr > rows.psnr).any()
    np.testing.assert_allclose(rows.psnr, -10 * np.log10(rows.mse))


def test_the_baseline_is_given_the_same_measurements(audit_folder: Path) -> None:
    run(audit_folder, sensing_spec())
    rows = pd.read_parquet(audit_folder / "run" / "sensing").set_index("image_id")
    fit = pd.read_parquet(audit_folder / "run" / "ppca").iloc[0]
    assert fit.n == 12
    gaussian = PPCA(
        fit["mean"], fit["components"].reshape(5, 64), fit["eigenvalue"], fit["noise_variance"]
    )
    images = pd.read_parquet(audit_folder / "run" / "images").set_index("image_id")["pixels"]
    for name, row in rows.iterrows():
        pixels = np.asarray(images[str(name)], np.float32).reshape(1, 1, 8, 8)
        matrix = measurement_matrix(item_seed(0, "sensing", "matrix"), row.measurements, 64)
        seed = item_seed(0, "sensing", name)
        observed = measure(torch.from_numpy(pixels), matrix, 0.01, [seed]).numpy()
        restored = gaussian.restore(observed, matrix.numpy(), 0.01)
        error = np.square(restored - pixels.reshape(1, 64)).mean()
        assert row.ppca_mse == pytest.approx(error, rel=1e-9)


def test_the_summary_and_the_report_have_the_curve(audit_folder: Path) -> None:
    run(audit_folder, sensing_spec())
    rows = pd.read_parquet(audit_folder / "run" / "sensing")
    summary = pd.read_parquet(audit_folder / "run" / "summary.parquet")
    mine = rows[(rows.group == "train") & (rows.measurements == 32)]
    found = summary[(summary.group == "train") & (summary.against == "m = 32")]
    values = found.set_index("metric").value
    assert values["sensing_psnr_mean"] == pytest.approx(mine.psnr.mean())
    assert values["sensing_oracle_psnr_mean"] == pytest.approx(mine.oracle_psnr.mean())
    assert values["sensing_ppca_psnr_mean"] == pytest.approx(mine.ppca_psnr.mean())
    assert values["sensing_psnr_of_mean_mse"] == pytest.approx(-10 * np.log10(mine.mse.mean()))
    difference = found[found.metric == "sensing_psnr_difference"].iloc[0]
    assert difference.value == pytest.approx((mine.psnr - mine.ppca_psnr).mean())
    # Of 3 images no interval of a mean is claimed.
    assert np.isnan([difference.low, difference.high]).all()
    assert difference.n == 3
    page = (audit_folder / "run" / "report.html").read_text()
    assert "Does it restore images?" in page
    assert "restored from m of 64 measurements, each image under its own class" in page
    assert "originals on top; below, restored from m = 4, 32 measurements" in page


def test_a_class_whose_images_are_not_finite_fails_alone(audit_folder: Path) -> None:
    module = audit_folder / "decoder.py"
    # A generator is tried before any work, with 8 latents; a worker fills up larger blocks.
    broken = (
        "if len(latent) > 8:\n"
        "            latent = torch.where(condition[:, None] == 1, torch.nan, latent)\n"
        "        values ="
    )
    module.write_text(module.read_text().replace("values =", broken, 1))
    spec = sensing_spec()
    spec["groups"] = spec["groups"][:1]
    result = run(audit_folder, spec)
    assert result.exit_code == 3, result.output
    rows = pd.read_parquet(audit_folder / "run" / "sensing")
    assert (rows[rows.label == 0].status == "ok").all()
    failed = rows[rows.label == 1]
    assert (failed.status == "failed").all()
    assert failed.error.str.contains("no finite objective").all()
    summary = pd.read_parquet(audit_folder / "run" / "summary.parquet")
    counted = summary[summary.metric == "sensing_psnr_mean"].n
    assert counted.tolist() == [(rows.label == 0).sum() / 2] * 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"measurements": [4, 65]}, ["stages.sensing.measurements", "65", "from 1 to 64"]),
        ({"measurements": [0]}, ["stages.sensing.measurements", "greater than or equal to 1"]),
        ({"measurements": []}, ["stages.sensing.measurements", "at least 1"]),
        ({"components": 12}, ["stages.sensing.components", "12 images", "from 1 to 11"]),
        ({"path": "nowhere"}, ["stages.sensing", "nowhere"]),
        ({"dataset": "single_colour", "path": None}, ["stages.sensing.dataset", "is endless"]),
    ],
)
def test_what_cannot_be_measured_stops_before_any_work(
    audit_folder: Path, settings: dict[str, Any], words: list[str]
) -> None:
    result = run(audit_folder, sensing_spec(**settings))
    assert result.exit_code == 2
    assert all(word in result.stderr for word in words), result.stderr
    assert not (audit_folder / "run").exists()


def test_without_a_value_measurements_follow_the_size_of_an_image() -> None:
    spec = SensingSpec(dataset="digits")
    assert spec.measurements_of(784) == [24, 49, 98, 196, 392]
    assert spec.measurements_of(4) == [1, 2]
    assert (spec.components_of(784), spec.components_of(3072)) == (392, 500)
    assert SensingSpec(dataset="digits", measurements=(9, 3, 9)).measurements_of(64) == [3, 9]
