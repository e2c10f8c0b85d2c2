""".npz archives of numbers, read within a bound on the memory that they may take."""

import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

# What an archive may expand to: pictures and weights compress to a half, not to a thousandth.
_MOST_EXPANSION = 20
_ALWAYS_BYTES = 2**30
_LONGEST_NUMBER = 8
_PIECE_BYTES = 2**20
# Of a member in a zip archive; it ends with the lengths of the name and of what else follows it.
_LOCAL_HEADER = "<4s5H3I2H"
_SUFFIX = ".npy"
# What zipfile raises for archives that are not whole.
ZIP_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    ValueError,
    EOFError,
    RuntimeError,
)


class NpzError(ValueError):
    """An archive is damaged, holds what is no array of numbers, or would take too much memory."""


def is_npz(members: Collection[zipfile.ZipInfo]) -> bool:
    """Whether a zip archive's members are arrays and nothing else."""
    return bool(members) and all(member.filename.endswith(_SUFFIX) for member in members)


def read_npz(
    source: Path | IO[bytes],
    wanted: Collection[str] | None = None,
    texts: Collection[str] = (),
) -> dict[str, NDArray[Any]]:
    """The arrays by name, in the archive's order: the ``wanted`` ones that it has, or all.

    They hold numbers, and those named in ``texts`` may hold text.

    Every array is judged by its header, and what all of them expand to by the archive's size,
    before memory is taken for any. What lies in a file uncompressed stays there, and is read as it
    is needed.

    Raises:
        NpzError: what is wrong with it.
        OSError: the file cannot be opened.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            members = [
                member
                for member in archive.infolist()
                if member.filename.endswith(_SUFFIX)
                and (wanted is None or member.filename.removesuffix(_SUFFIX) in wanted)
            ]
            _require_modest(archive, members)
            return {
                name: _array(source, archive, member, may_be_text=name in texts)
                for member in members
                for name in (member.filename.removesuffix(_SUFFIX),)
            }
    except NpzError:
        raise
    except ZIP_DAMAGE as error:
        raise NpzError(f"it is not a whole .npz file ({error}); fetch it again") from error


def _require_modest(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> None:
    packed = sum(member.compress_size for member in members)
    claimed = sum(member.file_size for member in members)
    most = max(_ALWAYS_BYTES, _MOST_EXPANSION * min(packed, _size(archive)))
    if claimed > most:
        raise NpzError(
            f"its arrays would expand to {claimed:,} bytes from {packed:,}, more than the "
            f"{most:,} allowed: save them again uncompressed, with numpy.savez"
        )


def _size(archive: zipfile.ZipFile) -> int:
    stream = archive.fp
    if stream is None:
        return 0
    return stream.seek(0, 2)


def _array(
    source: Path | IO[bytes],
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    *,
    may_be_text: bool,
) -> NDArray[Any]:
    name = member.filename.removesuffix(_SUFFIX)
    is_mapped = isinstance(source, Path) and member.compress_type == zipfile.ZIP_STORED
    try:
        with archive.open(member) as file:
            shape, fortran, dtype = _header(name, file, may_be_text=may_be_text)
            size = math.prod(shape) * dtype.itemsize
            # A header may claim more than there is, and numpy would take memory for it.
            if size > member.file_size:
                raise NpzError(
                    f"{name} holds {member.file_size:,} bytes, but its header says {size:,}"
                )
            start = file.tell()
            content = b"" if is_mapped else file.read(size + 1)
            found = _skipped(file) if is_mapped else len(content)
    except OSError as error:
        raise NpzError(f"{name} is damaged ({error}); fetch the file again") from error
    if found != size:
        raise NpzError(f"{name} does not hold the {size:,} bytes that its header says")
    order: Literal["F", "C"] = "F" if fortran else "C"
    try:
        if is_mapped and size:
            offset = _content_offset(archive, member) + start
            return np.memmap(source, dtype, "r", offset, shape, order)
        return np.frombuffer(content, dtype).reshape(shape, order=order)
    except ValueError as error:
        raise NpzError(f"{name} has the shape {shape}: {error}") from error


def _skipped(file: IO[bytes]) -> int:
    """How many bytes were left, read once for their checksum."""
    return sum(map(len, iter(lambda: file.read(_PIECE_BYTES), b"")))


def _content_offset(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """Where in the archive's file an uncompressed member's content begins."""
    stream = archive.fp
    assert stream is not None, "the archive is open"
    stream.seek(member.header_offset)
    *_, name, extra = struct.unpack(_LOCAL_HEADER, stream.read(struct.calcsize(_LOCAL_HEADER)))
    return member.header_offset + struct.calcsize(_LOCAL_HEADER) + int(name) + int(extra)


def _header(
    name: str, file: IO[bytes], *, may_be_text: bool
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(file)
    except (ValueError, tokenize.TokenError) as error:
        raise NpzError(f"{name} is not a whole .npy array: {error}") from error
    # Longer floats have a size that depends on the machine.
    is_number = dtype.kind in "fiub" and dtype.itemsize <= _LONGEST_NUMBER
    if not is_number and not (may_be_text and dtype.kind in "US" and dtype.itemsize > 0):
        expected = "numbers or text (not Python objects)" if may_be_text else "numbers"
        raise NpzError(f"{name} is {dtype} of shape {shape}, expected {expected}")
    if any(size < 0 for size in shape):
        raise NpzError(f"{name} has shape {shape}")
    return shape, fortran, dtype
