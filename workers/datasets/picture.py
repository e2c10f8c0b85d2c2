"""One picture, judged by its header before anything is decoded, and read by one rule."""

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from .fitting import require_image_shape
from .image_set import Header, ImageError, Shape, UnfitError
from .picture_pixels import FORMATS, Decoded, Pixels, decode, orientation, require_mode
from .picture_rule import WITH_ALPHA, PictureRule
from .resized import require_crop
from .whole_jpeg import require_whole_jpeg
from .whole_png import require_whole_png

_MOST_PIXELS = 2**26
# What Pillow's parsers raise at files that are not what they say.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    ArithmeticError,
    TypeError,
    struct.error,
)
_GREYS = ("1", "L", "LA", "F", "I", "I;16", "I;16B", "I;16L")
_TURNED = range(5, 9)


def read_picture(content: bytes, name: str, rule: PictureRule) -> NDArray[np.float32]:
    """The pixels of a picture as float32 [C, H, W] in [0, 1].

    ``content`` is the file's, ``name`` what messages call it.

    Raises:
        UnfitError: another shape or mode, or transparency that the rule does not take.
        ImageError: another format, damaged, or too large to be decoded.
    """
    with _opened(content, name) as picture:
        # Judged by the header, so that a misfit of any size is never decoded.
        _require_header(picture, content, name, rule)
        if picture.format == "PNG":
            require_whole_png(content, name)
        elif picture.format in ("JPEG", "MPO"):
            require_whole_jpeg(picture, content, name)
        decoded = decode(picture, content, name)
    image = _channels(decoded, name, rule).transpose(2, 0, 1)
    if rule.resizing is None:
        require_image_shape(name, image.shape, rule.shape)
        return np.ascontiguousarray(image)
    if rule.channels < WITH_ALPHA:
        return rule.resizing(name, np.ascontiguousarray(image))
    # What lies under transparent pixels must not bleed into their neighbours.
    image = np.concatenate([image[:3] * image[3:], image[3:]])
    resized = rule.resizing(name, image)
    with np.errstate(divide="ignore", invalid="ignore"):
        colours = np.where(resized[3:] > 0, resized[:3] / resized[3:], 0).clip(0, 1)
    return np.concatenate([colours, resized[3:]]).astype(np.float32)


def read_header(content: bytes, name: str, rule: PictureRule) -> Header:
    """What is known of a picture without its pixels.

    Raises:
        UnfitError, ImageError: as `read_picture`, as far as the header shows it.
    """
    with _opened(content, name) as picture:
        _require_header(picture, content, name, rule)
        mode, is_grey = picture.mode, picture.mode in _GREYS
        has_alpha = picture.has_transparency_data
        kinds = {
            "grey, repeated to three channels": is_grey and rule.channels >= 3,
            "with EXIF orientation, turned upright": _orientation(picture, content) > 1,
            "with several frames, of which the first is read": getattr(picture, "n_frames", 1) > 1,
            f"{mode}, converted to RGB": mode in ("CMYK", "YCbCr"),
            "with an alpha channel": has_alpha and rule.channels < WITH_ALPHA,
            "without an alpha channel, taken as opaque": (
                not has_alpha and rule.channels == WITH_ALPHA
            ),
        }
        undecided = (
            (has_alpha and rule.channels < WITH_ALPHA and rule.alpha in (None, "refuse"))
            or (rule.channels == 1 and not is_grey)
            or mode == "F"
        )
        return Header(tuple(kind for kind, applies in kinds.items() if applies), undecided)


@contextmanager
def _opened(content: bytes, name: str) -> Iterator[Image.Image]:
    """The picture; what goes wrong with it is an ImageError."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            yield picture
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name} is not an image ({', '.join(FORMATS)}), or is damaged, or has pixels of a "
            "kind that is not read, such as several floats"
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} is too large to be decoded: {error}") from error
    except ImageError:
        raise
    except _DAMAGE as error:
        raise ImageError(f"{name} is damaged: {error}") from error


def _require_header(picture: Image.Image, content: bytes, name: str, rule: PictureRule) -> None:
    if not rule.takes_pictures:
        raise UnfitError(
            f"{name} is a picture, which has 1, 3 or 4 channels, but {rule.channels} are needed; "
            "save it as .npy"
        )
    width, height = _upright_size(picture, content)
    if rule.resizing is None:
        # A mode fits or not for other reasons than its number of channels.
        require_image_shape(name, (rule.channels, height, width), rule.shape)
    elif height * width > _MOST_PIXELS:
        raise ImageError(
            f"{name} is too large: {height}x{width}; at most {_MOST_PIXELS:,} pixels can be resized"
        )
    elif rule.resizing.crop is not None:
        require_crop(name, height, width, rule.resizing.crop)
    require_mode(picture, name)


def _upright_size(picture: Image.Image, content: bytes) -> tuple[int, int]:
    """Width and height once it is turned as EXIF says."""
    width, height = picture.size
    if picture.format == "TIFF":
        # Versions of Pillow differ in whether they have been exchanged already.
        tags = picture.tag_v2  # type: ignore[attr-defined]
        width, height = tags.get(256, width), tags.get(257, height)
    is_turned = _orientation(picture, content) in _TURNED
    return (height, width) if is_turned else (width, height)


def _orientation(picture: Image.Image, content: bytes) -> int:
    """Of a PNG, Pillow decodes everything in search of an orientation that it does not have."""
    has_none = picture.format == "PNG" and not any(
        kind in content for kind in (b"eXIf", b"Raw profile type exif", b"tiff:Orientation")
    )
    return 1 if has_none else orientation(picture)


def _channels(decoded: Decoded, name: str, rule: PictureRule) -> Pixels:
    """Colours [H, W, channels]: grey is repeated, colour never made grey."""
    colours = decoded.colours
    if rule.channels == WITH_ALPHA:
        height, width, _ = colours.shape
        alpha = np.ones((height, width), np.float32) if decoded.alpha is None else decoded.alpha
        return np.concatenate([_repeated(colours, 3), alpha[..., None]], axis=2)
    if decoded.alpha is not None and decoded.alpha.min() < 1:
        colours = _opaque(colours, decoded.alpha, name, rule)
    if rule.channels == 3:
        return _repeated(colours, 3)
    if (colours != colours[..., :1]).any():
        raise UnfitError(
            f"{name} has colours, but 1 channel is needed; save it as a grey picture, with Pillow: "
            "Image.open(FILE).convert('L').save(FILE)"
        )
    return colours[..., :1]


def _opaque(colours: Pixels, alpha: Pixels, name: str, rule: PictureRule) -> Pixels:
    if rule.alpha == "drop":
        return colours
    if rule.alpha == "white":
        return colours * alpha[..., None] + (1 - alpha[..., None])
    raise UnfitError(
        f"{name} has {int((alpha < 1).sum()):,} of {alpha.size:,} pixels that are not opaque, but "
        f"the audit needs {_words(rule.shape)}; add beside the dataset alpha: white, which lays "
        "pictures on white, or alpha: drop, which takes their colours as they are"
    )


def _words(shape: Shape) -> str:
    return "grey images" if shape[0] == 1 else "images of three colours"


def _repeated(colours: Pixels, channels: int) -> Pixels:
    return np.broadcast_to(colours, (*colours.shape[:2], channels))
