"""Published checkpoints on the command line: what one is, and its conversion to safetensors."""

import hashlib
import json
from pathlib import Path
from typing import Any

from rich.table import Table
from safetensors.torch import save

from ...cluster.local_storage import LocalStorage
from ...workers.checkpoints.opening import (
    OpenedCheckpoint,
    Reading,
    checkpoint_warnings,
    open_checkpoint,
)
from ...workers.generators import CONFIG_NAME, WEIGHTS_NAME, GeneratorError
from ..spec.loading import SpecError

_AVERAGE = {True: "yes", False: "no", None: "the file does not say"}


def checkpoint_facts(path: Path, family: str | None, reading: Reading) -> dict[str, Any]:
    """What a checkpoint is, as JSON values.

    Raises:
        SpecError: it cannot be read, or is not of the family (or of any).
    """
    return _facts(_open(path, family, reading))


def facts_table(facts: dict[str, Any]) -> Table:
    """The facts, one a line."""
    table = Table("", "", box=None, show_header=False)
    for name, value in facts.items():
        if name == "key" and value is None:
            continue
        if name == "average":
            value = _AVERAGE[value]
        if name == "parameters":
            value = f"{value:,}"
        for line in value if isinstance(value, list) else [value]:
            table.add_row(name.replace("_", " "), str(line))
            name = ""
    return table


def convert(path: Path, family: str | None, reading: Reading, folder: Path) -> Path:
    """Writes a checkpoint as ``model.safetensors`` and ``config.json`` into ``folder``.

    The config says what was converted, with the SHA-256 of the file and of the weights written.

    Raises:
        SpecError: the checkpoint cannot be read or translated, or the folder holds a generator.
        StorageError: the folder cannot be written.
    """
    if (folder / WEIGHTS_NAME).exists():
        raise SpecError(f"{folder} already holds {WEIGHTS_NAME}: choose another --out")
    opened = _open(path, family, reading)
    weights = {
        name: tensor.float().contiguous() for name, tensor in opened.translation.weights.items()
    }
    content = save(weights)
    config = {
        "architecture": opened.translation.architecture,
        "arguments": opened.arguments,
        "published": {
            "family": opened.family,
            "file": path.name,
            "file_sha256": opened.file.sha256,
            "weights_sha256": hashlib.sha256(content).hexdigest(),
            "parameters": opened.parameters,
            "average": opened.average,
            "key": opened.chosen.key or None,
            "truncation": reading.truncation,
            "notes": [*opened.translation.notes, *opened.translation.warnings],
        },
    }
    place = LocalStorage.create(folder)
    place.write(CONFIG_NAME, (json.dumps(config, indent=2) + "\n").encode())
    # Last: a folder that has them is taken to be whole.
    place.write(WEIGHTS_NAME, content)
    return folder


def _open(path: Path, family: str | None, reading: Reading) -> OpenedCheckpoint:
    try:
        return open_checkpoint(path, family, reading)
    except GeneratorError as error:
        raise SpecError(str(error)) from error


def _facts(opened: OpenedCheckpoint) -> dict[str, Any]:
    channels, height, width = opened.arguments["image_shape"]
    return {
        "family": opened.family,
        "key": opened.chosen.key or None,
        "images": f"{channels}x{height}x{width}",
        "classes": opened.arguments["num_classes"],
        "latent": opened.arguments["latent_dim"],
        "parameters": opened.parameters,
        "average": opened.average,
        "sha256": opened.file.sha256,
        "notes": list(opened.translation.notes),
        "assumed": list(opened.translation.assumptions),
        "warnings": list(checkpoint_warnings(opened)),
    }
