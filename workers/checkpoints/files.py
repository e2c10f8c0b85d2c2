"""Reading a checkpoint file for its tensors; nothing in it runs.

By what a file begins with: torch's archives and old pickles, safetensors, the pickles of StyleGAN's
networks, numpy's .npz, and the tars in which Blocks keeps one.
"""

import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

from ...cluster.regular_file import read_regular
from ..generator_errors import GeneratorError
from ..json_file import MOST_SETTINGS_BYTES, parse_json
from ..npz_file import ZIP_DAMAGE, is_npz
from .array_files import load_arrays, parameters_in_tar
from .candidates import Candidate, find_candidates
from .config_beside import find_config
from .kind_of_file import ARCHIVE, OLD_TORCH, is_safetensors, program_format
from .pickled_networks import AVERAGE_KEY, read_network
from .pickled_objects import PickleError
from .torch_files import read_archive, read_old_file

_TAR, _TAR_PLACE = b"ustar", 257


@dataclass(frozen=True)
class CheckpointFile:
    """What a file holds: sets of named tensors, its settings, and the file's SHA-256.

    The ``candidates`` are never none. ``average`` says whether the file's weights are a moving
    average over training, None if nothing does. ``modules`` are the plain attributes of a pickled
    network's modules, by the modules' names.
    """

    candidates: list[Candidate]
    settings: dict[str, Any]
    average: bool | None
    sha256: str
    modules: dict[str, dict[str, Any]] = field(default_factory=dict)


def read_checkpoint(path: Path, key: str | None = None) -> CheckpointFile:
    """Reads a checkpoint, and the config beside it where there is one.

    The ``key`` is that of a network in StyleGAN's pickles, ``G_ema`` where None; of other files
    every candidate is read.

    Raises:
        GeneratorError: it cannot be read, is damaged, or holds no tensors.
    """
    try:
        content = read_regular(path)
    except OSError as error:
        raise GeneratorError(f"{path} cannot be read: {error.strerror}") from error
    holds: Any
    if content[_TAR_PLACE:].startswith(_TAR):
        holds = load_arrays(path, parameters_in_tar(path, content))
    elif content.startswith(ARCHIVE) and is_npz(members := _members(path, content)):
        holds = load_arrays(path, content)
    elif content.startswith(ARCHIVE):
        _require_no_program(path, members)
        _require_plain_archive(path, members, len(content))
        holds = _load_torch(path, content, read_archive)
    elif content.startswith(OLD_TORCH):
        holds = _load_torch(path, content, read_old_file)
    elif is_safetensors(content):
        holds = _load_safetensors(path, content)
    elif content.startswith(b"\x80"):
        return _network_file(path, content, key or AVERAGE_KEY)
    else:
        begins = f"it begins with {content[:12]!r}" if content else "it is empty"
        raise GeneratorError(
            f"{path} is not a checkpoint: {begins}; expected a file saved by torch, safetensors, "
            "an .npz or a StyleGAN pickle (an ONNX file goes into a spec with a 'network')"
        )
    candidates = _require_candidates(path, holds)
    average = _is_average(path, holds)
    digest = hashlib.sha256(content).hexdigest()
    return CheckpointFile(candidates, _settings_beside(path), average, digest)


def _network_file(path: Path, content: bytes, key: str) -> CheckpointFile:
    network = read_network(path, content, key)
    digest = hashlib.sha256(content).hexdigest()
    found = Candidate((key,), network.tensors)
    return CheckpointFile([found], network.settings, found.is_average, digest, network.modules)


def _members(path: Path, content: bytes) -> list[zipfile.ZipInfo]:
    try:
        return zipfile.ZipFile(io.BytesIO(content)).infolist()
    except ZIP_DAMAGE as error:
        raise GeneratorError(
            f"{path} is a damaged archive ({error}): copy or download it again"
        ) from error


def _require_no_program(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Raises GeneratorError for the archives of TorchScript and torch.export."""
    kind = program_format(members)
    if kind is not None:
        raise GeneratorError(
            f"{path} is a {kind} file: a program with its weights, not a family's "
            f"checkpoint. In a spec it goes under weights, with a 'network' of format {kind}"
        )


def _require_plain_archive(path: Path, members: list[zipfile.ZipInfo], size: int) -> None:
    """Torch stores its archives' members as they are; a compressed one may be a bomb."""
    compressed = [member.filename for member in members if member.compress_type]
    if compressed or sum(member.file_size for member in members) > size:
        raise GeneratorError(
            f"{path} is an archive with compressed or overlapping members "
            f"({', '.join(compressed[:3])}), which torch does not write; it is not opened"
        )


def _load_torch(path: Path, content: bytes, read: Callable[[bytes], Any]) -> Any:
    try:
        return read(content)
    except PickleError as error:
        raise GeneratorError(
            f"{path} is a damaged torch file, or one that torch did not write ({error}); nothing "
            "in it was run: copy or download it again"
        ) from error


def _load_safetensors(path: Path, content: bytes) -> dict[str, Tensor]:
    from safetensors.torch import load

    try:
        return load(content)
    except SafetensorError as error:
        raise GeneratorError(
            f"{path} is not a whole safetensors file ({error}): copy or download it again"
        ) from error


def _require_candidates(path: Path, holds: Any) -> list[Candidate]:
    """The sets of named tensors in what a file holds.

    Raises:
        GeneratorError: there are none.
    """
    try:
        found = find_candidates(holds)
    except PickleError as error:
        raise GeneratorError(
            f"{path} holds a module that is not as torch writes it: {error}"
        ) from error
    if found:
        return found
    if not isinstance(holds, Mapping):
        raise GeneratorError(
            f"{path} holds a value of type {type(holds).__name__}, expected a state dict: names "
            "with tensors"
        )
    names = ", ".join(str(name)[:40] for name in islice(holds, 5) if isinstance(name, str | int))
    raise GeneratorError(
        f"{path} does not hold a state dict, names with tensors: there is no tensor in it (it "
        f"holds {names or 'nothing'})"
    )


def _is_average(path: Path, holds: Any) -> bool | None:
    """By its name, and by the optimiser that StudioGAN saves beside the weights it trains.

    In a file of pSp or e4e, which has ``opts``, the optimiser is the encoder's.
    """
    if "ema" in path.name.lower():
        return True
    if not isinstance(holds, Mapping) or "opts" in holds:
        return None
    return False if "optimizer" in holds else None


def _settings_beside(path: Path) -> dict[str, Any]:
    config = find_config(path)
    if config is None:
        return {}
    try:
        settings = parse_json(read_regular(config, MOST_SETTINGS_BYTES))
    except (OSError, ValueError) as error:
        raise GeneratorError(f"{config} is not JSON: {error}") from error
    return settings if isinstance(settings, dict) else {}
