"""What a file of weights is, by what it begins with and what lies in it; nothing is run."""

import io
import zipfile

from ..npz_file import ZIP_DAMAGE, is_npz

ARCHIVE = b"PK\x03\x04"
# The number that torch's pickles before version 1.6 begin with.
OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
# Members that only these programs' archives have; torch.export's second before torch 2.7.
PROGRAMS = {
    "constants.pkl": "torchscript",
    "models/model.json": "torch-export",
    "serialized_exported_program.json": "torch-export",
}
_LARGEST_HEADER = 1 << 27


def is_safetensors(content: bytes) -> bool:
    """Whether it begins as a safetensors file does."""
    header = int.from_bytes(content[:8], "little")
    return content[8:9] == b"{" and header < _LARGEST_HEADER


def program_format(members: list[zipfile.ZipInfo]) -> str | None:
    """``torchscript`` or ``torch-export`` where an archive holds such a program; else None."""
    names = [f"/{member.filename}" for member in members]
    for marker, kind in PROGRAMS.items():
        if any(name.endswith(f"/{marker}") for name in names):
            return kind
    return None


def kind_of_file(content: bytes) -> str | None:
    """In words what a file's content is, such as `what torch.save wrote`; None for anything else.

    Formats of `NetworkSpec` are given by their names there.
    """
    if content.startswith(ARCHIVE):
        try:
            members = zipfile.ZipFile(io.BytesIO(content)).infolist()
        except ZIP_DAMAGE:
            return None
        if not _is_whole(content, members):
            return None
        if (program := program_format(members)) is not None:
            return program
        if is_npz(members):
            return "an .npz of arrays"
        plain = any(member.filename.endswith("/data.pkl") for member in members)
        return "what torch.save wrote" if plain else None
    if content.startswith(OLD_TORCH):
        return "what torch.save wrote"
    if is_safetensors(content):
        return "a safetensors file"
    if content.startswith(b"\x80"):
        return "a pickle"
    return None


def _is_whole(content: bytes, members: list[zipfile.ZipInfo]) -> bool:
    """Whether the members are those of the archive that begins the content.

    Of one that was cut off, the last directory may be that of an archive inside it.
    """
    length = int.from_bytes(content[26:28], "little")
    first = content[30 : 30 + length]
    return any(member.filename.encode() == first for member in members)
