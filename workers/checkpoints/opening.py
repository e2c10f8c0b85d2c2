"""A published checkpoint as a generator: read, recognised, translated, built."""

import hashlib
import json
from dataclasses import dataclass
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
from ...core.generators.native_range import native_range_remarks
from ...core.generators.undrawn import undrawn
from ..generator_errors import GeneratorError
from ..own_generator import few_inputs
from .candidates import Candidate
from .choosing import OUT_OF_FORM, Choice, choose
from .files import CheckpointFile, read_checkpoint

if TYPE_CHECKING:
    from ...core.generators.protocol import Generator


@dataclass(frozen=True)
class Reading:
    """How a checkpoint is read where the file alone does not say.

    ``key`` is where in the file the generator lies, ``truncation`` that of the latents and
    ``classes`` how many of the network's inputs are classes, for families that have them, and
    ``mixed_precision`` whether training used half precision too, for families that ask for it.
    """

    key: str | None = None
    truncation: float | None = None
    classes: int | None = None
    mixed_precision: bool | None = None


@dataclass(frozen=True)
class OpenedCheckpoint:
    """A checkpoint of a known family, and its translation into one of our architectures.

    ``chosen`` are those of the file's tensors that are the generator's, ``asked`` whether by a key.
    """

    path: Path
    file: CheckpointFile
    chosen: Candidate
    family: str
    translation: Translation
    asked: bool = False

    @property
    def arguments(self) -> dict[str, Any]:
        """What the architecture is built with: ``latent_dim``, ``num_classes``, ..."""
        return self.translation.arguments

    @property
    def sha256(self) -> str:
        """SHA-256 in hex of the file, or of it and what else decides: a config, a key."""
        decides = [self.file.sha256]
        if _find(self.family).reads_config:
            decides.append(json.dumps(self.file.settings, sort_keys=True))
        if self.asked:
            decides.append(self.chosen.key)
        if len(decides) == 1:
            return self.file.sha256
        return hashlib.sha256(" ".join(decides).encode()).hexdigest()

    @property
    def parameters(self) -> int:
        """How many numbers the published weights and statistics are."""
        return self.chosen.size

    @property
    def average(self) -> bool | None:
        """Whether the weights are a moving average over training, None if nothing says so."""
        is_average = self.chosen.is_average or _find(self.family).average_names is not None
        return True if is_average else self.file.average


def open_checkpoint(
    path: Path, family: str | None = None, reading: Reading = Reading()
) -> OpenedCheckpoint:
    """Reads a checkpoint and translates it; nothing in the file runs.

    ``family`` is what the file is recognised as where None.

    Raises:
        GeneratorError: the file cannot be read, is of no known family or of another one, holds
            several generators, or its tensors differ from what the family publishes.
    """
    file = read_checkpoint(path, reading.key)
    if family is not None:
        _find(family)
    choice = choose(path, file, family, reading.key)
    name = family or _require_one(path, choice)
    found = _find(name)
    _require_what_is_asked(path, name, choice, reading)
    chosen = choice.candidate.named(found.average_names)
    checkpoint = Checkpoint(
        chosen.tensors,
        file.settings,
        reading.truncation,
        file.modules,
        reading.classes,
        reading.mixed_precision,
    )
    try:
        translation = found.translate(checkpoint)
    except CheckpointError as error:
        raise GeneratorError(
            f"{path} is not a checkpoint of the family '{name}'{_hint(name, choice)}: {error}"
        ) from error
    except OUT_OF_FORM as error:
        raise GeneratorError(
            f"{path} is not a checkpoint of the family '{name}'{_hint(name, choice)}: its "
            f"tensors or settings do not have the expected form ({type(error).__name__}: {error})"
        ) from error
    asked = reading.key is not None
    return OpenedCheckpoint(path, file, chosen, name, translation, asked)


def build_checkpoint(opened: OpenedCheckpoint) -> "Generator":
    """The generator of an opened checkpoint, in evaluation mode, its weights frozen."""
    with undrawn():
        module = build("generator", opened.translation.architecture, opened.arguments)
    module.load_state_dict(opened.translation.weights, assign=True)
    generator: Generator = module.float().eval().requires_grad_(False)
    return generator


def checkpoint_warnings(opened: OpenedCheckpoint) -> tuple[str, ...]:
    """Where what was taken for granted looks wrong: in the tensors, and in a few images."""
    warnings = opened.translation.warnings
    if opened.translation.assumed_range is None:
        return warnings
    generator = build_checkpoint(opened)
    latent, condition = few_inputs(generator)
    with torch.no_grad():
        images = generator(latent, condition)
    return warnings + native_range_remarks(images, opened.translation.assumed_range)


def _find(name: str) -> Family:
    try:
        return find_family(name)
    except FamilyError as error:
        raise GeneratorError(str(error)) from error


def _require_what_is_asked(path: Path, name: str, choice: Choice, reading: Reading) -> None:
    """Raises GeneratorError where the user says what the family does not ask, or the reverse."""
    family = _find(name)
    if reading.truncation is not None and not family.truncates:
        raise GeneratorError(f"{path}: the family '{name}' has no truncation; remove it")
    if reading.classes is not None and not family.counts_classes:
        raise GeneratorError(
            f"{path}: the family '{name}' knows its classes from the file; remove 'classes'"
        )
    if reading.mixed_precision is not None and not family.asks_mixed_precision:
        raise GeneratorError(
            f"{path}: the family '{name}' does not depend on 'mixed_precision', or has it in the "
            "file; remove it"
        )
    is_asked = family.asks_mixed_precision and name in choice.families
    if reading.mixed_precision is None and is_asked:
        raise GeneratorError(
            f"{path} is of the family '{name}', whose files do not say whether training used "
            "mixed precision, which bounds the values in its layers. Look at how it was trained "
            "(StudioGAN's option -mpc), and say 'mixed_precision: true' or 'mixed_precision: "
            "false' in the spec, or --mixed-precision or --no-mixed-precision"
        )


def _require_one(path: Path, choice: Choice) -> str:
    tensors, families = choice.candidate.tensors, choice.families
    if len(families) == 1:
        return families[0]
    if families:
        raise GeneratorError(f"{path} could belong to {' or '.join(families)}: name its family")
    if choice.out_of_form is not None:
        raise GeneratorError(
            f"{path} has tensor shapes that no family has: {choice.out_of_form}"
        ) from choice.out_of_form
    some = ", ".join(sorted(tensors)[:5])
    raise GeneratorError(
        f"{path} belongs to no known family ({', '.join(family_names())}); its "
        f"{len(tensors)} tensors begin with {some}. If it should belong to one, name "
        "that family to see how its tensors differ; other generators are audited as "
        "module:function"
    )


def _hint(name: str, choice: Choice) -> str:
    others = [other for other in choice.families if other != name]
    return f", it looks like {' or '.join(others)}" if others else ""
