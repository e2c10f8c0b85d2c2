"""Whether a PNG has all of its rows: Pillow gives those that are missing as black."""

import struct
import zlib
from collections.abc import Iterator

from .image_set import ImageError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">IIBBBBB")
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# First column and row of each pass of an interlaced picture, and the steps between them.
_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


def require_whole_png(content: bytes, name: str) -> None:
    """Raises ImageError for a PNG with fewer rows than its header says, or damaged ones.

    Its header has been judged: what the rows expand to is bounded by what it says.
    """
    data, header = b"", b""
    for kind, chunk in _chunks(content, name):
        if kind == b"IHDR":
            header = chunk
        elif kind == b"IDAT":
            data += chunk
    if len(header) != _HEADER.size:
        raise ImageError(f"{name} is damaged: a PNG without a header")
    expected = _expanded(header, name)
    stream = zlib.decompressobj()
    try:
        found = len(stream.decompress(data, expected + 1))
        ended = stream.eof or not stream.decompress(stream.unconsumed_tail, 1)
    except zlib.error as error:
        raise ImageError(f"{name} is damaged: {error}") from error
    if found < expected or not ended or not stream.eof:
        raise ImageError(
            f"{name} is damaged: it ends early, with {min(found, expected):,} of {expected:,} "
            "bytes of pixels"
        )


def _chunks(content: bytes, name: str) -> Iterator[tuple[bytes, bytes]]:
    position = len(_SIGNATURE)
    while position + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, position)
        yield kind, content[position + 8 : position + 8 + size]
        position += 12 + size
        if kind == b"IEND":
            return
    raise ImageError(f"{name} is damaged: it ends early")


def _expanded(header: bytes, name: str) -> int:
    """How many bytes the rows have before they are compressed, each with that of its filter."""
    width, height, bits, colour, *_, interlaced = _HEADER.unpack(header)
    if colour not in _SAMPLES:
        raise ImageError(f"{name} is damaged: colours of type {colour}")
    total = 0
    for left, top, across, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * _SAMPLES[colour] * bits // 8))
    return total
