"""Whether a JPEG has all of its data: libjpeg makes up what is missing before an end marker."""

import io
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from PIL import Image

from .image_set import ImageError

_RESTARTS = range(0xD0, 0xD8)
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
# Baseline, extended and progressive by Huffman codes. Arithmetic codes leave out zeros at their
# end, so that nobody sees whether those are all there.
_HUFFMAN = (0xC0, 0xC1, 0xC2)
_PROGRESSIVE = 0xC2
# Other applications' segments may lead a reader away from the picture (APP1 to APP13, comments).
_BESIDE = (*range(0xE1, 0xEE), 0xFE)
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_COEFFICIENTS = 64
# Of no code that goes on for long without changing a pixel; so tried on pictures cut at every byte.
_FILLING = b"\xaa\x55" * 100


class _Segment(NamedTuple):
    """A marker, what it says, and the coded data up to the next marker."""

    marker: int
    body: bytes
    data: bytes

    def __bytes__(self) -> bytes:
        has_length = self.marker not in (_START, _END, *_RESTARTS)
        length = (len(self.body) + 2).to_bytes(2, "big") if has_length else b""
        return bytes([0xFF, self.marker]) + length + self.body + self.data


def require_whole_jpeg(picture: Image.Image, content: bytes, name: str) -> None:
    """Raises ImageError for a JPEG that lacks a scan, or whose data end before the picture does.

    Bytes between a scan's last code and the next marker are passed over, and so is a restart. So
    more of them change the picture where codes are missing, and nowhere else.

    Args:
        picture: the opened file, whose header has been judged.
        content: the file's bytes.
        name: what messages call it.
    """
    segments = list(_segments(content, name))
    frame = next((each for each in segments if each.marker in _HUFFMAN), None)
    if frame is None:
        return
    scans = [each.body for each in segments if each.marker == _SCAN]
    if not _covered(frame, scans):
        raise ImageError(f"{name} is damaged: it ends early, after {len(scans)} scans")
    with Image.open(io.BytesIO(_filled(segments)), formats=["JPEG"]) as other:
        if other.tobytes() != picture.tobytes():
            raise ImageError(f"{name} is damaged: it ends early, or lacks data in between")


def _segments(content: bytes, name: str) -> Iterator[_Segment]:
    """Those up to the end marker; data of no segment are left out."""
    found = _MARKER.search(content)
    while found is not None:
        marker, start = found[1][0], found.end()
        length = 0
        if marker not in (_START, _END, *_RESTARTS):
            length = max(2, int.from_bytes(content[start : start + 2], "big"))
        body = content[start + 2 : start + length]
        found = _MARKER.search(content, start + length)
        end = len(content) if found is None else found.start()
        coded = marker in (_SCAN, *_RESTARTS)
        yield _Segment(marker, body, content[start + length : end] if coded else b"")
        if marker == _END:
            return
    raise ImageError(f"{name} is damaged: it ends early")


def _filled(segments: Sequence[_Segment]) -> bytes:
    """The same file with more bytes after each run of codes, and one run more in each scan."""
    filled = bytearray()
    restarts = 0
    for each, after in pairwise((*segments, segments[-1])):
        if each.marker in _BESIDE:
            continue
        filled += bytes(each)
        if each.marker in (_SCAN, *_RESTARTS):
            filled += _FILLING
            restarts = restarts + 1 if each.marker in _RESTARTS else 0
            if after.marker not in _RESTARTS:
                filled += bytes([0xFF, _RESTARTS[restarts % 8]]) + _FILLING
    return bytes(filled)


def _covered(frame: _Segment, scans: Sequence[bytes]) -> bool:
    """Whether the scans give every coefficient of every component to its last bit."""
    coefficients = _COEFFICIENTS if frame.marker == _PROGRESSIVE else 1
    missing = {(part, index) for part in set(frame.body[6::3]) for index in range(coefficients)}
    for scan in scans:
        first, last, bits = (*scan[-3:], 0, 0, 0)[:3]
        if frame.marker == _PROGRESSIVE and bits & 0x0F:
            continue
        parts = scan[1:-3:2]
        missing -= {(part, index) for part in parts for index in range(first, last + 1)}
    return not missing
