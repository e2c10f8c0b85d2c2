"""A run's metrics in TensorBoard, Weights & Biases and MLflow, through their own libraries.

Each is an optional package, imported where it is asked for.
"""

import importlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..spec.loading import SpecError
from .exported import ExportedGenerator, ExportedRun, named_values
from .metric_lines import metric_lines
from .model_card import generator_card, model_card

PROJECT = "offmanifold"
"""The project of Weights & Biases, and the experiment of MLflow, unless the environment says."""

_SHARED = "shared"

# What MLflow takes for a metric's name.
_MLFLOW_OTHERS = re.compile(r"[^\w\-. :/]")
_MLFLOW_LENGTH = 250


def to_tensorboard(run: ExportedRun, folder: Path) -> list[Path]:
    """Writes a folder of event files for each training: scalars by step, and verdicts as text.

    Raises:
        SpecError: the package is missing, or such a folder is already there, or cannot be written.
    """
    board = _package("torch.utils.tensorboard", "tensorboard", "tensorboard")
    folders = [folder / name for name in run.trainings]
    for each in folders:
        taken = folder if folder.is_file() else each
        if taken.exists():
            raise SpecError(f"{taken}: is already there; name another folder by --out")
    try:
        for each, generators in zip(folders, run.trainings.values(), strict=True):
            with board.SummaryWriter(str(each)) as writer:
                for generator in generators:
                    for name, value in _values(run, generator):
                        writer.add_scalar(name, value, generator.step)
                    writer.add_text(
                        "verdicts", "\n".join(generator_card(generator)), generator.step
                    )
    except OSError as error:
        raise SpecError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return folders


def to_wandb(run: ExportedRun) -> list[str]:
    """Logs a run of Weights & Biases for each training; their names.

    Project, folder and mode are those of the library's own variables (``WANDB_PROJECT``,
    ``WANDB_DIR``, ``WANDB_MODE=offline``).

    Raises:
        SpecError: the package is missing, is disabled, or refuses, such as without a login.
    """
    wandb = _package("wandb", "wandb", "wandb")
    project = _variable("WANDB_PROJECT") or PROJECT
    names = []
    for training, generators in run.trainings.items():
        name = f"{run.name}.{training}"
        try:
            with wandb.init(
                project=project,
                name=name,
                config=_about(run),
                settings=wandb.Settings(silent=True),
            ) as logged:
                if logged.disabled:
                    raise SpecError(
                        "wandb: WANDB_MODE or `wandb disabled` has disabled it: nothing is logged"
                    )
                for generator in generators:
                    logged.log(dict(_values(run, generator)), step=generator.step)
                logged.summary["verdicts"] = "\n".join(generator_card(generators[-1]))
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()
            )
            raise SpecError(
                f"wandb: its settings, such as by WANDB_… variables: {wrong}"
            ) from error
        except wandb.errors.Error as error:
            raise SpecError(f"wandb: {error} (WANDB_MODE=offline needs no login)") from error
        names.append(name)
    return names


def to_mlflow(run: ExportedRun) -> list[str]:
    """Logs a run of MLflow for each training, with the model card and metric lines; their names.

    Where to is said by the library's own variables (``MLFLOW_TRACKING_URI``,
    ``MLFLOW_EXPERIMENT_NAME``).

    Raises:
        SpecError: the package is missing, or refuses.
    """
    mlflow = _package("mlflow", "mlflow-skinny", "mlflow")
    names = []
    try:
        if (
            _variable("MLFLOW_EXPERIMENT_NAME") is None
            and _variable("MLFLOW_EXPERIMENT_ID") is None
        ):
            mlflow.set_experiment(PROJECT)
        for training, generators in run.trainings.items():
            name = f"{run.name}.{training}"
            names_there = _mlflow_names(key for each in generators for key, _ in _values(run, each))
            with mlflow.start_run(run_name=name):
                mlflow.log_params(_about(run))
                for generator in generators:
                    values = {names_there[key]: value for key, value in _values(run, generator)}
                    mlflow.log_metrics(values, step=generator.step)
                mlflow.log_text(model_card(run), "model-card.md")
                mlflow.log_text("\n".join(metric_lines(run)) + "\n", "metrics.jsonl")
            names.append(name)
    except (mlflow.exceptions.MlflowException, OSError) as error:
        raise SpecError(f"mlflow: {error}") from error
    return names


def _values(run: ExportedRun, generator: ExportedGenerator) -> Iterator[tuple[str, float]]:
    yield from generator.values.items()
    for name, value in named_values(run.shared).items():
        yield f"{_SHARED}/{name}", value


def _about(run: ExportedRun) -> dict[str, str]:
    return {"offmanifold": run.version, "audit": run.name, "run": run.location}


def _mlflow_names(names: Iterable[str]) -> dict[str, str]:
    """MLflow's name for each of the names, no two the same.

    What it does not take becomes ``_``, so do parts that lead elsewhere in a path, and what is too
    long is cut. Of names that become the same, all but the first get a number.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in dict.fromkeys(names):
        parts = _MLFLOW_OTHERS.sub("_", name).split("/")
        plain = "/".join(part if part.strip(".") else "_" for part in parts)
        suffix, number = "", 1
        while (chosen := plain[: _MLFLOW_LENGTH - len(suffix)] + suffix) in taken:
            number += 1
            suffix = f" {number}"
        found[name] = chosen
        taken.add(chosen)
    return found


def _package(module: str, package: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SpecError(
            f"--to {extra} needs the package {package} ({error}): pip install {package}"
        ) from error


def _variable(name: str) -> str | None:
    return os.environ.get(name) or None
