"""Nearest neighbours in blocks, and LPIPS wherever a spec asks for it, end to end."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from offmanifold.jobs.audits.neighbours.nearest import nearest_over_blocks, read_neighbours
from offmanifold.jobs.commands.cli import app
from offmanifold.workers.lpips_backbone import open_perceptual
from torchvision.models import squeezenet1_1
from typer.testing import CliRunner

from tests.run_contexts import tables_in

from .conftest import small_spec, write_spec

# Each starts a Ray, and two cores are too few for two at once.
pytestmark = pytest.mark.xdist_group("ray")

SET_UP = Path(__file__).parents[1] / "torchvision_operators.py"


def audit(folder: Path, *arguments: str, out: str = "run") -> Any:
    command = ["run", str(folder / "audit.yaml"), "--out", str(folder / out), *arguments]
    return CliRunner().invoke(app, command)


@pytest.fixture
def weights(audit_folder: Path) -> str:
    """A random backbone in a file beside the spec, as torchvision would save it."""
    torch.manual_seed(0)
    torch.save(squeezenet1_1(weights=None).state_dict(), audit_folder / "squeeze.pth")
    return "squeeze.pth"


def lpips_spec(weights: str | None, **stages: Any) -> dict[str, Any]:
    spec = small_spec()
    spec["perceptual"] = {"network": "squeeze", "weights": weights}
    spec["stages"] = stages
    spec["groups"] = [group for group in spec["groups"] if group["role"] != "simulated"]
    return spec


def triple_an_image(folder: Path) -> None:
    """Images 6, 8 and 13 of the folder become equal: to each of them, two are the nearest."""
    for copy in ("one/6.png", "zero/6.png"):
        shutil.copy(folder / "images/zero/1.png", folder / "images" / copy)


INVERSION = {"iterations": 3, "restarts": 1, "bank": 8}


def test_blocks_of_the_reference_set_change_nothing(audit_folder: Path) -> None:
    triple_an_image(audit_folder)
    reference = {"dataset": "folder", "path": "images", "split": None}
    # Four grey images of 8 x 8 float32 take a KiB.
    for out, memory in (("whole", 256), ("blocks", 1 / 1024)):
        neighbours = {**reference, "block_mib": memory}
        spec = lpips_spec(None, neighbours=neighbours)
        spec["groups"] = [group for group in spec["groups"] if group["name"] in ("train", "plain")]
        write_spec(audit_folder, spec)
        result = audit(audit_folder, out=out)
        assert result.exit_code == 0, result.output
    rows = pd.read_parquet(audit_folder / "blocks" / "neighbours")
    assert set(rows.blocks) == {4}
    assert (rows.groupby("image_id").block.apply(sorted).map(tuple) == (0, 1, 2, 3)).all()
    assert all(
        len(pd.read_parquet(part)) <= 4 for part in (audit_folder / "blocks/neighbours").iterdir()
    )
    ((_, whole),) = read_neighbours(tables_in(audit_folder / "whole"))
    ((_, blocks),) = read_neighbours(tables_in(audit_folder / "blocks"))
    kept = ["image_id", "group", "label", "nearest_index", "nearest_label", "distance"]
    pd.testing.assert_frame_equal(whole[kept], blocks[kept], check_exact=True)
    triplets = blocks[(blocks.group == "train") & (blocks.distance == 0)]
    assert sorted(triplets.nearest_index) == [6, 6, 8]
    first, second = (
        pd.read_parquet(audit_folder / out / "summary.parquet")
        .query("metric.str.startswith('failed') == False")
        .reset_index(drop=True)
        for out in ("whole", "blocks")
    )
    pd.testing.assert_frame_equal(first, second)


def test_a_tie_across_blocks_goes_to_the_lower_block() -> None:
    rows = pd.DataFrame(
        {
            "image_id": ["a", "a", "a", "b", "b", "b", "c", "c"],
            "block": [2, 0, 1, 0, 1, 2, 0, 1],
            "blocks": 3,
            "nearest_index": [7, 1, 4, np.nan, np.nan, 6, 0, 5],
            "distance": [1.0, 2.0, 1.0, np.nan, np.nan, 4.0, 0.5, 0.1],
        }
    )
    found = nearest_over_blocks(rows)
    # Of c a block failed.
    assert found.image_id.tolist() == ["a", "b"]
    assert found.nearest_index.tolist() == [4, 6]


def test_lpips_in_every_stage_that_can_use_it(audit_folder: Path, weights: str) -> None:
    triple_an_image(audit_folder)
    neighbours = {
        "dataset": "folder",
        "path": "images",
        "split": None,
        "spaces": ["pixels", "lpips"],
        "block_mib": 1,
    }
    stages = {"inversion": INVERSION, "perceptual": {}, "neighbours": neighbours}
    write_spec(audit_folder, lpips_spec(weights, **stages))
    result = audit(audit_folder)
    assert result.exit_code == 0, result.output
    run = audit_folder / "run"
    distance = open_perceptual("squeeze", str(audit_folder / weights), torch.device("cpu"))

    images = pd.read_parquet(run / "images").set_index("image_id")
    pixels = torch.tensor(np.stack(images.pixels.to_list())).view(-1, 1, 8, 8)
    train = torch.tensor((images.group == "train").to_numpy())
    rows = pd.read_parquet(run / "neighbours").query("space == 'lpips'")
    assert rows.blocks.iloc[0] > 1
    nearest = nearest_over_blocks(rows).set_index("image_id")
    expected = np.stack(
        [distance(image.expand(14, -1, -1, -1), pixels[train]).numpy() for image in pixels]
    )
    own = images.reset_index().groupby("group").cumcount().to_numpy()
    folder = images.group.isin(["train", "test"]).to_numpy()
    expected[folder, own[folder]] = np.inf
    found = nearest.loc[images.index]
    np.testing.assert_allclose(found.distance, expected.min(axis=1), rtol=1e-3, atol=1e-9)
    triplets = found[(found.group == "train") & (found.distance == 0)]
    assert sorted(triplets.nearest_index) == [6, 6, 8]

    table = pd.read_parquet(run / "perceptual")
    assert (table.status == "ok").all()
    inversion = pd.read_parquet(run / "inversion")
    keys = ["image_id", "condition"]
    assert len(table.merge(inversion, on=keys)) == len(table) == len(inversion)
    summary = pd.read_parquet(run / "summary.parquet")
    assert {
        "outlier_auc_neighbours_lpips",
        "outlier_auc_reconstruction_lpips",
        "accuracy_neighbours_lpips",
        "accuracy_reconstruction_lpips",
        "reconstruction_lpips_median",
    } <= set(summary.metric)
    report = (run / "report.html").read_text()
    assert all(words in report for words in ("1-NN in LPIPS", "reconstruction, LPIPS"))
    provenance = json.loads((run / "provenance.json").read_text())
    assert provenance["perceptual"]["weights"] == str(audit_folder / weights)
    assert len(provenance["perceptual"]["sha256"]) == 64


@pytest.mark.slow
def test_the_command_gives_the_same_lpips_rows_under_ray(audit_folder: Path, weights: str) -> None:
    # Processes of their own need what the set-up of the tests does for this one.
    (audit_folder / "sitecustomize.py").write_text(
        "import sys\n"
        "if {'offmanifold', 'default_worker.py'} & {arg.rpartition('/')[2] for arg in "
        "sys.orig_argv}:\n"
        f"    exec(compile(open({str(SET_UP)!r}).read(), {str(SET_UP)!r}, 'exec'))\n"
    )
    neighbours = {"dataset": "folder", "path": "images", "split": None, "spaces": ["lpips"]}
    inversion = {**INVERSION, "distance": "lpips"}
    write_spec(
        audit_folder,
        lpips_spec(weights, inversion=inversion, perceptual={}, neighbours=neighbours),
    )
    for executor in ("serial", "ray"):
        chosen = ["--set", f"cluster.executor={executor}", "--set", "cluster.workers=1"]
        command = [Path(sys.executable).with_name("offmanifold"), "run", "audit.yaml"]
        done = subprocess.run(
            [*map(str, command), "--out", executor, *chosen],
            cwd=audit_folder,
            env=os.environ | {"PYTHONPATH": str(audit_folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    for stage in ("inversion", "perceptual", "neighbours"):
        one, other = (
            pd.read_parquet(audit_folder / executor / stage)
            .sort_values(["image_id", "condition"])
            .reset_index(drop=True)
            for executor in ("serial", "ray")
        )
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_what_inversion_minimised_is_what_the_perceptual_stage_reports(
    audit_folder: Path, weights: str
) -> None:
    spec = lpips_spec(weights, inversion={**INVERSION, "distance": "lpips"}, perceptual={})
    spec["groups"] = [{**spec["groups"][0], "count": 2, "conditions": "own"}]
    write_spec(audit_folder, spec)
    result = audit(audit_folder)
    assert result.exit_code == 0, result.output
    inverted = pd.read_parquet(audit_folder / "run" / "inversion")
    assert (inverted.status == "ok").all()
    assert (inverted.distance != inverted.mse).all()
    table = pd.read_parquet(audit_folder / "run" / "perceptual")
    np.testing.assert_allclose(table.lpips, inverted.distance, rtol=1e-3)


def test_an_image_whose_inversion_failed_is_a_failed_row(audit_folder: Path, weights: str) -> None:
    module = audit_folder / "decoder.py"
    # More than the check at opening asks for, less than a descent does.
    check = "if len(latent) > 8 and (condition == 1).any(): raise RuntimeError()\n        values ="
    module.write_text(module.read_text().replace("values =", check, 1))
    spec = lpips_spec(weights, inversion={**INVERSION, "bank": 9}, perceptual={})
    spec["groups"] = [{**spec["groups"][0], "count": 4, "conditions": "own"}]
    write_spec(audit_folder, spec)
    result = audit(audit_folder)
    assert result.exit_code == 3, result.output
    table = pd.read_parquet(audit_folder / "run" / "perceptual")
    assert (table[table.condition == 0].status == "ok").all()
    failed = table[table.condition == 1]
    assert len(failed) == 2
    assert failed.error.str.contains("failed there").all()


@pytest.mark.parametrize(
    ("stages", "key"),
    [
        ({"inversion": {**INVERSION, "distance": "lpips"}}, "stages.inversion.distance"),
        ({"inversion": INVERSION, "perceptual": {}}, "stages.perceptual"),
        (
            {
                "neighbours": {
                    "dataset": "folder",
                    "path": "images",
                    "split": None,
                    "spaces": ["lpips"],
                }
            },
            "stages.neighbours.spaces",
        ),
    ],
)
def test_missing_weights_stop_before_any_work(
    audit_folder: Path, stages: dict[str, Any], key: str
) -> None:
    write_spec(audit_folder, lpips_spec("nowhere.pth", **stages))
    result = audit(audit_folder)
    assert result.exit_code == 2
    assert key in result.stderr
    assert "nowhere.pth" in result.stderr
    assert not (audit_folder / "run").exists()


def test_without_weights_and_network_both_remedies_are_told_before_any_work(
    audit_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # An address that refuses at once, wherever the tests run; nothing is in the library's cache.
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    write_spec(audit_folder, lpips_spec(None, inversion=INVERSION, perceptual={}))
    result = audit(audit_folder)
    assert result.exit_code == 2
    assert "stages.perceptual needs LPIPS" in result.stderr
    assert "give perceptual.weights a file" in result.stderr
    assert "or run where the lpips library can download it" in result.stderr
    assert not (audit_folder / "run").exists()


def test_a_spec_without_lpips_needs_no_backbone(audit_folder: Path) -> None:
    spec = lpips_spec("nowhere.pth", inversion=INVERSION)
    write_spec(audit_folder, spec)
    assert audit(audit_folder).exit_code == 0
