"""Theano's parameters: numpy's .npz, alone or in the tar that Blocks writes."""

import io
import tarfile
from pathlib import Path

import torch
from torch import Tensor

from ..generator_errors import GeneratorError
from ..npz_file import NpzError, read_npz

_PARAMETERS = "_parameters"


def load_arrays(path: Path, content: bytes) -> dict[str, Tensor]:
    """The arrays of an .npz as tensors, in its order.

    Raises:
        GeneratorError: it is damaged, would take too much memory, or holds other than numbers.
    """
    try:
        arrays = read_npz(io.BytesIO(content))
    except NpzError as error:
        raise GeneratorError(f"{path}: {error}") from error
    # Copied: torch wants memory that may be written, and numbers in the machine's order.
    return {
        name: torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))
        for name, array in arrays.items()
    }


def parameters_in_tar(path: Path, content: bytes) -> bytes:
    """The .npz of parameters in a tar that Blocks wrote; its pickle is not looked at.

    Raises:
        GeneratorError: the tar is damaged, or without parameters.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            for member in archive:
                if member.name == _PARAMETERS and member.isreg() and not member.issparse():
                    file = archive.extractfile(member)
                    return file.read() if file else b""
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise GeneratorError(
            f"{path} is a damaged tar ({error}): copy or download it again"
        ) from error
    raise GeneratorError(
        f"{path} is a tar without the member '{_PARAMETERS}', in which Blocks keeps a network's "
        "parameters; nothing else in it is read"
    )
