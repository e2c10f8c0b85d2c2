"""Sets of generators, series of checkpoints, and audits of some of a generator's classes."""

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.core.statistics.marginal import marginal_log_density, uniform_log_prior
from offmanifold.jobs.audits.images.plan import generated_settings, generator_settings
from offmanifold.jobs.audits.specs import gather_facts, load_spec
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.plan.stage import AuditContext
from offmanifold.jobs.spec.facts import GeneratorFacts
from offmanifold.jobs.spec.loading import SpecError
from offmanifold.workers.datasets import open_dataset
from offmanifold.workers.generated_images import Draw, shard_generated_images
from offmanifold.workers.generator_source import GeneratorSource
from offmanifold.workers.generators import open_generator
from offmanifold.workers.resources import Resources
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

from .conftest import SHORT_END, write_spec

NAMES = {"cat": 3, "dog": 7, "wild": 8}
NETWORK = {
    "format": "torchscript",
    "latent_shape": [16],
    "image_shape": [1, 8, 8],
    "native_range": [0, 1],
    "trust": True,
}
# The generator of one digit, as a module of the user's.
MODULE = """
    import torch
    from offmanifold.workers.generators import open_generator

    class Digit:
        num_classes, latent_dim, image_shape = 0, {latent_dim}, (1, 8, 8)

        def __init__(self):
            self.whole = open_generator("shipped:digits").generator

        def __call__(self, latent, condition):
            own = torch.full((len(latent),), {number}, device=latent.device)
            return self.whole(latent[:, :16], own)

        def to(self, device):
            self.whole.to(device)
            return self

    def make():
        return Digit()
"""


class _Digit(nn.Module):
    """Class ``number`` of the digits' generator, to be traced."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.whole = open_generator("shipped:digits").generator
        self.number = number

    def forward(self, latent: Tensor) -> Tensor:
        # Of as many rows as there are latents, which a length would fix for good.
        own = (latent[:, 0] * 0).long() + self.number
        images: Tensor = self.whole(latent, own)
        return images


def trace(folder: Path, number: int) -> str:
    """The file name of one digit's generator, in TorchScript."""
    file = folder / f"digit{number}.pt"
    traced: Any = torch.jit.trace(_Digit(number), torch.zeros(2, 16), check_trace=False)
    torch.jit.save(traced, str(file))
    return file.name


def module(folder: Path, name: str, number: int, latent_dim: int = 16) -> str:
    """The source of one digit's generator, as a module in the folder."""
    text = dedent(MODULE).format(number=number, latent_dim=latent_dim)
    # A process imports a name once.
    unique = f"{name}_{folder.name}"
    (folder / f"{unique}.py").write_text(text)
    return f"{unique}:make"


def members(folder: Path) -> dict[str, Any]:
    """A set of two kinds: cats are threes, dogs sevens, wild animals eights."""
    return {
        "cat": {"weights": trace(folder, 3), "network": NETWORK},
        "dog": {"source": module(folder, "set_dog", 7)},
        "wild": {"weights": trace(folder, 8), "network": NETWORK},
    }


def digits(split: str, names: dict[str, int], count: int, folder: Path, shift: int = 0) -> None:
    """A folder of PNGs, a subfolder a class: scikit-learn's digits under other names."""
    images, labels = open_dataset("digits", split=split).arrays()
    for name, number in names.items():
        place = folder / split / name
        place.mkdir(parents=True)
        for index in np.flatnonzero(labels == number)[shift : shift + count]:
            pixels = np.rint(images[index, 0] * 255).astype(np.uint8)
            Image.fromarray(pixels).save(place / f"{index}.png")


def spec_of(folder: Path, generators: list[dict[str, Any]], **other: Any) -> Path:
    groups = [
        {"name": "train", "role": "train", "dataset": "folder", "path": "train"},
        {"name": "generated", "role": "generated", "count": 6},
    ]
    spec = {
        "name": "sets",
        "generators": generators,
        "groups": groups,
        "stages": {"inversion": {"iterations": 20, "restarts": 2, "bank": 64, **SHORT_END}},
        "cluster": {"executor": "serial"},
    }
    return write_spec(folder, spec | other)


def planned(spec: Path) -> str:
    result = CliRunner().invoke(app, ["plan", str(spec)])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def refused(spec: Path) -> str:
    with pytest.raises(SpecError) as error:
        gather_facts(load_spec(str(spec)))
    return str(error.value)


def test_a_set_is_one_class_conditional_generator(tmp_path: Path) -> None:
    digits("train", NAMES, 3, tmp_path)
    spec = spec_of(tmp_path, [{"name": "afhq", "per_class": members(tmp_path)}])
    loaded = load_spec(str(spec))
    context = AuditContext(loaded, gather_facts(loaded))
    (facts,) = context.facts.generators.values()
    assert (facts.num_classes, facts.latent_dim, facts.conditions) == (3, 16, (0, 1, 2))
    assert facts.class_numbers == {"cat": 0, "dog": 1, "wild": 2}
    assert context.facts.groups["train"].classes == {"cat": 0, "dog": 1, "wild": 2}
    alone = {
        name: open_generator(member.source).sha256
        for name, member in zip(NAMES, facts.members, strict=True)
    }
    assert facts.member_sha256 == alone
    assert facts.sha256 not in alone.values()
    assert facts.runs_code
    said = planned(spec)
    assert "afhq: a generator for each class; 3 classes, cat → 0, dog → 1, wild → 2" in said

    settings = json.loads(json.dumps(generated_settings(context, facts)))
    draws: list[Draw] = [(None, number) for number in range(9)]
    resources = Resources(LocalStorage.create(tmp_path / "run"), torch.device("cpu"))
    made = shard_generated_images(settings, resources)
    assert made.labels(draws) == [0, 1, 2] * 3
    images = made.images(draws)
    # Each member is a class of one generator, which has the same images for the same latents.
    whole = open_generator("shipped:digits").generator
    source = GeneratorSource.of(json.loads(json.dumps(generator_settings(facts))))
    opened = open_generator(source).generator
    latent = torch.randn(9, 16, generator=torch.Generator().manual_seed(0))
    own = torch.tensor([0, 1, 2] * 3)
    expected = whole(latent, torch.tensor(list(NAMES.values()))[own])
    torch.testing.assert_close(opened(latent, own), expected)
    assert images.shape == (9, 1, 8, 8)


def test_a_members_weights_are_part_of_the_sets_hash(tmp_path: Path) -> None:
    digits("train", NAMES, 2, tmp_path)
    given = members(tmp_path)
    spec = spec_of(tmp_path, [{"name": "afhq", "per_class": given}])
    first = gather_facts(load_spec(str(spec))).generators["afhq"]
    (tmp_path / given["wild"]["weights"]).write_bytes((tmp_path / trace(tmp_path, 9)).read_bytes())
    second = gather_facts(load_spec(str(spec))).generators["afhq"]
    assert second.sha256 != first.sha256
    different = [name for name in NAMES if first.member_sha256[name] != second.member_sha256[name]]
    assert different == ["wild"]


def test_names_that_are_numbers_are_the_classes(tmp_path: Path) -> None:
    digits("train", {"3": 3, "7": 7, "9": 9}, 3, tmp_path)
    given = {
        7: {"source": module(tmp_path, "set_seven", 7)},
        3: {"source": module(tmp_path, "set_three", 3)},
    }
    facts = gather_facts(load_spec(str(spec_of(tmp_path, [{"name": "g", "per_class": given}]))))
    assert facts.generators["g"].conditions == (3, 7)
    assert facts.groups["train"].labels == (3,) * 3 + (7,) * 3
    assert facts.groups["train"].left_out == 3


def _refusals(folder: Path) -> dict[str, tuple[dict[str, Any], str]]:
    seven = {"source": module(folder, "set_only", 7)}
    wide = {"source": module(folder, "set_wide", 7, latent_dim=17)}
    conditional = {"source": "shipped:digits"}
    return {
        "latent": ({"cat": seven, "dog": wide}, "per_class.dog: a latent of 17, but that of cat"),
        "classes": ({"cat": conditional}, "per_class.cat: this generator has 10 classes itself"),
        "missing": ({"cat": {"source": "nowhere"}}, "per_class.cat: generator"),
        "kinds": ({"cat": seven, "3": seven}, "'3' is a number and 'cat' a word"),
        "twice": ({"3": seven, "03": seven}, "two class names mean the same number"),
        "both": ({"cat": {**seven, "weights": "a.pt"}}, "found source and weights"),
        "key": ({"cat": {**seven, "sauce": 1}}, "per_class.cat.sauce: unknown key"),
        "none": ({}, "per_class"),
    }


@pytest.mark.parametrize(
    "case", ["latent", "classes", "missing", "kinds", "twice", "both", "key", "none"]
)
def test_a_set_that_cannot_be_one_is_refused(tmp_path: Path, case: str) -> None:
    digits("train", {"cat": 3}, 2, tmp_path)
    given, message = _refusals(tmp_path)[case]
    assert message in refused(spec_of(tmp_path, [{"name": "g", "per_class": given}]))


def test_images_of_other_names_are_refused(tmp_path: Path) -> None:
    digits("train", {"cats": 3, "dogs": 7}, 2, tmp_path)
    given = {
        "cat": {"source": module(tmp_path, "set_c", 3)},
        "dog": {"source": module(tmp_path, "set_d", 7)},
    }
    generators = [{"name": "g", "per_class": given}]
    assert "'cats' is none of those of generator g" in refused(spec_of(tmp_path, generators))
    train = {"name": "train", "role": "train", "dataset": "folder", "path": "train"}
    said = {**train, "classes": {"cats": 0, "dogs": 1}}
    spec = spec_of(tmp_path, generators, groups=[said])
    assert gather_facts(load_spec(str(spec))).groups["train"].labels == (0, 0, 1, 1)
    wrong = {**train, "classes": {"cats": 0, "dogs": 1, "cat": 1}}
    assert "'cat' as 1, but" in refused(spec_of(tmp_path, generators, groups=[wrong]))


def test_checkpoints_of_one_training_are_a_series(tmp_path: Path) -> None:
    digits("train", {"a": 3}, 2, tmp_path)
    images, _ = open_dataset("digits", split="test").arrays(range(8))
    np.savez(tmp_path / "late.npz", np.rint(images * 255).astype(np.uint8).transpose(0, 2, 3, 1))
    checkpoints = [
        {"iteration": 1000, "weights": trace(tmp_path, 3)},
        {"iteration": 2000, "weights": trace(tmp_path, 7)},
        {"iteration": "final", "samples": {"dataset": "npz", "path": "late.npz"}},
    ]
    entry = {"name": "gan", "network": NETWORK, "checkpoints": checkpoints}
    reference = {"dataset": "folder", "path": "train", "split": None}
    spec = spec_of(tmp_path, [entry], stages={"neighbours": reference})
    facts = gather_facts(load_spec(str(spec)))
    assert list(facts.generators) == ["gan@1000", "gan@2000", "gan@final"]
    found = [facts.generators[name].series for name in facts.generators]
    assert [(each.iteration, each.position, each.count) for each in found if each] == [
        (1000, 0, 3),
        (2000, 1, 3),
        ("final", 2, 3),
    ]
    assert "gan: 3 checkpoints of one training, in this order: gan@1000, gan@2000" in planned(spec)
    result = CliRunner().invoke(app, ["run", str(spec), "--out", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    kept = json.loads((tmp_path / "run" / "provenance.json").read_text())["generators"]
    assert kept["gan@2000"]["series"] == {
        "name": "gan",
        "iteration": 2000,
        "position": 1,
        "count": 3,
    }
    rows = pd.read_parquet(tmp_path / "run" / "neighbours")
    assert set(rows[rows.group == "generated"].generator) == set(facts.generators)
    # What the run keeps of its spec is the same spec again.
    again = load_spec(str(tmp_path / "run" / "audit.yaml"))
    assert [each.name for each in again.each_generator] == list(facts.generators)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"checkpoints": []}, "checkpoints"),
        ({"source": "shipped:digits"}, "give one of"),
        ({"checkpoints": [{"source": "shipped:digits"}]}, "iteration: missing"),
        ({"checkpoints": [{"iteration": 1, "source": "shipped:digits"}] * 2}, "'gan@1' is used"),
        ({"checkpoints": [{"iteration": 1, "sauce": "a"}]}, "unknown key; did you mean 'source'"),
    ],
)
def test_a_series_must_be_one(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    good = [{"iteration": 1, "source": "shipped:digits"}]
    spec = spec_of(tmp_path, [{"name": "gan", "checkpoints": good} | change])
    with pytest.raises(SpecError, match=message):
        load_spec(str(spec))


CHAINS = {
    "transitions": 3,
    "chains": 2,
    "leapfrog_steps": 2,
    "restarts": 2,
    "candidates": 2,
    "bank": 16,
    "iterations": 5,
    "finalists": 1,
    "final_iterations": 3,
    "polish": 1,
}


@pytest.mark.slow
@pytest.mark.ci
def test_some_classes_are_as_a_set_of_their_generators(tmp_path: Path) -> None:
    """Two ways to say it, one audit: the classes 3 and 7, in every stage and in the summary."""
    digits("train", {"3": 3, "7": 7, "9": 9}, 6, tmp_path)
    digits("test", {"3": 3, "7": 7}, 4, tmp_path)
    path = {"dataset": "folder", "path": "train", "split": None}
    groups: list[dict[str, Any]] = [
        {"name": "train", "role": "train", "dataset": "folder", "path": "train"},
        {"name": "test", "role": "test", "dataset": "folder", "path": "test", "conditions": "all"},
        {"name": "generated", "role": "generated", "count": 4, "conditions": "all"},
        {"name": "simulated", "role": "simulated", "count": 4, "conditions": "all"},
        {"name": "plain", "role": "outlier", "dataset": "single_colour", "count": 4},
    ]
    stages = {
        "inversion": {"iterations": 20, "restarts": 2, "bank": 64, **SHORT_END},
        "variance": {"estimator": "profile"},
        "likelihood": CHAINS,
        "neighbours": path,
        "local_variation": {},
    }
    given = {
        3: {"source": module(tmp_path, "set_3", 3)},
        7: {"source": module(tmp_path, "set_7", 7)},
    }
    found = {}
    entries: dict[str, dict[str, Any]] = {
        "some": {"source": "shipped:digits", "conditions": [7, "3"]},
        "set": {"per_class": given},
    }
    for kind, entry in entries.items():
        spec = spec_of(tmp_path, [{"name": "g", **entry}], groups=groups, stages=stages)
        out = tmp_path / kind
        result = CliRunner().invoke(app, ["run", str(spec), "--out", str(out)])
        assert result.exit_code == 0, result.output
        found[kind] = pd.read_parquet(out / "summary.parquet")
    pd.testing.assert_frame_equal(found["some"], found["set"], rtol=0.02, atol=1e-3)

    run = tmp_path / "some"
    for stage in ("images", "inversion", "likelihood"):
        conditions = pd.read_parquet(run / stage).condition.dropna()
        assert set(conditions) <= {3, 7}
    rows = pd.read_parquet(run / "likelihood")
    test = rows[rows.group == "test"].pivot_table(
        index="image_id", columns="condition", values="log_likelihood"
    )
    assert sorted(int(each) for each in test.columns) == [3, 7]
    marginal = marginal_log_density(test.to_numpy(), uniform_log_prior(2)).mean()
    summary = found["some"]
    mean = summary[
        (summary.metric == "log_likelihood_mean")
        & (summary.group == "test")
        & (summary.condition == "marginal")
    ]
    assert mean.value.tolist() == pytest.approx([marginal])
    right = (test.idxmax(axis=1) == rows.groupby("image_id").label.first()[test.index]).mean()
    accuracy = summary[(summary.metric == "accuracy_likelihood") & (summary.group == "test")]
    assert accuracy.value.tolist() == pytest.approx([right])
    assert "evaluated under classes 3 and 7" in (run / "report.html").read_text()


def test_two_classes_of_a_thousand(tmp_path: Path) -> None:
    """As with ImageNet's: folders by the names of its classes, through a class map."""
    digits("train", {"n02009912": 3, "n04285008": 7, "n01440764": 9}, 2, tmp_path)
    (tmp_path / "thousand.py").write_text(
        dedent(MODULE)
        .format(number=3, latent_dim=16)
        .replace("num_classes, latent_dim", "latent_dim, num_classes")
        .replace("= 0, 16,", "= 16, 1000,")
    )
    train = {
        "name": "train",
        "role": "train",
        "dataset": "folder",
        "path": "train",
        "classes": {"n02009912": 9, "n04285008": 817, "n01440764": 0},
    }
    entry = {"name": "biggan", "source": "thousand:make", "conditions": ["n02009912", 817]}
    spec = spec_of(tmp_path, [entry], groups=[train])
    said = planned(spec)
    assert "biggan: evaluated under classes 9 and 817 of its 1,000" in said
    assert "n02009912 → 9, n04285008 → 817" in said
    assert "2 images of other classes left out" in said
    facts = gather_facts(load_spec(str(spec)))
    assert facts.groups["train"].labels == (9, 9, 817, 817)


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ([], "conditions"),
        ([1, 1], "class 1 is named twice"),
        ([12], "class 12 cannot be generated: there are classes 0 to 9"),
        (["bird"], "'bird' is no class of the class map"),
        ([5], "none of the 4 images is of class 5"),
    ],
)
def test_conditions_must_be_classes(tmp_path: Path, conditions: list[Any], message: str) -> None:
    digits("train", {"3": 3, "7": 7}, 2, tmp_path)
    entry = {"name": "g", "source": "shipped:digits", "conditions": conditions}
    assert message in refused(spec_of(tmp_path, [entry]))


def test_generators_of_one_audit_have_the_same_conditions(tmp_path: Path) -> None:
    digits("train", {"3": 3, "7": 7}, 2, tmp_path)
    some = {"name": "some", "source": "shipped:digits", "conditions": [3, 7]}
    whole = {"name": "whole", "source": "shipped:digits"}
    said = refused(spec_of(tmp_path, [some, whole]))
    assert "give all the same conditions" in said
    plain = {"name": "plain", "source": module(tmp_path, "set_plain", 3), "conditions": [0]}
    assert "the generator has no classes" in refused(spec_of(tmp_path, [plain]))


def test_unlabelled_training_images_choose_their_class(tmp_path: Path) -> None:
    """The variance is fitted under the class of least error, and nothing rests on a guessed one."""
    images, labels = open_dataset("digits", split="train").arrays(range(14))
    pixels = np.rint(images * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    np.savez(tmp_path / "plain.npz", pixels)
    group = {"name": "train", "role": "train", "dataset": "npz", "conditions": "all"}
    stages = {
        "inversion": {"iterations": 80, "restarts": 2, "bank": 64, **SHORT_END},
        "variance": {"fit": "all"},
        "likelihood": CHAINS,
    }
    simulated = {"name": "simulated", "role": "simulated", "count": 10, "conditions": "all"}
    spec = spec_of(
        tmp_path,
        [{"name": "g", "source": "shipped:digits"}],
        groups=[{**group, "path": "plain.npz"}, simulated],
        stages=stages,
    )
    assert "σ² is fitted under each image's class of least reconstruction error" in planned(spec)
    result = CliRunner().invoke(app, ["run", str(spec), "--out", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    fits = pd.read_parquet(tmp_path / "run" / "variance_fit").set_index("image_id")
    inverted = pd.read_parquet(tmp_path / "run" / "inversion")
    least = inverted.loc[inverted.groupby("image_id").mse.idxmin()].set_index("image_id")
    assert fits.condition.to_dict() == least.condition.to_dict()
    # Digits are told apart by their reconstructions: nearly all are of their true class.
    assert (fits.condition.sort_index().to_numpy() == labels).mean() > 0.9
    summary = pd.read_parquet(tmp_path / "run" / "summary.parquet")
    train = summary[summary.group == "train"]
    assert set(train.condition.dropna()) <= {"marginal", "nearest class", "every class"}
    assert not train.metric.str.startswith("typicality").any()
    sensing = {"dataset": "npz", "path": "plain.npz", "split": None}
    spec = spec_of(
        tmp_path,
        [{"name": "g", "source": "shipped:digits"}],
        groups=[{**group, "path": "plain.npz"}],
        stages={"sensing": sensing},
    )
    assert "stages.sensing restores each under one class" in refused(spec)


def test_facts_say_what_can_be_drawn() -> None:
    facts = GeneratorFacts(
        source="g",
        name="g",
        sha256="0",
        latent_dim=2,
        num_classes=1000,
        image_shape=(1, 8, 8),
        evaluations_per_second=None,
        subset=(9, 817),
    )
    assert facts.image_classes == (9, 817)
    assert (facts.available(9), facts.available(10)) == (None, 0)
