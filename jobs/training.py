"""Trains a small example generator from a spec: weights, config and a grid of samples."""

import json
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from rich.progress import Progress as ProgressBar
from safetensors.torch import save_file
from torch import Tensor, nn

from .. import __version__
from ..core.adversarial import AdversarialSettings, AdversarialTraining
from ..core.discriminators import ProjectionHead
from ..core.generators.registry import (
    UnknownArchitectureError,
    build_discriminator,
    build_generator,
)
from ..workers.datasets import ImageSet, open_dataset

_LOGGED_LOSSES = 100


class TrainingSpecError(ValueError):
    """The training spec cannot be used: names the file, the key and what was expected."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DatasetChoice(_Strict):
    """Which labelled images to learn; a relative ``path`` counts from the spec's folder."""

    name: str
    split: str = "train"
    path: str | None = None


class NetworkChoice(_Strict):
    """A registered architecture and the arguments it is built with."""

    architecture: str
    arguments: dict[str, Any]


class TrainingSpec(_Strict):
    """Everything a training run depends on but the data's content."""

    dataset: DatasetChoice
    generator: NetworkChoice
    discriminator: NetworkChoice
    steps: int = Field(gt=0)
    batch_size: int = Field(gt=0)
    generator_learning_rate: float = Field(gt=0)
    discriminator_learning_rate: float = Field(gt=0)
    r1_weight: float = Field(ge=0)
    r1_interval: int = Field(gt=0)
    ema_decay: float = Field(ge=0, lt=1)
    translation: int = Field(ge=0, default=0)
    seed: int

    @model_validator(mode="after")
    def _batch_is_made_of_groups(self) -> "TrainingSpec":
        if self.batch_size % ProjectionHead.group_size:
            raise ValueError(
                f"batch_size must be a multiple of {ProjectionHead.group_size}, "
                f"the groups in which the discriminator looks at the spread"
            )
        return self


def load_training_spec(path: Path) -> TrainingSpec:
    """Reads and validates a training spec.

    Raises:
        TrainingSpecError: not readable, not YAML, or with a wrong, missing or unknown key.
    """
    try:
        content = yaml.safe_load(path.read_text())
        return TrainingSpec.model_validate(content)
    except OSError as error:
        raise TrainingSpecError(f"{path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise TrainingSpecError(f"{path} is not YAML: {error}") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'spec'}: {item['msg']}" for item in error.errors()
        )
        raise TrainingSpecError(f"{path}: {problems}") from error


def train(spec_path: Path, out_dir: Path) -> Path:
    """Trains the generator of a spec and writes it to ``out_dir``, which it returns.

    Writes ``model.safetensors`` (the averaged weights), ``config.json`` (architecture, how it was
    made, its speed) and ``samples.png`` (a row of ten images per class; refreshed during the run).
    The result depends on the spec and the data alone, up to the rounding of the CPU's kernels.

    Raises:
        TrainingSpecError: a spec that cannot be used.
        DatasetError: the images cannot be opened.
    """
    spec = load_training_spec(spec_path)
    data = open_dataset(
        spec.dataset.name,
        split=spec.dataset.split,
        path=spec.dataset.path,
        image_shape=tuple(spec.generator.arguments.get("image_shape", ())) or None,
        base_dir=spec_path.parent,
    )
    generator, discriminator = _build(spec, spec_path, data)
    images, labels = (torch.from_numpy(array) for array in data.arrays())
    out_dir.mkdir(parents=True, exist_ok=True)
    settings = AdversarialSettings(
        **spec.model_dump(exclude={"dataset", "generator", "discriminator", "seed"})
    )
    latent_dim = int(spec.generator.arguments["latent_dim"])
    random = torch.Generator().manual_seed(spec.seed)
    training = AdversarialTraining(generator, discriminator, latent_dim, settings, random)
    started = time.monotonic()
    _run(training, images, labels, spec, out_dir)
    seconds = time.monotonic() - started
    save_file(training.average.state_dict(), out_dir / "model.safetensors")
    config = _describe(spec, spec_path, data, training.average, seconds)
    (out_dir / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    return out_dir


def _build(spec: TrainingSpec, path: Path, data: ImageSet) -> tuple[nn.Module, nn.Module]:
    classes = spec.generator.arguments.get("num_classes")
    if classes != data.num_classes:
        raise TrainingSpecError(
            f"{path}: generator.arguments.num_classes is {classes}, but the image set "
            f"'{data.name}' has {data.num_classes} classes"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        try:
            return (
                build_generator(spec.generator.architecture, spec.generator.arguments),
                build_discriminator(spec.discriminator.architecture, spec.discriminator.arguments),
            )
        except UnknownArchitectureError as error:
            raise TrainingSpecError(f"{path}: {error}") from error


def _run(
    training: AdversarialTraining, images: Tensor, labels: Tensor, spec: TrainingSpec, out: Path
) -> None:
    every = max(1, spec.steps // _LOGGED_LOSSES)
    with ProgressBar() as bar:
        task = bar.add_task("training", total=spec.steps)
        for progress in training.run(images, labels):
            if progress.step % every == 0:
                bar.update(
                    task,
                    completed=progress.step,
                    description=f"generator loss {progress.generator_loss:.2f}, "
                    f"discriminator loss {progress.discriminator_loss:.2f}",
                )
                save_samples(training.average, spec.seed, out / "samples.png")


def save_samples(generator: nn.Module, seed: int, path: Path, per_class: int = 10) -> None:
    """Writes a PNG with a row of ``per_class`` generated images for every class."""
    classes = max(1, int(generator.num_classes))
    random = torch.Generator().manual_seed(seed)
    latent = torch.randn(classes * per_class, int(generator.latent_dim), generator=random)
    condition = torch.arange(classes).repeat_interleave(per_class)
    with torch.no_grad():
        images = generator(latent, condition if generator.num_classes else None).numpy()
    channels, height, width = images.shape[1:]
    grid = images.reshape(classes, per_class, channels, height, width).transpose(0, 3, 1, 4, 2)
    grid = grid.reshape(classes * height, per_class * width, channels)
    pixels = (255 * grid).round().astype(np.uint8)
    scale = max(1, 56 // height)
    picture = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST).save(
        path
    )


def _describe(
    spec: TrainingSpec, spec_path: Path, data: ImageSet, generator: nn.Module, seconds: float
) -> dict[str, Any]:
    return {
        "architecture": spec.generator.architecture,
        "arguments": spec.generator.arguments,
        "parameters": sum(parameter.numel() for parameter in generator.parameters()),
        "evaluations_per_second": measure_speed(generator),
        "training": {
            "command": f"offmanifold train {spec_path.name}",
            "spec": spec.model_dump(mode="json"),
            "data_sha256": data.hash(),
            "seconds": round(seconds),
            "threads": torch.get_num_threads(),
            "versions": {
                "offmanifold": __version__,
                "torch": version("torch"),
                "numpy": version("numpy"),
                "python": platform.python_version(),
            },
        },
    }


def measure_speed(generator: nn.Module, batch_size: int = 256) -> dict[str, Any]:
    """Images and latent gradients a second, the median of ten batches, and where measured."""
    generator = generator.requires_grad_(False)
    condition = torch.arange(batch_size) % generator.num_classes if generator.num_classes else None
    times = []
    for _ in range(12):
        latent = torch.zeros(batch_size, int(generator.latent_dim), requires_grad=True)
        started = time.perf_counter()
        torch.autograd.grad(generator(latent, condition).sum(), latent)
        times.append(time.perf_counter() - started)
    return {
        "value": round(batch_size / float(np.median(times[2:]))),
        "device": f"cpu ({platform.machine()})",
        "threads": torch.get_num_threads(),
        "batch_size": batch_size,
    }
