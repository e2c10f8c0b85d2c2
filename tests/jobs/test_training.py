import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from offmanifold.core.adversarial import AdversarialSettings, AdversarialTraining, translate
from offmanifold.core.generators.architectures import build
from offmanifold.jobs.drive.training import TrainingSpec, load_training_spec, train
from offmanifold.jobs.spec.loading import SpecError, preset_text
from offmanifold.workers.generators import open_generator
from PIL import Image

WriteSpec = Callable[..., str]

SETTINGS = AdversarialSettings(
    steps=300,
    batch_size=32,
    generator_learning_rate=2e-3,
    discriminator_learning_rate=2e-3,
    r1_weight=0.1,
    r1_interval=4,
    ema_decay=0.98,
    translation=0,
)


def test_training_learns_the_mean_and_the_spread_of_each_class() -> None:
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(2000) % 2
    brightness = 0.3 + 0.4 * labels + 0.2 * (torch.rand(2000, generator=random) - 0.5)
    images = brightness[:, None, None, None].expand(-1, 1, 4, 4).contiguous()
    torch.manual_seed(0)
    shape = {"num_classes": 2, "image_shape": [1, 4, 4], "width": 32}
    generator = build("generator", "dense", {**shape, "latent_dim": 4, "depth": 1})
    discriminator = build("discriminator", "dense", shape)
    training = AdversarialTraining(generator, discriminator, 4, SETTINGS, random)
    steps = [progress.step for progress in training.run(images, labels)]
    assert steps == list(range(1, 301))
    for label in (0, 1):
        latent = torch.randn(500, 4, generator=random)
        made = training.average(latent, torch.full((500,), label)).mean(dim=(1, 2, 3))
        assert abs(made.mean().item() - (0.3 + 0.4 * label)) < 0.05
        # The data's standard deviation is 0.2 / sqrt(12); a collapsed generator has none.
        assert made.std().item() > 0.4 * 0.2 / np.sqrt(12)


def test_translation_moves_half_of_the_images_and_brings_in_black() -> None:
    images = torch.rand(400, 2, 5, 6) + 0.1
    moved = translate(images, 1, torch.Generator().manual_seed(0))
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
    offsets = []
    for before, after in zip(padded, moved.numpy(), strict=True):
        matches = [
            (row, column)
            for row in range(3)
            for column in range(3)
            if np.array_equal(before[:, row : row + 5, column : column + 6], after)
        ]
        assert len(matches) == 1
        offsets += matches
    assert len(set(offsets)) == 9
    # Unmoved: half, and a ninth of the other half; 4 standard errors.
    unmoved = np.mean([offset == (1, 1) for offset in offsets])
    assert abs(unmoved - 5 / 9) < 4 * np.sqrt(5 / 9 * 4 / 9 / 400)


def test_pictures_that_do_not_fit_are_refused_with_what_mends_it(
    spec: WriteSpec, tmp_path: Path
) -> None:
    for name in "01":
        (tmp_path / "set" / name).mkdir(parents=True)
        Image.new("LA", (12, 12), (9, 128)).save(tmp_path / "set" / name / "a.png")
    content = yaml.safe_load(preset_text("train-digits"))
    arguments = {**content["generator"]["arguments"], "num_classes": 2}
    generator = {**content["generator"], "arguments": arguments}
    arguments = {**content["discriminator"]["arguments"], "num_classes": 2}
    discriminator = {**content["discriminator"], "arguments": arguments}
    dataset = {"name": "folder", "split": "", "path": "set"}
    for remedy in ({"resize": "lanczos"}, {"alpha": "white"}):
        told = ": ".join(*remedy.items())
        with pytest.raises(SpecError, match=rf"dataset: .*a\.png .*add .*{told}"):
            train(
                spec(dataset=dataset, generator=generator, discriminator=discriminator),
                tmp_path / "out",
            )
        dataset |= remedy
    mended = spec(dataset=dataset, generator=generator, discriminator=discriminator)
    assert (train(mended, tmp_path / "out") / "samples.png").exists()


@pytest.fixture
def spec(tmp_path: Path) -> WriteSpec:
    content = yaml.safe_load(preset_text("train-digits")) | {"steps": 12, "batch_size": 16}
    path = tmp_path / "spec.yaml"

    def write(**changes: Any) -> str:
        path.write_text(yaml.safe_dump(content | changes))
        return str(path)

    return write


def test_a_trained_generator_opens_and_says_how_it_was_made(
    spec: WriteSpec, tmp_path: Path
) -> None:
    out = train(spec(), tmp_path / "out")
    opened = open_generator(str(out))
    assert opened.description.image_shape == (1, 8, 8)
    assert opened.description.evaluations_per_second is not None
    assert opened.description.evaluations_per_second > 0
    config = json.loads((out / "config.json").read_text())
    assert config["training"]["spec"] == load_training_spec(spec()).model_dump(mode="json")
    assert len(config["training"]["data_sha256"]) == 64
    assert Image.open(out / "samples.png").size == (10 * 10 * 6, 10 * 10 * 6)


def test_the_seed_decides_the_weights(spec: WriteSpec, tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = train(spec(), tmp_path / "first")
    torch.manual_seed(2)
    again = train(spec(), tmp_path / "again")
    other = train(spec(seed=5), tmp_path / "other")
    weights = [(out / "model.safetensors").read_bytes() for out in (first, again, other)]
    assert weights[0] == weights[1] != weights[2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step": 3}, "step: Extra inputs"),
        ({"steps": 0}, "steps: .*greater than 0"),
        ({"batch_size": 30}, "multiple of 4"),
        ({"dataset": {"name": "digit"}}, "dataset: .*did you mean 'digits'"),
        ({"dataset": {"name": "fashion_mnist"}}, "1x28x28.*1x8x8"),
        (
            {"dataset": {"name": "single_colour", "split": ""}},
            "not a finite set of labelled images",
        ),
        ({"generator": {"architecture": "dens", "arguments": {}}}, "num_classes is None"),
        (
            {"discriminator": {"architecture": "dens", "arguments": {}}},
            "discriminator architecture 'dens': did you mean 'dense'",
        ),
    ],
)
def test_a_wrong_spec_is_refused_before_any_work(
    spec: WriteSpec, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=f"(?s){message}"):
        train(spec(**changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_spec_names_the_presets() -> None:
    with pytest.raises(SpecError, match="train-digits, train-fashion"):
        load_training_spec("train-digit")


@pytest.mark.parametrize("name", ["digits", "fashion"])
def test_the_shipped_weights_were_made_by_the_shipped_spec(name: str) -> None:
    folder = resources.files("offmanifold.workers") / "weights" / name
    made_by = json.loads((folder / "config.json").read_text())["training"]["spec"]
    assert TrainingSpec.model_validate(made_by) == load_training_spec(f"train-{name}")
