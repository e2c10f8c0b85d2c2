"""Trains a small example generator from a spec: weights, config and a grid of samples."""

import json
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from rich.progress import Progress as ProgressBar
from safetensors.torch import save
from torch import Tensor, nn

from ... import __version__
from ...cluster.locations import LocationError, absolute
from ...core.adversarial import AdversarialSettings, AdversarialTraining
from ...core.discriminators import ProjectionHead
from ...core.generators.architectures import ArchitectureError, build
from ...core.generators.protocol import Generator
from ...workers.datasets import DatasetError, ImageError, ImageSet, open_dataset
from ...workers.datasets.class_map import ClassedImages, class_numbers, found_classes
from ...workers.datasets.picture_rule import Alpha
from ..spec.loading import SpecError, preset_text, read_spec_text, read_yaml

_PRESETS = ("train-digits", "train-fashion")
_UPDATES = 100


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DatasetChoice(_Strict):
    """Which labelled images to learn; what becomes of them is said as in an audit's spec."""

    name: str
    split: str = "train"
    path: str | None = None
    resize: Literal["lanczos"] | None = None
    crop: int | None = Field(default=None, ge=1)
    alpha: Alpha | None = None


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
                f"batch_size must be a multiple of {ProjectionHead.group_size}; the "
                "discriminator compares images in groups of that size"
            )
        return self


def load_training_spec(source: str) -> TrainingSpec:
    """Reads and validates the training spec at a path, or the preset of that name.

    A relative ``dataset.path`` counts from the spec's folder.

    Raises:
        SpecError: not readable, not YAML, or with a wrong, missing or unknown key.
    """
    path = Path(source)
    if not path.is_file() and source not in _PRESETS:
        raise SpecError(f"{source}: no such file or preset (presets: {', '.join(_PRESETS)})")
    try:
        text = read_spec_text(path, source) if path.is_file() else preset_text(source)
        spec = TrainingSpec.model_validate(read_yaml(text, source))
    except ValidationError as error:
        problems = (
            f"{'.'.join(map(str, item['loc'])) or 'spec'}: {item['msg']}" for item in error.errors()
        )
        raise SpecError(f"{source}: {'; '.join(problems)}") from error
    if spec.dataset.path is None:
        return spec
    try:
        folder = absolute(spec.dataset.path, path.parent)
    except LocationError as error:
        raise SpecError(f"{source}: dataset.path: {error}") from error
    return spec.model_copy(update={"dataset": spec.dataset.model_copy(update={"path": folder})})


def train(source: str, out_dir: Path) -> Path:
    """Trains the generator of a spec (a path or a preset) into ``out_dir``, which it returns.

    Writes ``model.safetensors`` (the averaged weights), ``config.json`` (architecture, how it was
    made, its speed) and ``samples.png`` (a row of ten images per class; refreshed during the run).
    The result depends on the spec and the data alone, up to the rounding of the CPU's kernels.

    Raises:
        SpecError: the spec cannot be used, or the images it names cannot be opened.
    """
    spec = load_training_spec(source)
    data = _open_data(source, spec)
    generator, discriminator = _build(source, spec)
    try:
        images, labels = (torch.from_numpy(array) for array in data.arrays())
    except ImageError as error:
        raise SpecError(f"{source}: dataset: {error}") from error
    out_dir.mkdir(parents=True, exist_ok=True)
    settings = AdversarialSettings(
        **spec.model_dump(exclude={"dataset", "generator", "discriminator", "seed"})
    )
    latent_dim = int(spec.generator.arguments["latent_dim"])
    random = torch.Generator().manual_seed(spec.seed)
    training = AdversarialTraining(generator, discriminator, latent_dim, settings, random)
    started = time.monotonic()
    # Every registered generator is both a torch module and a Generator.
    average = cast(Generator, training.average)
    _run(training, average, images, labels, spec, out_dir)
    seconds = time.monotonic() - started
    (out_dir / "model.safetensors").write_bytes(save(training.average.state_dict()))
    config = {
        "architecture": spec.generator.architecture,
        "arguments": spec.generator.arguments,
        "parameters": sum(parameter.numel() for parameter in training.average.parameters()),
        "evaluations_per_second": measure_speed(average),
        "training": _provenance(spec, source, data, seconds),
    }
    (out_dir / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    return out_dir


def _open_data(source: str, spec: TrainingSpec) -> ImageSet:
    arguments = spec.generator.arguments
    try:
        data = open_dataset(
            spec.dataset.name,
            split=spec.dataset.split,
            path=spec.dataset.path,
            image_shape=arguments.get("image_shape"),
            resize=spec.dataset.resize,
            crop=spec.dataset.crop,
            alpha=spec.dataset.alpha,
        )
        data = _classed(data, arguments.get("num_classes"))
    except DatasetError as error:
        raise SpecError(f"{source}: dataset: {error}") from error
    if data.length is None or data.num_classes == 0:
        raise SpecError(
            f"{source}: dataset.name: '{data.name}' is not a finite set of labelled images; "
            "training needs one"
        )
    if arguments.get("num_classes") != data.num_classes:
        raise SpecError(
            f"{source}: generator.arguments.num_classes is {arguments.get('num_classes')}, but "
            f"the image set '{data.name}' has {data.num_classes} classes"
        )
    return data


def _classed(data: ImageSet, count: object) -> ImageSet:
    """The images under the classes that an audit will take them to be of."""
    found = found_classes(data)
    if found is None or not isinstance(count, int):
        return data
    numbers = class_numbers(found, [count])
    if all(numbers[name] == label for label, name in found.names.items()):
        return data
    return ClassedImages(data, numbers)


def _build(source: str, spec: TrainingSpec) -> tuple[nn.Module, nn.Module]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        try:
            return (
                build("generator", spec.generator.architecture, spec.generator.arguments),
                build(
                    "discriminator", spec.discriminator.architecture, spec.discriminator.arguments
                ),
            )
        except ArchitectureError as error:
            raise SpecError(f"{source}: {error}") from error


def _run(
    training: AdversarialTraining,
    average: Generator,
    images: Tensor,
    labels: Tensor,
    spec: TrainingSpec,
    out_dir: Path,
) -> None:
    every = max(1, spec.steps // _UPDATES)
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
                save_samples(average, spec.seed, out_dir / "samples.png")


def save_samples(generator: Generator, seed: int, path: Path, per_class: int = 10) -> None:
    """Writes a PNG with a row of ``per_class`` generated images for every class."""
    rows = max(1, generator.num_classes)
    random = torch.Generator().manual_seed(seed)
    latent = torch.randn(rows * per_class, generator.latent_dim, generator=random)
    condition = torch.arange(rows).repeat_interleave(per_class)
    with torch.no_grad():
        images = generator(latent, condition if generator.num_classes else None).numpy()
    images = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    _, channels, height, width = images.shape
    grid = images.reshape(rows, per_class, channels, height, width).transpose(0, 3, 1, 4, 2)
    grid = grid.reshape(rows * height, per_class * width, channels)
    pixels = (255 * grid).round().astype(np.uint8)
    picture = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    scale = max(1, 64 // height)
    size = (picture.width * scale, picture.height * scale)
    picture.resize(size, Image.Resampling.NEAREST).save(path)


def measure_speed(generator: Generator, batch_size: int = 256) -> dict[str, Any]:
    """Images with their latent gradients a second, the median of ten batches, and where."""
    condition = torch.arange(batch_size) % generator.num_classes if generator.num_classes else None
    times = []
    for _ in range(12):
        latent = torch.zeros(batch_size, generator.latent_dim, requires_grad=True)
        started = time.perf_counter()
        torch.autograd.grad(generator(latent, condition).sum(), latent)
        times.append(time.perf_counter() - started)
    return {
        "value": round(batch_size / float(np.median(times[2:]))),
        "device": f"cpu ({platform.machine()})",
        "threads": torch.get_num_threads(),
        "batch_size": batch_size,
    }


def _provenance(spec: TrainingSpec, source: str, data: ImageSet, seconds: float) -> dict[str, Any]:
    return {
        "command": f"offmanifold train {Path(source).name}",
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
    }
