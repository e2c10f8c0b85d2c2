"""How many bits an image takes, without loss: a measure of its complexity (Serra et al. 2020).

The coder is PNG's: every row is predicted from its left and upper neighbours by one of five
filters, and deflate codes what is left. The file's header is no part of it, being the same for all.
"""

import zlib

import numpy as np
from jaxtyping import Float64, Integer, UInt8

# PNG's filters: none, sub, up, average, Paeth.
_FILTERS = 5
# Repetitions are worth their code in some images, and not in others.
_STRATEGIES = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY)


def code_lengths(
    images: Integer[np.ndarray, "n channels height width"],
) -> Float64[np.ndarray, " n"]:
    """The bits of each image's deflated rows, the shortest of six choices of their filters.

    Six are: one filter for all rows, or for each row the one whose residuals are smallest, as
    encoders of PNG choose it. Values are numbers of grey levels in [0, 255].

    Raises:
        ValueError: a value that is no byte.
    """
    if images.size and not (images.min() >= 0 and images.max() <= 255):
        raise ValueError(f"values from {images.min()} to {images.max()}: expected 0 to 255")
    return np.array([8 * len(shortest_code(image)) for image in images], np.float64)


def shortest_code(image: Integer[np.ndarray, "channels height width"]) -> bytes:
    """The shortest code of an image: raw deflate of PNG's filtered rows, each after its filter."""
    rows = filtered_rows(image.astype(np.uint8))
    # Residuals around 0, whose size is what the choice of a row is made by.
    sizes = np.abs(rows.view(np.int8).astype(np.int64)).sum(axis=2)
    chosen = [np.full(rows.shape[1], each) for each in range(_FILTERS)] + [sizes.argmin(axis=0)]
    streams = [_stream(rows, choice) for choice in chosen]
    return min((_deflated(each, how) for each in streams for how in _STRATEGIES), key=len)


def filtered_rows(
    image: UInt8[np.ndarray, "channels height width"],
) -> UInt8[np.ndarray, "filters height values"]:
    """What each of PNG's filters leaves of every row, pixel by pixel with all channels together."""
    channels, height, width = image.shape
    here = image.transpose(1, 2, 0).reshape(height, width * channels).astype(np.int64)
    above = np.vstack([np.zeros_like(here[:1]), here[:-1]])
    left, corner = (_moved(rows, channels) for rows in (here, above))
    predicted = np.stack(
        [np.zeros_like(here), left, above, (left + above) // 2, _paeth(left, above, corner)]
    )
    return np.asarray((here - predicted) % 256, np.uint8)


def _moved(rows: np.ndarray, channels: int) -> np.ndarray:
    """The value of the same channel in the pixel before."""
    return np.hstack([np.zeros_like(rows[:, :channels]), rows[:, :-channels]])


def _paeth(left: np.ndarray, above: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Of the three neighbours the one nearest to left + above - corner; in this order if equal."""
    guess = left + above - corner
    neighbours = np.stack([left, above, corner])
    nearest = np.abs(neighbours - guess).argmin(axis=0)
    return np.asarray(np.take_along_axis(neighbours, nearest[None], 0)[0])


def _stream(rows: np.ndarray, choice: np.ndarray) -> bytes:
    lines = rows[choice, np.arange(rows.shape[1])]
    return np.hstack([choice[:, None].astype(np.uint8), lines]).tobytes()


def _deflated(stream: bytes, strategy: int) -> bytes:
    coder = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9, strategy)
    return coder.compress(stream) + coder.flush()
