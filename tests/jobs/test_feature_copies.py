"""Copies in feature spaces: what no view of pixels shows, a network may see."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from offmanifold.core.culprits.copies import REPLAYS
from offmanifold.core.statistics.copies import NEAREST
from offmanifold.jobs.audits import METRICS
from offmanifold.jobs.audits.feature_copies.question import copies_in_features
from offmanifold.jobs.audits.specs import gather_facts, load_spec
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.reduce.context import GeneratorInfo
from offmanifold.jobs.reduce.schema import SummaryRow, summary_table
from offmanifold.jobs.report.summary import Summary
from offmanifold.jobs.report.view import View
from offmanifold.jobs.spec.loading import SpecError
from PIL import Image
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits
from typer.testing import CliRunner

from tests.run_contexts import context_of

from .conftest import write_spec
from .test_copies import row, spec_of

COPIES, IMAGES, TRAINING = 24, 200, 700
# What an image is made of, wherever it stands: the same of an image that is turned round.
MODULE = """
import torch
from torch import nn

class Values(nn.Module):
    def forward(self, images):
        return images.flatten(1).sort(dim=1).values

def values():
    return Values()
"""
OWN = {"source": "feature_copies_values:values", "channels": 1, "range": [0, 1]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits with noise, so that no two have the same values, and copies that are turned round."""
    place = tmp_path_factory.mktemp("features")
    rng = np.random.default_rng(1)
    images = load_digits().images[rng.permutation(1797)][:1200] * 15
    noisy = (images + rng.integers(0, 15, images.shape)).astype(np.uint8)
    training, held_out, honest = np.split(noisy, [TRAINING, 1000])
    copier = honest.copy()
    copier[::8][:COPIES] = training[:COPIES, ::-1, ::-1]
    sets = {"training": training, "held_out": held_out, "honest": honest, "copier": copier}
    for name, pixels in sets.items():
        np.savez(place / f"{name}.npz", pixels[..., None])
    (place / "feature_copies_values.py").write_text(MODULE)
    return place


def spec_with(folder: Path, spaces: list[str], *more: str) -> Path:
    content = yaml.safe_load(
        spec_of(folder, "honest", "copier", *more, copies={"spaces": spaces}).read_text()
    )
    return write_spec(folder, {**content, "extractors": {"values": OWN}})


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    out = folder / "whole"
    done = CliRunner().invoke(app, ["run", str(spec_with(folder, ["values"])), "--out", str(out)])
    assert done.exit_code == 0, done.output
    return out


def values_of(folder: Path, name: str) -> np.ndarray:
    images: np.ndarray = np.load(folder / f"{name}.npz")["arr_0"]
    return np.sort(images.reshape(len(images), -1) / 255, axis=1)


def test_features_are_compared_as_all_pairs_are(folder: Path, whole: Path) -> None:
    rows = pd.read_parquet(whole / "feature_copies")
    made = rows[rows.generator == "copier"].sort_values("index")
    distance = np.sort(cdist(values_of(folder, "copier"), values_of(folder, "training")), axis=1)
    expected = distance[:, 0] / distance[:, :NEAREST].mean(axis=1)
    # A generator's images come in an order of their own.
    np.testing.assert_allclose(np.sort(made.nearness), np.sort(expected), rtol=1e-4, atol=1e-6)
    assert set(rows[rows.group == "planted"].image_id.str.rsplit("-", n=1).str[0]) == set(REPLAYS)


def test_copies_that_no_view_of_pixels_shows_are_found_in_features(whole: Path) -> None:
    summary = pd.read_parquet(whole / "summary.parquet")
    against = summary[(summary.against == "training") & (summary.group == "generated")]

    def of(metric: str, generator: str, space: str | None) -> float:
        found = against[(against.metric == metric) & (against.generator == generator)]
        mine = found.condition.isna() if space is None else found.condition == space
        (value,) = found[mine].value
        return float(value)

    assert of("copies_p", "copier", None) > 0.05
    assert of("copies_p", "copier", "values") < 1e-3
    assert of("copies_share", "copier", "values") == pytest.approx(COPIES / IMAGES, abs=0.02)
    assert of("copies_p", "honest", "values") > 0.05
    views = summary[(summary.metric == "copies_seen_by_view") & (summary.condition == "values")]
    seen = views[views.generator == "copier"].set_index("against").value.to_dict()
    assert seen["replay-flipped"] == 1
    assert seen["replay-darker"] < 0.5
    report = (whole / "report.html").read_text(encoding="utf-8")
    assert "by what networks see of" in report
    assert "In features of values" in report


def test_features_are_kept_for_the_next_generator(folder: Path, whole: Path) -> None:
    rows = pd.read_parquet(whole / "features")
    groups = {"training": TRAINING, "held-out": 200, "planted": 5 * 100, "generated": 2 * IMAGES}
    assert rows.groupby("group").size().to_dict() == groups
    parts = {each.name: each.stat().st_mtime_ns for each in (whole / "features").glob("*.parquet")}
    out = folder / "more"
    shutil.copytree(whole, out, copy_function=shutil.copy2)
    pixels = np.load(folder / "honest.npz")["arr_0"]
    np.savez(folder / "third.npz", pixels[:150])
    spec = spec_with(folder, ["values"], "third")
    done = CliRunner().invoke(app, ["run", str(spec), "--out", str(out), "--changed"])
    assert done.exit_code == 0, done.output
    now = {each.name: each.stat().st_mtime_ns for each in (out / "features").glob("*.parquet")}
    assert parts.items() < now.items()
    assert len(now) == len(parts) + 1


def test_a_command_asks_in_the_same_space(folder: Path) -> None:
    pixels = np.load(folder / "training.npz")["arr_0"][3, ::-1, ::-1, 0]
    Image.fromarray(pixels.copy()).save(folder / "turned.png")
    spec = str(spec_with(folder, ["values"]))
    command = ["nearest", str(folder / "turned.png"), "--spec", spec, "--json"]
    done = CliRunner().invoke(app, [*command, "--space", "values"])
    assert done.exit_code == 0, done.output
    (image,) = json.loads(done.stdout)["images"]
    assert (image["view"], image["neighbours"][0]["index"]) == ("values", 3)
    refused = CliRunner().invoke(app, [*command, "--space", "dino"])
    assert refused.exit_code == 2
    assert "expected one of views, pixels, annotator, values" in " ".join(refused.output.split())


REFUSED = {
    "no such network": (["dino"], "'dino' is not one of annotator, values"),
    "a view's name": (["flip"], "'flip' is the name of a view of pixels"),
    "no annotator": (["annotator"], "annotator, but there is none"),
    "twice": (["values", "values"], "names one twice"),
}


@pytest.mark.parametrize(("spaces", "message"), REFUSED.values(), ids=REFUSED)
def test_spaces_that_are_none_are_refused(folder: Path, spaces: list[str], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        gather_facts(load_spec(str(spec_with(folder, spaces))))


def space_rows(
    space: str, p_value: float, *, high: float = 0.05, placebo: float = 0.5, alike: float = 0.5
) -> list[SummaryRow]:
    found = [row("copies_p_alike", alike, condition=space)]
    found.append(row("copies_compared", 100, condition=space))
    for against, p in (("training", p_value), ("placebo", placebo)):
        found.append(row("copies_share", 0.001, high, against=against, condition=space))
        found.append(row("copies_p", p, against=against, condition=space))
    return found + [row("copies_seen", 1, 1, against=kind, condition=space) for kind in REPLAYS]


@pytest.mark.parametrize(
    ("spaces", "answer"),
    [
        ([{"p_value": 0.001}], "yes"),
        ([{"p_value": 0.03}], "yes"),
        # One of two spaces has half of the error rate.
        ([{"p_value": 0.03}, {"p_value": 0.5}], "undecided"),
        ([{"p_value": 0.001}, {"p_value": 0.5, "high": 0.005}], "yes"),
        ([{"p_value": 0.001, "placebo": 0.01}], "undecided"),
        ([{"p_value": 0.001, "alike": 0.01}], "undecided"),
        ([{"p_value": 0.5, "high": 0.005}, {"p_value": 0.6, "high": 0.005}], "no"),
        ([{"p_value": 0.5, "high": 0.005}, {"p_value": 0.6}], "undecided"),
    ],
)
def test_all_spaces_have_one_error_rate(spaces: list[dict[str, float]], answer: str) -> None:
    rows = [row for number, given in enumerate(spaces) for row in space_rows(str(number), **given)]
    generator = GeneratorInfo("small", 0, (1, 8, 8))
    summary = Summary(summary_table(rows, METRICS))
    verdict = copies_in_features(View(context_of([], [generator]), summary, generator))
    assert verdict is not None
    assert verdict.answer == answer


def test_a_space_that_says_nothing_leaves_a_no_open() -> None:
    rows = [
        *space_rows("0", 0.5, high=0.005),
        row("copies_compared", 0, condition="dead"),
    ]
    generator = GeneratorInfo("small", 0, (1, 8, 8))
    summary = Summary(summary_table(rows, METRICS))
    verdict = copies_in_features(View(context_of([], [generator]), summary, generator))
    assert verdict is not None
    assert verdict.answer == "undecided"
    assert "Nothing can be said in dead" in verdict.findings[0].sentence


def test_without_spaces_nothing_is_asked() -> None:
    generator = GeneratorInfo("small", 0, (1, 8, 8))
    rows = [row("copies_share", 0.001, 0.05, against="training"), row("copies_p_alike", 0.5)]
    summary = Summary(summary_table(rows, METRICS))
    assert copies_in_features(View(context_of([], [generator]), summary, generator)) is None
