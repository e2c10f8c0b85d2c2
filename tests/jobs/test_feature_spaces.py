"""Feature spaces of a user's own: principal components, and networks in local files."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from offmanifold.jobs.audits.specs import gather_facts, load_spec
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.spec.loading import SpecError
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import nn
from typer.testing import CliRunner

from .conftest import write_spec

IMAGES = 70
# A module is known by its name alone, so each test file has names of its own.
MODULE = """
from torch import nn

def bands():
    return nn.Sequential(nn.AvgPool2d((2, 8)), nn.Flatten())
"""
OWN = {"source": "feature_space_bands:bands", "channels": 1, "range": [0, 2]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("spaces")
    digits = (load_digits().images * 15).astype(np.uint8)
    digits = digits[np.random.default_rng(1).permutation(len(digits))]
    for name, pixels in (("real", digits[:300]), ("made", digits[300:600])):
        np.savez(place / f"{name}.npz", pixels[..., None])
    (place / "feature_space_bands.py").write_text(MODULE)
    return place


def spec_of(folder: Path, distances: dict[str, Any], **extractors: Any) -> Path:
    spec = {
        "name": "spaces",
        "generators": [{"name": "made", "samples": {"dataset": "npz", "path": "made.npz"}}],
        "groups": [{"name": "generated", "role": "generated", "count": 2}],
        "extractors": extractors,
        "stages": {
            "distances": {
                **{"dataset": "npz", "path": "real.npz", "split": None},
                **{"images": IMAGES, "sets": 1, "shard_items": 50, **distances},
            }
        },
        "cluster": {"executor": "serial"},
    }
    return write_spec(folder, spec)


def run(spec: Path, out: Path) -> Any:
    return CliRunner().invoke(app, ["run", str(spec), "--out", str(out)])


def features(out: Path, space: str, group: str) -> np.ndarray:
    rows = pd.concat([pd.read_parquet(each) for each in sorted((out / "features").iterdir())])
    rows = rows[(rows.space == space) & (rows.group == group)].sort_values("image_id")
    return np.stack(rows.features.to_list())


def test_distances_in_principal_components_and_in_a_network_of_ones_own(folder: Path) -> None:
    spaces = ["pixels", "pca", "bands"]
    spec, out = spec_of(folder, {"spaces": spaces, "components": 7}, bands=OWN), folder / "out"
    done = run(spec, out)
    assert done.exit_code == 0, done.output
    reference, made = (features(out, "pixels", group) for group in ("reference", "generated"))
    fitted = PCA(7, svd_solver="full").fit(reference.astype(np.float64))
    projected = features(out, "pca", "generated")
    assert projected.shape == (IMAGES, 7)
    # Up to the sign of each component.
    assert np.abs(np.abs(projected) - np.abs(fitted.transform(made))).max() < 1e-4
    seen = features(out, "bands", "generated")
    assert np.allclose(seen, 2 * made.reshape(IMAGES, 4, 16).mean(axis=2), atol=1e-6)
    summary = pd.read_parquet(out / "summary.parquet")
    assert set(summary[summary.metric == "frechet_distance"].condition) == set(spaces)
    report = (out / "report.html").read_text(encoding="utf-8")
    assert "Distances in features of bands, of sets" in report
    assert "Distances in the principal components of the reference, of sets" in report
    # The run knows the extractor by what it is.
    provenance = yaml.safe_load((out / "provenance.json").read_text())
    assert provenance["extractors"]["bands"]["features"] == 4
    assert len(provenance["extractors"]["bands"]["sha256"]) == 64
    before = {part: part.stat().st_mtime_ns for part in (out / "features").iterdir()}
    again = run(spec, out)
    assert again.exit_code == 0, again.output
    assert before == {part: part.stat().st_mtime_ns for part in (out / "features").iterdir()}
    # Another preprocessing is another space, whatever it is called.
    changed = run(spec_of(folder, {"spaces": ["bands"]}, bands={**OWN, "range": [0, 1]}), out)
    assert changed.exit_code == 2
    assert run_code_of(out, folder).exit_code == 2


def run_code_of(out: Path, folder: Path) -> Any:
    """A run directory that would have its own module imported."""
    stored = yaml.safe_load((out / "audit.yaml").read_text())
    assert stored["extractors"]["bands"]["import_path"] == str(folder)
    stored["extractors"]["bands"]["import_path"] = str(out)
    (out / "audit.yaml").write_text(yaml.safe_dump(stored))
    result = CliRunner().invoke(app, ["status", str(out)])
    assert "extractors.bands would import code from the run directory itself" in result.output
    return result


def test_torchscript_features_come_from_the_files_network(folder: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 5, 8), nn.Flatten()).eval()
    torch.jit.save(torch.jit.trace(network, torch.rand(2, 3, 8, 8)), str(folder / "net.pt"))
    script = {"weights": "net.pt", "format": "torchscript", "trust": True, "range": [-1, 1]}
    facts = gather_facts(load_spec(str(spec_of(folder, {"spaces": ["net"]}, net=script))))
    assert facts.extractors["net"].features == 5


def wrong_specs() -> dict[str, tuple[dict[str, Any], dict[str, Any], str]]:
    script = {"weights": "net.pt", "format": "torchscript", "range": [0, 1]}
    norm = {"mean": [0.5] * 3, "std": [0.5] * 3}
    return {
        "an unknown space": ({"spaces": ["dino"]}, {}, "'dino' is not one of pixels, pca, annot"),
        "a name that is taken": ({}, {"pca": OWN}, "extractors.pca: the name of another space"),
        "many components": (
            {"spaces": ["pca"], "components": IMAGES},
            {},
            f"stages.distances.components: {IMAGES}",
        ),
        "more components than values": (
            {"spaces": ["pca"], "components": 64},
            {},
            "stages.distances.components: 64, but images of 64 values",
        ),
        "no network": ({}, {"a": {"weights": "net.pt", "range": [0, 1]}}, "give one of timm"),
        "two networks": (
            {},
            {"a": {**script, "trust": True, "timm": "resnet18"}},
            "found timm and format",
        ),
        "no file": ({}, {"a": {"timm": "resnet18", "range": [0, 1]}}, "timm needs weights"),
        "no trust": ({}, {"a": script}, "a torchscript file is a program"),
        "no range": ({}, {"a": {"source": OWN["source"]}}, "range is missing"),
        "half of the normalisation": ({}, {"a": {**OWN, "mean": [0.5]}}, "both mean and std"),
        "too many channels": ({}, {"a": {**OWN, **norm}}, "mean has 3 numbers"),
        "an unnormalised timm": (
            {},
            {"a": {"timm": "resnet18", "weights": "net.pt", "range": [0, 1]}},
            "mean and std are missing",
        ),
        "a resized Inception": (
            {},
            {"a": {"torch_fidelity": "2048", "weights": "net.pt", "size": 299}},
            "resizes them itself",
        ),
        "a file that is not there": (
            {},
            {"a": {**script, "trust": True, "weights": "absent.pt"}},
            "extractors.a: .*absent.pt cannot be read",
        ),
        "no such function": (
            {},
            {"a": {**OWN, "source": "feature_space_bands:absent"}},
            "extractors.a: extractor 'feature_space_bands:absent': .* has no function",
        ),
        "a path for a function": ({}, {"a": {**OWN, "source": "bands.py"}}, "source: .*pattern"),
        "three channels for one": (
            {},
            {"a": {**OWN, "source": "feature_space_bands:bands", "size": [1, 1]}},
            r"cannot take images of shape \[1, 8, 8\]",
        ),
    }


@pytest.mark.parametrize("case", wrong_specs())
def test_what_cannot_be_a_space_is_refused_before_any_work(case: str, folder: Path) -> None:
    distances, extractors, message = wrong_specs()[case]
    spec = spec_of(folder, {"spaces": ["pixels"], **distances}, **extractors)
    with pytest.raises(SpecError, match=message):
        gather_facts(load_spec(str(spec)))
