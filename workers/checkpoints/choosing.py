"""Which of a file's sets of tensors is the generator: by the families' structure, or a key."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core.generators.families.checkpoint import Checkpoint, CheckpointError
from ...core.generators.families.registry import family_names, find_family
from ..generator_errors import GeneratorError
from .candidates import Candidate
from .files import CheckpointFile

# What a translation runs into where shapes or settings are not even of the family's form.
OUT_OF_FORM = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RuntimeError)
_MOST_LISTED = 12


@dataclass(frozen=True)
class Choice:
    """A set of tensors, and the families that recognise it by their structure.

    ``out_of_form`` is what a family ran into instead, on shapes that none has.
    """

    candidate: Candidate
    families: list[str]
    out_of_form: Exception | None = None


def choose(path: Path, file: CheckpointFile, family: str | None, key: str | None) -> Choice:
    """The only candidate that the ``family`` recognises, or any family where it is None.

    Of several, those whose tensors are not all the family's are left out. Where none is
    recognised, it is the only container, so that what differs in it can be told.

    Raises:
        GeneratorError: nothing lies under the key, or there are several to choose from; they are
            listed with their sizes.
    """
    candidates = [found for found in file.candidates if key is None or found.lies_in(key)]
    if key is not None and not candidates:
        raise GeneratorError(f"{path} holds nothing under the key '{key}'; {_listed(file)}")
    choices = _outermost([_recognise(candidate, file) for candidate in candidates])
    recognised = [choice for choice in choices if choice.families]
    wanted = [choice for choice in recognised if family in (None, *choice.families)] or recognised
    if not wanted:
        wanted = [choice for choice in choices if choice.candidate.whole] or choices
    if len(wanted) > 1:
        wanted = [choice for choice in wanted if _fits(choice, file, family)] or wanted
    if len(wanted) > 1:
        raise GeneratorError(_question(path, wanted, family, key))
    return wanted[0]


def _recognise(candidate: Candidate, file: CheckpointFile) -> Choice:
    """Of families that share their names, that of pickles is of a pickle, the other of tensors."""
    shapes = {name: tuple(tensor.shape) for name, tensor in candidate.tensors.items()}
    families, failed = [], None
    for name in family_names():
        try:
            if find_family(name).recognises(shapes):
                families.append(name)
        except OUT_OF_FORM as error:
            failed = error
    of_its_kind = [
        name for name in families if find_family(name).reads_modules == bool(file.modules)
    ]
    return Choice(candidate, of_its_kind or families, failed)


def _outermost(choices: Sequence[Choice]) -> list[Choice]:
    """Without the parts of what a family recognises as a whole."""
    whole = [choice.candidate for choice in choices if choice.families]
    return [
        choice
        for choice in choices
        if not any(choice.candidate.is_inside(candidate) for candidate in whole)
    ]


def _fits(choice: Choice, file: CheckpointFile, family: str | None) -> bool:
    """Whether the family finds all of its tensors there, and no other."""
    for name in choice.families:
        if family not in (None, name):
            continue
        try:
            find_family(name).translate(
                Checkpoint(choice.candidate.tensors, file.settings, modules=file.modules)
            )
        except (CheckpointError, *OUT_OF_FORM):
            continue
        return True
    return False


def _question(path: Path, choices: Sequence[Choice], family: str | None, key: str | None) -> str:
    options = [choice.candidate for choice in choices]
    if any(choice.families for choice in choices):
        what = f"generators of {'a family' if family is None else f'the family {family!r}'}"
        ask = "Choose one with 'key' in the spec, or --key"
    else:
        what = "sets of tensors, none of which a family recognises"
        ask = "To see how one differs from a family, name both: --family and --key"
    place = "" if key is None else f" under the key '{key}'"
    return f"{path} holds {len(options)} {what}{place}: {_sizes(options)}. {ask}"


def _listed(file: CheckpointFile) -> str:
    return f"it holds {_sizes([found for found in file.candidates if found.whole])}"


def _sizes(candidates: Sequence[Candidate]) -> str:
    told = [
        f"{candidate.key[:80] or 'the file itself'} ({len(candidate.tensors):,} tensors, "
        f"{candidate.size:,} numbers)"
        for candidate in candidates[:_MOST_LISTED]
    ]
    more = len(candidates) - len(told)
    return ", ".join(told) + (f" and {more:,} more" if more else "")
