"""Reading a checkpoint file for its tensors; nothing in it runs.

By what a file begins with: torch's archives and old pickles (with ``weights_only``), safetensors,
the pickles of StyleGAN's networks, numpy's .npz, and the tars in which Blocks keeps one.
"""

import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from ..generator_errors import GeneratorError
from ..npz_file import ZIP_DAMAGE, is_npz
from .array_files import load_arrays, parameters_in_tar
from .pickled_networks import read_network

_ARCHIVE = b"PK\x03\x04"
# The number that torch's pickles before version 1.6 begin with.
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_TAR, _TAR_PLACE = b"ustar", 257
# Members that only these programs' archives have.
_PROGRAMS = {"constants.pkl": "torchscript", "models/model.json": "torch-export"}
_LARGEST_HEADER = 1 << 27
_CONFIG = "config.json"


@dataclass(frozen=True)
class CheckpointFile:
    """What a file holds: its tensors by name, its settings, and the file's SHA-256.

    ``average`` says whether its weights are a moving average over training, None if nothing does.
    ``modules`` are the plain attributes of a pickled network's modules, by the modules' names.
    """

    tensors: dict[str, Tensor]
    settings: dict[str, Any]
    average: bool | None
    sha256: str
    modules: dict[str, dict[str, Any]] = field(default_factory=dict)


def read_checkpoint(path: Path) -> CheckpointFile:
    """Reads a checkpoint, and ``config.json`` beside it where there is one.

    Raises:
        GeneratorError: it cannot be read, is damaged, or holds more than tensors in containers.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise GeneratorError(f"{path} cannot be read: {error.strerror}") from error
    most = len(content)
    if content[_TAR_PLACE:].startswith(_TAR):
        holds = load_arrays(path, parameters_in_tar(path, content))
        most = _nbytes(holds)
    elif content.startswith(_ARCHIVE) and is_npz(members := _members(path, content)):
        holds = load_arrays(path, content)
        # Compressed arrays may be more than the file; what they expand to was bounded there.
        most = _nbytes(holds)
    elif content.startswith(_ARCHIVE):
        _require_no_program(path, members)
        _require_plain_archive(path, members, len(content))
        holds = _load_torch(path, content)
    elif content.startswith(_OLD_TORCH):
        holds = _load_torch(path, content)
    elif _is_safetensors(content):
        holds = _load_safetensors(path, content)
    elif content.startswith(b"\x80"):
        return _network_file(path, content)
    else:
        raise GeneratorError(
            f"{path} is not a checkpoint: it begins with {content[:12]!r}; expected a file saved "
            "by torch, safetensors, an .npz or a StyleGAN pickle (an ONNX file goes into a spec "
            "with a 'network')"
        )
    tensors = _require_tensors(path, holds, most)
    average = _is_average(path, holds)
    digest = hashlib.sha256(content).hexdigest()
    return CheckpointFile(tensors, _settings_beside(path), average, digest)


def _network_file(path: Path, content: bytes) -> CheckpointFile:
    network = read_network(path, content)
    digest = hashlib.sha256(content).hexdigest()
    return CheckpointFile(network.tensors, network.settings, True, digest, network.modules)


def _members(path: Path, content: bytes) -> list[zipfile.ZipInfo]:
    try:
        return zipfile.ZipFile(io.BytesIO(content)).infolist()
    except ZIP_DAMAGE as error:
        raise GeneratorError(
            f"{path} is a damaged archive ({error}): copy or download it again"
        ) from error


def _require_no_program(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Raises GeneratorError for the archives of TorchScript and torch.export."""
    for marker, kind in _PROGRAMS.items():
        if any(member.filename.endswith(f"/{marker}") for member in members):
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


def _load_torch(path: Path, content: bytes) -> Any:
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        lines = str(error).partition("Please file an issue")[0].splitlines() or [repr(error)]
        told = next((line for line in lines if "Unsupported" in line or "GLOBAL" in line), lines[0])
        raise GeneratorError(
            f"{path} holds more than tensors in containers; nothing in it was run "
            f"({told.strip()}). Save its state dict alone"
        ) from error
    except Exception as error:
        # What torch raises for a damaged file is of any type.
        reason = (str(error) or repr(error)).splitlines()[0]
        raise GeneratorError(
            f"{path} is a damaged torch file ({reason}): copy or download it again"
        ) from error


def _is_safetensors(content: bytes) -> bool:
    header = int.from_bytes(content[:8], "little")
    return content[8:9] == b"{" and header < _LARGEST_HEADER


def _load_safetensors(path: Path, content: bytes) -> dict[str, Tensor]:
    from safetensors.torch import load

    try:
        return load(content)
    except SafetensorError as error:
        raise GeneratorError(
            f"{path} is not a whole safetensors file ({error}): copy or download it again"
        ) from error


def _nbytes(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors.values())


def _require_tensors(path: Path, holds: Any, most: int) -> dict[str, Tensor]:
    """The state dict in what a file holds, bare or under ``state_dict``: each of ``most`` bytes."""
    state = holds.get("state_dict", holds) if isinstance(holds, Mapping) else holds
    if not isinstance(state, Mapping) or not state:
        raise GeneratorError(
            f"{path} holds a value of type {type(state).__name__}, expected a state dict: names "
            "with tensors"
        )
    others = [str(name) for name, value in state.items() if not isinstance(value, Tensor)]
    if others:
        raise GeneratorError(
            f"{path} does not hold a state dict: {', '.join(others[:3])} "
            f"{'is not a tensor' if len(others) == 1 else 'are not tensors'}; expected names "
            "with tensors, bare or under 'state_dict'"
        )
    spread = [
        str(name)
        for name, tensor in state.items()
        if tensor.numel() * tensor.element_size() > min(tensor.untyped_storage().nbytes(), most)
    ]
    if spread:
        raise GeneratorError(
            f"{path}: {', '.join(spread[:3])} would be larger than the file; it is not opened"
        )
    return {str(name): tensor for name, tensor in state.items()}


def _is_average(path: Path, holds: Any) -> bool | None:
    """By its name, and by the optimiser that StudioGAN saves beside the weights it trains."""
    if "ema" in path.name.lower():
        return True
    return False if isinstance(holds, Mapping) and "optimizer" in holds else None


def _settings_beside(path: Path) -> dict[str, Any]:
    config = path.parent / _CONFIG
    if not config.is_file():
        return {}
    try:
        settings = json.loads(config.read_bytes())
    except (ValueError, RecursionError) as error:
        raise GeneratorError(f"{config} is not JSON: {error}") from error
    return settings if isinstance(settings, dict) else {}
