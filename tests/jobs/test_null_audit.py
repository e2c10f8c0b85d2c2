"""The null audit end to end: stages, halves, grey levels, and what a spec may ask of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from offmanifold.core.likelihood import simulate
from offmanifold.core.quantisation import quantise
from offmanifold.jobs.audits.specs import parse_spec
from offmanifold.jobs.drive.driver import run_audit
from offmanifold.jobs.drive.progress import Progress
from offmanifold.jobs.report.summary import Summary
from offmanifold.jobs.results.verdicts import judge
from offmanifold.jobs.spec.loading import SpecError
from offmanifold.workers.generators import open_generator
from rich.console import Console

LEAN = {
    "estimator": "guided",
    "transitions": 30,
    "restarts": 8,
    "bank": 1000,
    "iterations": 40,
    "finalists": 4,
    "final_iterations": 0,
    "polish": 2,
    "shard_items": 100,
}


def content(**data: Any) -> dict[str, Any]:
    """A small audit of the shipped digits' generator, with the null audit."""
    images = data or {"dataset": "digits", "split": "train"}
    return {
        "name": "null-audit",
        "generators": [{"name": "g", "source": "shipped:digits"}],
        "groups": [
            {"name": "train", "role": "train", "count": 40, **images},
            {"name": "generated", "role": "generated", "count": 24},
            {"name": "simulated", "role": "simulated", "count": 40},
            {"name": "null", "role": "null", "count": 48},
            {"name": "plain", "role": "outlier", "dataset": "single_colour", "count": 16},
        ],
        "stages": {
            "inversion": {"iterations": 60, "restarts": 8, "bank": 512, "shard_items": 200},
            "variance": {"shard_items": 100},
            "likelihood": LEAN,
        },
        "cluster": {"executor": "serial"},
    }


def run(spec: dict[str, Any], out: Path) -> tuple[Any, Path]:
    parsed = parse_spec(yaml.safe_dump(spec), out.parent, (), "spec")
    return run_audit(parsed, out, Progress(Console(quiet=True))).results, out


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    return run(content(), tmp_path_factory.mktemp("null") / "run")


def test_the_model_s_own_samples_go_through_the_pipeline_of_the_data(
    audited: tuple[Any, Path],
) -> None:
    _, out = audited
    variance = pd.read_parquet(out / "variance").set_index("group")
    null = pd.read_parquet(out / "null_variance").iloc[0]
    # By construction they have the data's variance: within both intervals.
    assert null["low"] < variance.loc["train", "high"]
    assert null["high"] > variance.loc["train", "low"]
    assert variance.loc["train", "n"] == 20
    judged = pd.read_parquet(out / "null_likelihood")
    sizes = judged.groupby("group").size().to_dict()
    # Each class goes in halves, an odd one with an image more on either side.
    assert sizes == {"null": 48 - len(null["fitted"]), "simulated": 40}
    assert 19 <= sizes["null"] <= 29
    assert set(judged["variance"]) == {null["variance"]}
    assert not set(judged["image_id"]) & set(null["fitted"])
    assert judged[judged["group"] == "null"]["upper_bound"].isna().all()


def test_generated_images_lie_on_the_grey_levels_of_the_data(audited: tuple[Any, Path]) -> None:
    results, out = audited
    assert results.context.levels == 17
    images = pd.read_parquet(out / "images")
    pixels = np.stack(images[images["group"] == "generated"]["pixels"].to_list()) * 16
    np.testing.assert_allclose(pixels, np.round(pixels), atol=1e-5)


def test_typicality_is_about_the_half_that_the_variance_was_not_fitted_to(
    audited: tuple[Any, Path],
) -> None:
    summary = audited[0].summary.to_pandas()
    found = summary[(summary.metric == "typicality_deviation") & (summary.against == "simulated")]
    counted = found.set_index("group")["n"].to_dict()
    judged = pd.read_parquet(audited[1] / "null_likelihood")
    assert counted == {
        "null": (judged["group"] == "null").sum(),
        "train": 20,
        "generated": 24,
        "plain": 16,
    }


def test_its_own_images_as_the_data_are_not_convicted(tmp_path: Path) -> None:
    """The placebo's placebo: as the data, at the levels that files have."""
    generator = open_generator("shipped:digits").generator
    for levels in (256, 17):
        labels = torch.arange(48) % 10
        images, _ = simulate(generator, labels, 0.0, range(1000, 1048))
        stored = (quantise(images, levels) * 255).round().to(torch.uint8).numpy()
        path = tmp_path / f"own-{levels}.npz"
        np.savez(path, arr_0=stored.transpose(0, 2, 3, 1), arr_1=labels.numpy())
        results, _ = run(content(dataset="npz", path=str(path)), tmp_path / f"run-{levels}")
        assert results.context.levels == levels
        verdicts = judge(results.context, Summary(results.summary, "guided"))["g"]
        assert {verdict.key for verdict in verdicts} >= {"manifold", "nearer", "denser", "typical"}
        assert [verdict.key for verdict in verdicts if verdict.tone == "bad"] == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda spec: spec["groups"].append({"name": "b", "role": "null", "count": 4}),
            "one group",
        ),
        (lambda spec: spec["groups"][3].update(conditions="all"), "remove conditions"),
        (lambda spec: spec["groups"][3].pop("count"), "give the number of images"),
        (lambda spec: spec["groups"][3].update(dataset="digits"), "takes its images from"),
        (lambda spec: spec["stages"]["inversion"].update(distance="lpips"), "distance is lpips"),
        (lambda spec: spec.update(stages={}), "add `inversion: {}`"),
    ],
)
def test_what_a_null_audit_cannot_be_is_refused(change: Any, words: str, tmp_path: Path) -> None:
    spec = content()
    if words == "add `inversion: {}`":
        spec["groups"] = [spec["groups"][0], spec["groups"][3]]
    change(spec)
    with pytest.raises(SpecError, match=words):
        parse_spec(yaml.safe_dump(spec), tmp_path, (), "spec")


def test_the_word_null_may_stand_bare_in_yaml(tmp_path: Path) -> None:
    text = yaml.safe_dump(content()).replace("name: 'null'", "name: null")
    text = text.replace("role: 'null'", "role: null")
    spec = parse_spec(text, tmp_path, (), "spec")
    assert spec.null is not None
    assert spec.null.name == "null"
    assert [group.name for group in spec.audited] == ["train", "generated", "simulated", "plain"]


def test_a_given_variance_needs_no_fit(tmp_path: Path) -> None:
    spec = content()
    spec["stages"] = {"variance": {"value": 0.01}, "likelihood": {**LEAN, "restarts": 2}}
    spec["groups"] = [
        {**group, "count": 16} for group in spec["groups"] if group["role"] != "outlier"
    ]
    results, out = run(spec, tmp_path / "run")
    assert not (out / "null_variance").exists()
    judged = pd.read_parquet(out / "null_likelihood")
    assert judged.groupby("group").size().to_dict() == {"null": 16, "simulated": 16}
    assert set(judged["variance"]) == {0.01}
    summary = results.summary.to_pandas()
    assert (summary.metric == "typicality_p_null").any()
