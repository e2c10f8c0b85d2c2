"""Code lengths: PNG files made of the codes are read back by another library, and are as short."""

import io
import struct
import zlib

import numpy as np
import pytest
from offmanifold.core.code_length import code_lengths, shortest_code
from PIL import Image


def pictures(channels: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(channels)
    shape = (channels, 21, 30)
    ramp = np.broadcast_to(np.arange(30) * 8, shape)
    walk = (np.cumsum(rng.integers(-3, 4, shape), axis=2) + 128) % 256
    return {
        "flat": np.full(shape, 130),
        "ramp": ramp,
        "walk": walk,
        "noise": rng.integers(0, 256, shape),
    }


def png_of(image: np.ndarray) -> bytes:
    """A PNG file around the code of an image."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    code = shortest_code(image)
    stream = zlib.decompress(code, -zlib.MAX_WBITS)
    wrapped = b"\x78\xda" + code + struct.pack(">I", zlib.adler32(stream))
    channels, height, width = image.shape
    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", wrapped) + chunk(b"IEND", b"")


@pytest.mark.parametrize("channels", [1, 3])
def test_the_code_is_a_png_of_the_image(channels: int) -> None:
    for image in pictures(channels).values():
        read = np.asarray(Image.open(io.BytesIO(png_of(image))))
        expected = image[0] if channels == 1 else image.transpose(1, 2, 0)
        np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_as_short_as_another_encoder_makes_it(channels: int) -> None:
    for name, image in pictures(channels).items():
        pixels = (image[0] if channels == 1 else image.transpose(1, 2, 0)).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "png", optimize=True)
        # Signature, three chunks' frames, the header and zlib's wrapping; and a little slack, since
        # the other library may have another deflate.
        theirs = len(file.getvalue()) - 8 - 36 - 13 - 6
        assert len(shortest_code(image)) <= theirs * 1.02 + 4, name


def test_simple_images_are_shorter_and_noise_is_incompressible() -> None:
    found = dict(zip(pictures(1), code_lengths(np.stack(list(pictures(1).values()))), strict=True))
    assert found["flat"] < found["ramp"] * 1.5 < found["walk"] < found["noise"]
    values = 21 * 30
    assert 8 * values <= found["noise"] < 8 * (values + 21) + 200


def test_each_image_is_coded_by_itself() -> None:
    images = np.stack(list(pictures(3).values()))
    alone = [code_lengths(image[None])[0] for image in images]
    np.testing.assert_array_equal(code_lengths(images), alone)


def test_values_are_bytes() -> None:
    with pytest.raises(ValueError, match="values from -1 to 256: expected 0 to 255"):
        code_lengths(np.array([[[[-1, 256]]]]))
