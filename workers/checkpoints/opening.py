"""A published checkpoint as a generator: read, recognised, translated, built."""

import hashlib
import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ...core.generators.architectures import build
from ...core.generators.families.checkpoint import (
    Checkpoint,
    CheckpointError,
    Family,
    Translation,
)
from ...core.generators.families.registry import FamilyError, family_names, find_family
from ..generator_errors import GeneratorError
from .files import CheckpointFile, read_checkpoint

if TYPE_CHECKING:
    from ...core.generators.protocol import Generator


# What a translation runs into where shapes or settings are not even of the family's form.
_OUT_OF_FORM = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RuntimeError)


@dataclass(frozen=True)
class OpenedCheckpoint:
    """A checkpoint of a known family, and its translation into one of our architectures."""

    path: Path
    file: CheckpointFile
    family: str
    translation: Translation

    @property
    def arguments(self) -> dict[str, Any]:
        """What the architecture is built with: ``latent_dim``, ``num_classes``, ..."""
        return self.translation.arguments

    @property
    def sha256(self) -> str:
        """SHA-256 in hex of the file, or, where a config decides too, of both."""
        if not _find(self.family).reads_config:
            return self.file.sha256
        settings = json.dumps(self.file.settings, sort_keys=True)
        return hashlib.sha256(f"{self.file.sha256} {settings}".encode()).hexdigest()

    @property
    def parameters(self) -> int:
        """How many numbers the published weights and statistics are."""
        return sum(prod(tensor.shape) for tensor in self.file.tensors.values())


def open_checkpoint(
    path: Path, family: str | None = None, truncation: float | None = None
) -> OpenedCheckpoint:
    """Reads a checkpoint and translates it; nothing in the file runs.

    ``family`` is what the file is recognised as where None. ``truncation`` scales and truncates
    the latents of a family whose latents are truncated.

    Raises:
        GeneratorError: the file cannot be read, is of no known family or of another one, or its
            tensors differ from what the family publishes.
    """
    file = read_checkpoint(path)
    checkpoint = Checkpoint(file.tensors, file.settings, truncation, file.modules)
    try:
        recognised = _recognise(checkpoint)
    except _OUT_OF_FORM as error:
        raise GeneratorError(f"{path} has tensor shapes that no family has: {error}") from error
    name = family or _require_one(path, checkpoint, recognised)
    found = _find(name)
    if truncation is not None and not found.truncates:
        raise GeneratorError(f"{path}: the family '{name}' has no truncation; remove it")
    try:
        return OpenedCheckpoint(path, file, name, found.translate(checkpoint))
    except CheckpointError as error:
        raise GeneratorError(
            f"{path} is not a checkpoint of the family '{name}'{_hint(name, recognised)}: {error}"
        ) from error
    except _OUT_OF_FORM as error:
        raise GeneratorError(
            f"{path} is not a checkpoint of the family '{name}'{_hint(name, recognised)}: its "
            f"tensors or settings do not have the expected form ({type(error).__name__}: {error})"
        ) from error


def build_checkpoint(opened: OpenedCheckpoint) -> "Generator":
    """The generator of an opened checkpoint, in evaluation mode, its weights frozen."""
    # Without memory of its own: what the arguments ask for is only ever the file's tensors.
    with torch.device("meta"):
        module = build("generator", opened.translation.architecture, opened.arguments)
    module.load_state_dict(opened.translation.weights, assign=True)
    generator: Generator = module.float().eval().requires_grad_(False)
    return generator


def _find(name: str) -> Family:
    try:
        return find_family(name)
    except FamilyError as error:
        raise GeneratorError(str(error)) from error


def _recognise(checkpoint: Checkpoint) -> list[str]:
    shapes = checkpoint.shapes
    return [name for name in family_names() if find_family(name).recognises(shapes)]


def _require_one(path: Path, checkpoint: Checkpoint, recognised: list[str]) -> str:
    if len(recognised) == 1:
        return recognised[0]
    if recognised:
        raise GeneratorError(f"{path} could belong to {' or '.join(recognised)}: name its family")
    some = ", ".join(sorted(checkpoint.tensors)[:5])
    raise GeneratorError(
        f"{path} belongs to no known family ({', '.join(family_names())}); its "
        f"{len(checkpoint.tensors)} tensors begin with {some}. If it should belong to one, name "
        "that family to see how its tensors differ; other generators are audited as "
        "module:function"
    )


def _hint(name: str, recognised: list[str]) -> str:
    others = [other for other in recognised if other != name]
    return f", it looks like {' or '.join(others)}" if others else ""
