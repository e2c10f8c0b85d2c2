"""What the pixels of a picture mean: of every mode that Pillow opens, one rule or a refusal.

Colour profiles and a PNG's gamma are not applied: values are taken as they are stored.
"""

import io
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .fitting import require_range
from .image_set import UnfitError

Pixels = NDArray[np.float32]

# Pillow opens by content, not by suffix: without this list a PNG may be PostScript.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
_EIGHT_BITS = ("1", "L", "RGB", "LA", "RGBA", "PA", "P", "RGBX")
# Pillow's own formulas, which need no profile: R = (1 - C)(1 - K), and ITU-R BT.601.
_CONVERTED = ("CMYK", "YCbCr")
_DEEP_GREY = ("I;16", "I;16B", "I;16L", "I;16N")
_NATIVE, _OTHER = ("L", "B") if sys.byteorder == "little" else ("B", "L")
# Of two bytes Pillow keeps one, the more significant: read in the other order, it keeps the other.
_LOW_BYTES = {
    f"{mode};16{order}": f"{mode};16{other}"
    for mode in ("RGB", "RGBA", "RGBX")
    for order, other in (("B", "L"), ("L", "B"), ("N", _OTHER))
}
# Pillow has no second reading of these, but four bytes of one pixel are four channels.
_GREY_AND_ALPHA = "LA;16B"
_WHITE_16 = 65535
_ORIENTATION, _PHOTOMETRIC, _WHITE_IS_ZERO = 0x0112, 0x0106, 0
_STEPS = {"L;2": 85, "L;4": 17}
_SAVE = "save it as an 8-bit or 16-bit PNG (grey, RGB or RGBA), or as .npy"


@dataclass(frozen=True)
class Decoded:
    """A picture's ``colours`` [H, W, 1 or 3] in [0, 1], and ``alpha`` [H, W] where it has any."""

    colours: Pixels
    alpha: Pixels | None


def require_mode(picture: Image.Image, name: str) -> None:
    """Raises UnfitError, by the header, for pixels that no rule reads."""
    raw = _raw_mode(picture)
    known = (*_EIGHT_BITS, *_CONVERTED)
    if ";16" in raw:
        is_read = raw in _LOW_BYTES or raw == _GREY_AND_ALPHA or raw in _DEEP_GREY
    else:
        is_read = picture.mode in known or picture.mode == "F"
    is_tiff = picture.format == "TIFF"
    if is_read and is_tiff and (raw in _DEEP_GREY or picture.mode == "F"):
        # Pillow turns such greys of 8 bits, and no others.
        is_read = picture.tag_v2.get(_PHOTOMETRIC) != _WHITE_IS_ZERO  # type: ignore[attr-defined]
    if not is_read:
        raise UnfitError(
            f"{name} has mode {picture.mode} ({raw or 'of its format'}), which has no agreed black "
            f"and white in 8 or 16 bits; {_SAVE}"
        )


def decode(picture: Image.Image, content: bytes, name: str) -> Decoded:
    """The pixels of an opened picture, the first of several frames, turned as EXIF says.

    ``content`` are its bytes; `require_mode` has judged it.

    Raises:
        UnfitError: floats outside of [0, 1].
        OSError, SyntaxError, ValueError: damaged.
    """
    raw = _raw_mode(picture)
    if picture.mode == "F":
        found = Decoded(_floats(picture, name), None)
    elif ";16" in raw:
        found = _deep(picture, content, raw)
    else:
        found = _eight_bits(picture, raw)
    turn = orientation(picture)
    alpha = None if found.alpha is None else _turned(found.alpha, turn)
    return Decoded(_turned(found.colours, turn), alpha)


def orientation(picture: Image.Image) -> int:
    """How EXIF says that a picture is to be turned, from 1, not at all, to 8.

    That of TIFF is 1 once its pixels are loaded: Pillow has turned them. What cannot be read of
    EXIF says nothing.
    """
    try:
        said = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - Pillow raises whatever its parsers do, and pixels do not need it
        return 1
    return said if said in range(1, 9) else 1


def _turned(pixels: Pixels, turn: int) -> Pixels:
    """As Pillow's ``exif_transpose`` does, of any number of bits."""
    if turn >= 5:
        pixels = pixels.swapaxes(0, 1)
    # After that, which sides are mirrored: left with right, top with bottom.
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _raw_mode(picture: Image.Image) -> str:
    """How the file has its pixels, in Pillow's words; empty where the decoder does not say."""
    if not (tiles := getattr(picture, "tile", None)):
        return ""
    args = tiles[0][3]
    raw = args if isinstance(args, str) else args[0] if args else ""
    return raw if isinstance(raw, str) else ""


def _floats(picture: Image.Image, name: str) -> Pixels:
    values = np.asarray(picture, dtype=np.float32)[..., None]
    require_range(name, values)
    return values


def _eight_bits(picture: Image.Image, raw: str) -> Decoded:
    if isinstance(picture.info.get("transparency"), int):
        picture.info["transparency"] *= _STEPS.get(raw, 1)
    is_grey = picture.mode in ("1", "L", "LA")
    if picture.has_transparency_data:
        values = np.asarray(picture.convert("LA" if is_grey else "RGBA"))
        return Decoded(_scaled(values[..., :-1], 255), _scaled(values[..., -1], 255))
    values = np.asarray(picture.convert("L" if is_grey else "RGB"))
    return Decoded(_scaled(np.atleast_3d(values), 255), None)


def _deep(picture: Image.Image, content: bytes, raw: str) -> Decoded:
    clear = picture.info.get("transparency")
    if raw in _DEEP_GREY:
        values = np.asarray(picture).astype(np.int64)[..., None]
        has_alpha = False
    elif raw == _GREY_AND_ALPHA:
        _read_by(picture, "RGBA")
        four = np.asarray(picture).astype(np.int64)
        values, has_alpha = four[..., ::2] * 256 + four[..., 1::2], True
    else:
        low = _read_as(content, _LOW_BYTES[raw])
        values = np.asarray(picture).astype(np.int64) * 256 + low
        has_alpha = raw.startswith("RGBA")
        values = values if has_alpha else values[..., :3]
    if has_alpha:
        return Decoded(_scaled(values[..., :-1], _WHITE_16), _scaled(values[..., -1], _WHITE_16))
    if clear is None or isinstance(clear, bytes):
        return Decoded(_scaled(values, _WHITE_16), None)
    # One colour of a PNG may stand for no picture there.
    alpha = (values != np.asarray(clear)).any(axis=-1)
    return Decoded(_scaled(values, _WHITE_16), alpha.astype(np.float32))


def _read_as(content: bytes, raw: str) -> NDArray[np.int64]:
    with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
        _read_by(picture, raw)
        return np.asarray(picture).astype(np.int64)


def _read_by(picture: Any, raw: str) -> None:
    """Makes Pillow read the pixels of an opened picture in another way than it chose."""
    picture.tile = [
        (*tile[:3], raw if isinstance(tile[3], str) else (raw, *tile[3][1:]))
        for tile in picture.tile
    ]


def _scaled(values: NDArray[Any], white: int) -> Pixels:
    return values.astype(np.float32) / np.float32(white)
