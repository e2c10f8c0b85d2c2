"""Samples alone: images that stand where a generator does."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.jobs.audits.images.plan import generated_settings
from offmanifold.jobs.audits.specs import gather_facts, load_spec
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.plan.stage import AuditContext
from offmanifold.jobs.spec.loading import SpecError
from offmanifold.workers.datasets import DatasetError, ImageError, open_dataset
from offmanifold.workers.datasets.image_set import ArrayImageSet
from offmanifold.workers.generated_images import (
    Draw,
    GeneratedImages,
    SampleImages,
    shard_generated_images,
)
from offmanifold.workers.resources import Resources
from PIL import Image
from typer.testing import CliRunner

from .conftest import small_spec, write_spec

SHAPE = [1, 8, 8]
COUNTS = {"one": 3, "zero": 5}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``fakes/{one,zero}``, ``fakes.npz`` with the same images and classes, ``plain.npz`` without.

    Image k has the grey level k, and the folder's order is that of the levels.
    """
    labels = [0] * COUNTS["one"] + [1] * COUNTS["zero"]
    pixels = np.repeat(np.arange(len(labels), dtype=np.uint8), 64).reshape(-1, 8, 8, 1)
    for level, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        file = tmp_path / "fakes" / ("one", "zero")[label] / f"{level}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(file)
    np.savez(tmp_path / "fakes.npz", pixels, np.array(labels))
    np.savez(tmp_path / "plain.npz", pixels)
    return tmp_path


def spec_of(folder: Path, samples: dict[str, Any], count: int = 4, **other: Any) -> Path:
    """A spec of what needs no latent, of generated and test images."""
    reference = {"dataset": "digits", "split": "train"}
    spec = {
        "name": "samples",
        "generators": [{"name": "fakes", "samples": samples}],
        "groups": [
            {"name": "test", "role": "test", "dataset": "digits", "split": "test", "count": 6},
            {"name": "generated", "role": "generated", "count": count},
            {"name": "more", "role": "generated", "count": 2},
        ],
        "stages": {
            "neighbours": reference,
            "patch_gmm": {**reference, "components": 2, "iterations": 3},
            "local_variation": {},
        },
        "cluster": {"executor": "serial"},
    }
    return write_spec(folder, spec | other)


def opened(spec: Path) -> tuple[AuditContext, GeneratedImages]:
    """The images of a spec's one generator, as a worker opens them."""
    loaded = load_spec(str(spec))
    context = AuditContext(loaded, gather_facts(loaded))
    (generator,) = context.facts.generators.values()
    resources = Resources(LocalStorage.create(spec.parent / "run"), torch.device("cpu"))
    return context, shard_generated_images(generated_settings(context, generator), resources)


def levels(images: GeneratedImages, draws: list[Draw]) -> list[int]:
    """The grey level of each image."""
    return [round(255 * float(image.mean())) for image in images.images(draws)]


@pytest.mark.parametrize(
    "samples",
    [
        {"dataset": "folder", "path": "fakes", "image_shape": SHAPE},
        {"dataset": "npz", "path": "fakes.npz"},
    ],
    ids=["folder", "npz"],
)
def test_samples_are_asked_for_by_class_and_number(folder: Path, samples: dict[str, Any]) -> None:
    context, images = opened(spec_of(folder, samples))
    facts = context.facts.generators["fakes"]
    assert (facts.image_classes, facts.num_classes, facts.image_shape) == ((0, 1), 0, (1, 8, 8))
    assert [facts.available(label) for label in (None, 0, 1, 2)] == [8, 3, 5, 0]
    # Every image once, of all and of each class, in whatever pieces they are asked for.
    everyone: list[Draw] = [(None, number) for number in range(8)]
    found = levels(images, everyone)
    assert sorted(found) == list(range(8))
    assert [levels(images, [draw])[0] for draw in reversed(everyone)] == found[::-1]
    assert images.labels(everyone) == [0 if level < 3 else 1 for level in found]
    for label, expected in ((0, range(3)), (1, range(3, 8))):
        draws: list[Draw] = [(label, number) for number in range(len(expected))]
        assert sorted(levels(images, draws)) == list(expected)
        assert images.labels(draws) == [label] * len(expected)
        # In the order that they have among all.
        assert levels(images, draws) == [level for level in found if level in expected]
    for beyond in ((None, 8), (0, 3), (2, 0), (1, -1)):
        with pytest.raises(IndexError, match="there are"):
            images.images([beyond])
    with pytest.raises(SpecError, match=r"here: 4 images of class 0 .* there are 3 samples of"):
        facts.require_images("here", 4, 0)


def test_a_generator_with_a_latent_has_the_same_interface(folder: Path) -> None:
    spec = spec_of(folder, {}, generators=[{"name": "digits", "source": "shipped:digits"}])
    context, images = opened(spec)
    facts = context.facts.generators["digits"]
    assert (len(facts.image_classes), facts.available(), facts.available(3)) == (10, None, None)
    draws: list[Draw] = [(None, number) for number in range(12)]
    assert images.labels(draws) == [*range(10), 0, 1]
    found = images.images(draws)
    assert found.shape == (12, *SHAPE)
    # Number 11 of all is number 1 of class 1, to the rounding of another batch; on 17 levels.
    torch.testing.assert_close(images.images([(1, 1)])[0], found[11])
    torch.testing.assert_close(found * 16, (found * 16).round())
    assert len(found.flatten(1).unique(dim=0)) == 12
    for beyond in ((10, 0), (None, -1)):
        with pytest.raises(IndexError, match="10 classes"):
            images.images([beyond])


def test_an_audit_without_a_latent_runs_on_samples(folder: Path) -> None:
    spec = spec_of(folder, {"dataset": "npz", "path": "fakes.npz"})
    plan = CliRunner().invoke(app, ["plan", str(spec)])
    assert plan.exit_code == 0, plan.output
    assert "fakes: 8 samples, no latent; 2 classes, numbered 0 to 1" in plan.output
    run = folder / "out"
    done = CliRunner().invoke(app, ["run", str(spec), "--out", str(run)])
    assert done.exit_code == 0, done.output
    stored = pd.read_parquet(run / "images").sort_values(["group", "image_id"])
    made = stored[stored.generator == "fakes"]
    assert made.group.tolist() == ["generated"] * 4 + ["more"] * 2
    # The numbers from 0 on, in no group twice.
    _, images = opened(spec)
    draws: list[Draw] = [(None, number) for number in range(6)]
    assert [round(255 * pixels.mean()) for pixels in made.pixels] == levels(images, draws)
    assert made.label.tolist() == images.labels(draws)
    summary = pd.read_parquet(run / "summary.parquet")
    assert {"generated", "more", "test"} <= set(summary[summary.generator == "fakes"].group)
    assert (run / "report.html").stat().st_size > 0
    # What a run has stored serves as samples again.
    again = {"dataset": "run", "path": str(run), "split": "generated"}
    context, images = opened(spec_of(folder, again, 2))
    assert context.facts.generators["fakes"].available() == 4
    assert sorted(levels(images, [(None, n) for n in range(4)])) == sorted(
        round(255 * pixels.mean()) for pixels in made.pixels[:4]
    )


ENDLESS = {"dataset": "single_colour", "path": None, "image_shape": SHAPE}
REFUSED = {
    "too few": ({}, {}, "groups.more.count: 9 images of generator fakes .* there are 8 samples"),
    "endless": (ENDLESS, {}, "samples.dataset: .* is endless"),
    "no shape": ({"dataset": "folder", "path": "fakes"}, {}, "add image_shape: .channels"),
    "no such class": ({"classes": {"5": 0}}, {}, "classes says nothing of 2 of the 2 classes"),
    "two sources": ({}, {"source": "shipped:digits"}, "give one of source .*, weights .* and samp"),
    "of a family": ({}, {"truncation": 0.5}, "need weights instead of samples"),
}


@pytest.mark.parametrize(("samples", "beside", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_samples_is_refused(
    folder: Path, samples: dict[str, Any], beside: dict[str, Any], message: str
) -> None:
    given = {"dataset": "npz", "path": "fakes.npz"} | samples
    entry = {"name": "fakes", "samples": given} | beside
    with pytest.raises(SpecError, match=message):
        gather_facts(load_spec(str(spec_of(folder, given, 7, generators=[entry]))))


def test_samples_have_the_shape_of_the_other_generators(folder: Path) -> None:
    large = np.zeros((9, 12, 12, 1), np.uint8)
    np.savez(folder / "large.npz", large)
    samples: dict[str, Any] = {"dataset": "npz", "path": "large.npz"}
    generators = [{"name": "fakes", "samples": samples}]
    generators.append({"name": "digits", "source": "shipped:digits"})
    with pytest.raises(SpecError, match=r"fakes.samples: .* 1x12x12"):
        gather_facts(load_spec(str(spec_of(folder, {}, generators=generators))))
    samples["resize"] = "lanczos"
    facts = gather_facts(load_spec(str(spec_of(folder, {}, generators=generators))))
    assert list(facts.generators) == ["fakes", "digits"]
    assert facts.generators["fakes"].image_shape == (1, 8, 8)
    samples["image_shape"] = [1, 6, 6]
    with pytest.raises(SpecError, match=r"\[1, 6, 6\], but the other images are \[1, 8, 8\]"):
        gather_facts(load_spec(str(spec_of(folder, {}, generators=generators))))


def test_every_stage_that_needs_a_latent_is_named_before_any_work(folder: Path) -> None:
    spec = small_spec()
    spec["generators"].append({"name": "fakes", "samples": {"dataset": "npz", "path": "x.npz"}})
    plan = CliRunner().invoke(app, ["plan", str(write_spec(folder, spec))])
    assert plan.exit_code == 2
    needed = [
        *("inversion", "variance", "likelihood", "sensing", "comparison", "convergence"),
    ]
    keys = ", ".join([*(f"stages.{name}" for name in needed), "groups.simulated"])
    assert (
        f"'fakes' is known by samples alone and has no latent, which {keys} would need"
        in " ".join(plan.output.split())
    )


def test_a_set_without_end_is_none_of_samples() -> None:
    with pytest.raises(ValueError, match="endless"):
        SampleImages(open_dataset("single_colour", image_shape=SHAPE), 0, torch.device("cpu"))


def test_a_run_of_several_generators_is_asked_whose_images_are_meant(folder: Path) -> None:
    samples = [
        {"name": name, "samples": {"dataset": "npz", "path": "fakes.npz"}} for name in ("a", "b")
    ]
    spec = spec_of(folder, {}, generators=samples, stages={})
    run = folder / "out"
    done = CliRunner().invoke(app, ["run", str(spec), "--out", str(run)])
    assert done.exit_code == 0, done.output
    with pytest.raises(DatasetError, match=r"2 generators made .* split: generated/a"):
        open_dataset("run", path=run, split="generated")
    with pytest.raises(DatasetError, match="no images of a generator 'c'; it has a, b"):
        open_dataset("run", path=run, split="generated/c")
    stored = pd.read_parquet(run / "images").sort_values("image_id")
    for name in ("a", "b"):
        images = open_dataset("run", path=run, split=f"generated/{name}")
        expected = stored[(stored.generator == name) & (stored.group == "generated")]
        pixels, labels = images.arrays()
        np.testing.assert_array_equal(pixels.reshape(4, -1), np.stack(list(expected.pixels)))
        assert labels.tolist() == expected.label.tolist()
        # The hash is that of the same images in one array.
        whole = ArrayImageSet("run", "", pixels, labels, white=1)
        assert images.hash() == whole.hash()


def test_a_broken_image_of_a_run_is_one_failed_image(folder: Path) -> None:
    samples = {"dataset": "npz", "path": "fakes.npz"}
    spec = spec_of(folder, samples, stages={"images": {"shard_items": 4}})
    run = folder / "out"
    assert CliRunner().invoke(app, ["run", str(spec), "--out", str(run)]).exit_code == 0
    whole = open_dataset("run", path=run, split="generated").hash()
    for part in sorted((run / "images").glob("part-*")):
        table = pq.read_table(part)
        if "generated" in table["group"].to_pylist():
            short = [(row or [])[1:] for row in table["pixels"].to_pylist()]
            column = table.schema.get_field_index("pixels")
            field = table.schema.field("pixels")
            broken_table = table.set_column(column, field, pa.array(short, field.type))
            pq.write_table(broken_table.replace_schema_metadata({}), part)
    broken = open_dataset("run", path=run, split="generated")
    assert broken.hash() != whole
    with pytest.raises(ImageError, match="no pixels of shape 1x8x8"):
        broken.image(0)
