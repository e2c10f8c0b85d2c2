"""Every kind of picture is read by one rule, in folders and archives alike, or refused."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from offmanifold.workers.datasets import DatasetError, ImageError, ImageSet, open_dataset
from offmanifold.workers.datasets.fitting import require_range
from offmanifold.workers.datasets.image_set import UnfitError
from offmanifold.workers.datasets.survey import MOST_HEADERS, spread, survey
from PIL import Image, ImageOps

RANDOM = np.random.default_rng(17)
WIDE, HIGH = 7, 5
GREY = RANDOM.integers(0, 256, (HIGH, WIDE), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (HIGH, WIDE, 3), dtype=np.uint8)
OPAQUE = np.full((HIGH, WIDE, 1), 255, np.uint8)
CLEAR = RANDOM.integers(0, 256, (HIGH, WIDE, 1), dtype=np.uint8)
Opened = Callable[..., ImageSet]


def encoded(picture: Image.Image | NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
    sink = io.BytesIO()
    made = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    made.save(sink, kind, **options)
    return sink.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    values: NDArray[Any], bits: int = 16, *, clear: tuple[int, ...] = (), interlaced: bool = False
) -> bytes:
    """A PNG by its specification, of samples [H, W, 1 to 4] of whole bytes."""
    height, width, samples = values.shape
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4)]
        passes += [(1, 0, 2, 2), (0, 1, 1, 2)]
    stored = values.astype(">u2" if bits == 16 else np.uint8)
    rows = [stored[top::down, left::across] for left, top, across, down in passes]
    data = b"".join(b"\0" + row.tobytes() for each in rows if each.size for row in each)
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[samples]
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    one = chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear)) if clear else b""
    body = chunk(b"IHDR", header) + one + chunk(b"IDAT", zlib.compress(data))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


@pytest.fixture(params=["folder", "zip"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """Opens a set of these files, by their contents, in a place of the kind."""

    def at(*files: bytes, channels: int = 3, suffix: str = "png", **options: Any) -> ImageSet:
        named = {f"{rank:03d}.{suffix}": content for rank, content in enumerate(files)}
        options = {"image_shape": (channels, HIGH, WIDE), **options}
        if request.param == "folder":
            for name, content in named.items():
                (tmp_path / name).write_bytes(content)
            return open_dataset("folder", path=tmp_path, **options)
        with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
            for name, content in named.items():
                archive.writestr(name, content)
        return open_dataset("zip", path=tmp_path / "set.zip", **options)

    return at


def holds(found: NDArray[np.float32], expected: NDArray[Any], white: int = 255) -> None:
    """The image is these values [H, W, C], to the last bit of a float."""
    assert found.dtype == np.float32
    wanted = np.atleast_3d(expected).transpose(2, 0, 1) / white
    np.testing.assert_allclose(found, np.broadcast_to(wanted, found.shape), rtol=0, atol=2**-24)


def palette(colours: NDArray[Any], clear: bytes = b"") -> bytes:
    made = Image.fromarray(RANDOM.integers(0, len(colours), (HIGH, WIDE), dtype=np.uint8), "P")
    made.putpalette(colours.ravel().tolist())
    return encoded(made, transparency=clear) if clear else encoded(made)


def pillow(content: bytes, mode: str) -> NDArray[Any]:
    return np.asarray(Image.open(io.BytesIO(content)).convert(mode))


def test_modes_of_eight_bits_and_less(opened: Opened) -> None:
    bits = Image.fromarray(GREY > 99)
    paint = RANDOM.integers(0, 256, (9, 3), dtype=np.uint8)
    cmyk = encoded(Image.fromarray(np.dstack([COLOUR, GREY]), "CMYK"), "TIFF")
    luma = encoded(Image.fromarray(COLOUR, "YCbCr"), "TIFF")
    files = {
        encoded(GREY): GREY,
        encoded(COLOUR): COLOUR,
        encoded(bits): np.asarray(bits) * 255,
        encoded(np.dstack([GREY, OPAQUE])): GREY,
        encoded(np.dstack([COLOUR, OPAQUE])): COLOUR,
        (flat := palette(paint)): pillow(flat, "RGB"),
        (solid := palette(paint, b"\xff" * 9)): pillow(solid, "RGB"),
        cmyk: pillow(cmyk, "RGB"),
        luma: pillow(luma, "RGB"),
    }
    images = opened(*files)
    for index, expected in enumerate(files.values()):
        holds(images.image(index)[0], expected)
    told = " ".join(survey(images))
    assert "1 CMYK, converted to RGB" in told
    assert "3 grey, repeated to three channels" in told
    assert "3 with an alpha channel" in told


def test_sixteen_bits_are_read_at_full_precision(opened: Opened) -> None:
    deep = RANDOM.integers(0, 2**16, (HIGH, WIDE, 4), dtype=np.uint16)
    deep[..., 3] = 2**16 - 1
    grey, colour = deep[..., :1], deep[..., :3]
    files = {
        png(grey): grey,
        png(colour): colour,
        png(colour, interlaced=True): colour,
        png(deep[..., 2:]): deep[..., 2:3],
        png(deep): colour,
        encoded(Image.fromarray(grey[..., 0]), "TIFF"): grey,
        encoded(Image.fromarray(grey[..., 0]), "TIFF", compression="tiff_lzw"): grey,
        tiff(colour, "<"): colour,
        tiff(colour, ">"): colour,
    }
    images = opened(*files)
    for index, expected in enumerate(files.values()):
        holds(images.image(index)[0], expected, 2**16 - 1)


def tiff(values: NDArray[Any], order: str, sample: int = 16, photometric: int = 2) -> bytes:
    """An uncompressed TIFF by its specification, of samples [H, W, C] in one strip."""
    height, width, samples = values.shape
    data = values.astype(f"{order}u{sample // 8}").tobytes()
    start = 8
    depths = struct.pack(f"{order}{samples}H", *[sample] * samples)
    after = start + len(data)
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, samples, after if samples > 2 else None),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
        (273, 4, 1, start),
        (277, 3, 1, samples),
        (278, 4, 1, height),
        (279, 4, 1, len(data)),
    ]
    entries = b""
    for tag, kind, count, value in tags:
        if value is None:
            field = depths.ljust(4, b"\0")
        elif kind == 3 and count == 1:
            field = struct.pack(f"{order}HH", value, 0)
        else:
            field = struct.pack(f"{order}I", value)
        entries += struct.pack(f"{order}HHI", tag, kind, count) + field
    directory = struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", 0)
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(f"{order}I", after + len(depths)) + data + depths + directory


def test_transparency_is_refused_dropped_or_laid_on_white(opened: Opened) -> None:
    some = RANDOM.integers(0, 256, 9, dtype=np.uint8).tobytes()
    paint = RANDOM.integers(0, 256, (9, 3), dtype=np.uint8)
    deep = RANDOM.integers(0, 2**16, (HIGH, WIDE, 4), dtype=np.uint16)
    files = [
        encoded(np.dstack([COLOUR, CLEAR])),
        encoded(np.dstack([GREY, CLEAR])),
        palette(paint, some),
        encoded(COLOUR, transparency=tuple(COLOUR[1, 2].tolist())),
        encoded(np.dstack([COLOUR, CLEAR]), "WEBP", lossless=True, exact=True),
    ]
    straight = [pillow(content, "RGBA") / 255 for content in files]
    files.append(png(deep))
    straight.append(deep / 65535)
    files.append(png(deep[..., :3], clear=tuple(deep[0, 0, :3].tolist())))
    opaque = (deep[..., :3] != deep[0, 0, :3]).any(axis=-1, keepdims=True)
    straight.append(np.dstack([deep[..., :3] / 65535, opaque]))
    images = opened(*files)
    dropped = opened(*files, alpha="drop")
    white = opened(*files, alpha="white")
    kept = opened(*files, channels=4)
    for index, each in enumerate(straight):
        with pytest.raises(UnfitError, match=r"not opaque.*alpha: white.*alpha: drop"):
            images.image(index)
        colours, alpha = each[..., :3], each[..., 3:]
        holds(dropped.image(index)[0], colours, 1)
        expected = (colours * alpha + 1 - alpha).transpose(2, 0, 1)
        np.testing.assert_allclose(white.image(index)[0], expected, atol=3e-7)
        holds(kept.image(index)[0], each, 1)
    assert len({each.hash() for each in (images, dropped, white, kept)}) == 4
    assert white.source(0).endswith(", alpha white")
    with pytest.raises(UnfitError, match=r"\(7 images do not fit\)"):
        survey(images)
    assert "7 with an alpha channel" in survey(white)


def test_pictures_without_transparency_are_opaque_in_four_channels(opened: Opened) -> None:
    images = opened(encoded(COLOUR), encoded(GREY), channels=4)
    holds(images.image(0)[0], np.dstack([COLOUR, OPAQUE]))
    holds(images.image(1)[0], np.dstack([GREY, GREY, GREY, OPAQUE]))
    with pytest.raises(DatasetError, match="remove alpha"):
        opened(encoded(COLOUR), channels=4, alpha="white")


def test_colours_under_transparent_pixels_do_not_bleed(opened: Opened) -> None:
    """As in Pillow's own resizing of RGBA, but in floats."""
    high = np.zeros((2 * HIGH, 2 * WIDE, 4), np.uint8)
    high[:, :, 0] = 255
    high[::2, :, 1], high[1::2, :, 3] = 255, 255
    images = opened(encoded(high), channels=4, resize="lanczos")
    found = images.image(0)[0]
    assert found[3].min() > 0
    np.testing.assert_allclose(found[0], 1, atol=1e-6)
    np.testing.assert_allclose(found[1], 0, atol=1e-6)


def test_a_grey_generator_takes_colours_that_are_grey(opened: Opened) -> None:
    """A GIF has a palette whatever it shows."""
    greys = np.dstack([GREY] * 3)
    shades = np.repeat(np.arange(9, dtype=np.uint8)[:, None] * 20, 3, axis=1)
    reversed_grey = palette(shades[::-1].copy())
    images = opened(
        encoded(greys), encoded(GREY, "GIF"), reversed_grey, encoded(COLOUR), channels=1
    )
    holds(images.image(0)[0], GREY)
    holds(images.image(1)[0], GREY)
    holds(images.image(2)[0], pillow(reversed_grey, "L"))
    with pytest.raises(UnfitError, match=r"003\.png has colours.*convert\('L'\)"):
        images.image(3)
    with pytest.raises(UnfitError, match=r"003\.png has colours"):
        survey(images)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_exif_turns_pictures_of_every_format_alike(opened: Opened, kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    upright, tall = [], []
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        stored = COLOUR if turn < 5 else COLOUR.transpose(1, 0, 2)
        upright.append(encoded(stored, kind, exif=exif, **options))
        tall.append(encoded(COLOUR, kind, exif=exif, **options))
    images = opened(*upright)
    for index, content in enumerate(upright):
        plain = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
        holds(images.image(index)[0], np.asarray(plain))
    assert f"{7} with EXIF orientation, turned upright" in survey(images)
    wide = opened(*tall)
    with pytest.raises(UnfitError, match=r"3x7x5.*3x5x7.*\(4 images do not fit\)"):
        survey(wide)


def test_the_first_of_several_frames_is_read(opened: Opened) -> None:
    frames = [Image.fromarray(each) for each in (GREY, GREY[::-1], GREY[:, ::-1])]
    more: dict[str, Any] = {"save_all": True, "append_images": frames[1:]}
    images = opened(
        encoded(frames[0], "GIF", **more),
        encoded(frames[0], "WEBP", lossless=True, **more),
        encoded(frames[0], "PNG", **more),
        encoded(frames[0], "TIFF", **more),
        channels=1,
    )
    for index in range(4):
        holds(images.image(index)[0], GREY)
    assert "4 with several frames, of which the first is read" in survey(images)


@pytest.mark.parametrize(
    ("low", "high", "remedy"),
    [
        (0.0, 1.0000001, "to 1.0000001, .*clip"),
        (-1.0, 1.0, "add 1 and divide by 2"),
        (0.0, 255.0, "value of white"),
    ],
)
def test_what_brings_values_into_range_is_said_of_these(
    low: float, high: float, remedy: str
) -> None:
    with pytest.raises(UnfitError, match=remedy):
        require_range("a.npy", np.array([low, high]))


def test_floats_are_read_in_their_range(opened: Opened) -> None:
    values = RANDOM.random((HIGH, WIDE), dtype=np.float32)
    hole = values.copy()
    hole[2, 2] = np.nan
    files = [encoded(Image.fromarray(each), "TIFF") for each in (values, values * 255, hole)]
    images = opened(*files, suffix="tif", channels=1)
    np.testing.assert_array_equal(images.image(0)[0][0], values)
    with pytest.raises(UnfitError, match=r"not \[0, 1\]; divide"):
        images.image(1)
    with pytest.raises(ImageError, match="NaN"):
        images.image(2)
    with pytest.raises(UnfitError, match=r"001\.tif has values from"):
        survey(images)


def test_modes_without_an_agreed_white_are_refused(opened: Opened) -> None:
    whole = RANDOM.integers(0, 2**31, (HIGH, WIDE), dtype=np.int32)
    files = [
        encoded(Image.fromarray(whole), "TIFF"),
        encoded(Image.fromarray(COLOUR, "LAB"), "TIFF"),
        tiff(GREY[..., None], "<", 16, photometric=0),
    ]
    images = opened(*files, suffix="tif")
    for index in range(3):
        with pytest.raises(UnfitError, match=r"no agreed black and white.*save it as"):
            images.image(index)
    with pytest.raises(UnfitError, match=r"000\.tif has mode I .*\(3 images do not fit\)"):
        survey(images)


def test_pictures_that_end_early_are_refused(opened: Opened) -> None:
    large = RANDOM.integers(0, 256, (64, 48, 3), dtype=np.uint8)
    kinds = ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"]
    files = [encoded(large, kind) for kind in kinds]
    torn = [content[: len(content) // 2] for content in files]
    header = struct.pack(">IIBBBBB", 48, 64, 8, 2, 0, 0, 0)
    one_row = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" + large[0].tobytes()))
    torn.append(files[0][:8] + one_row + chunk(b"IEND", b""))
    torn.append(files[0][:-12])
    wrong = bytearray(files[0])
    wrong[-20] ^= 255
    torn.append(bytes(wrong))
    images = opened(*files, *torn, image_shape=(3, 64, 48))
    for index in range(len(files)):
        assert images.image(index)[0].shape == (3, 64, 48)
    for index in range(len(files), len(files) + len(torn)):
        with pytest.raises(ImageError, match="damaged"):
            images.image(index)


def test_a_survey_of_many_is_spread_over_all() -> None:
    assert spread(5, 9) == [0, 1, 2, 3, 4]
    assert spread(10, 4) == [0, 2, 5, 7]
    assert len(set(spread(3 * MOST_HEADERS + 1, MOST_HEADERS))) == MOST_HEADERS


def test_damaged_pictures_are_told_of_and_others_refused(opened: Opened) -> None:
    assert survey(opened(encoded(COLOUR), resize="lanczos")) == ()
    with pytest.raises(UnfitError, match=r"5x7 pixels, fewer than crop 6"):
        survey(opened(encoded(COLOUR), resize="lanczos", crop=6))
    images = opened(encoded(COLOUR), b"no picture")
    assert any("1 that cannot be read, such as: " in note for note in survey(images))
    images = opened(encoded(COLOUR), b"no picture", encoded(np.zeros((9, 9, 3), np.uint8)))
    with pytest.raises(UnfitError, match=r"002\.png has shape 3x9x9.*3x5x7.*resize: lanczos"):
        survey(images)
