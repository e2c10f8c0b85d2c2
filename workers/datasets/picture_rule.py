"""What the pictures of a set must be, or are made: shape, size and transparency."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from .image_set import DatasetError, Shape, describe_shape

if TYPE_CHECKING:
    from .resized import Resizing

Alpha = Literal["refuse", "drop", "white"]
ALPHAS: tuple[Alpha, ...] = get_args(Alpha)
WITH_ALPHA = 4
_OF_PICTURES = (1, 3, WITH_ALPHA)
# Raised when other images, pixels or classes are read of the same files.
_REVISION = 3


@dataclass(frozen=True)
class PictureRule:
    """What becomes of each picture of a set.

    Attributes:
        shape: (channels, height, width) that it must have, or is brought to.
        resizing: to that shape, from any size; without it, a picture of another size does not fit.
        alpha: of pictures that are not opaque, for a generator without an alpha channel: ``white``
            lays them on white, ``drop`` takes their colours as they are; None, like ``refuse``,
            takes no such picture.
    """

    shape: Shape
    resizing: "Resizing | None" = None
    alpha: Alpha | None = None

    def __post_init__(self) -> None:
        """DatasetError for an ``alpha`` that is none, or has nothing to say."""
        if self.alpha is not None and self.alpha not in ALPHAS:
            raise DatasetError(f"alpha: {self.alpha!r}: expected one of {', '.join(ALPHAS)}")
        if self.alpha is not None and self.channels == WITH_ALPHA:
            raise DatasetError(
                f"alpha: {self.alpha}: images of {WITH_ALPHA} channels keep their transparency; "
                "remove alpha"
            )

    @property
    def channels(self) -> int:
        """How many channels a value of the set has."""
        return self.shape[0]

    @property
    def takes_pictures(self) -> bool:
        """Whether a picture can have so many channels at all."""
        return self.channels in _OF_PICTURES

    @property
    def suffix(self) -> str:
        """What follows a picture's name in its source."""
        resized = "" if self.resizing is None else f", {self.resizing}"
        return resized + ("" if self.alpha is None else f", alpha {self.alpha}")

    def digest(self) -> "hashlib._Hash":
        """What the hash and the fingerprint of a set begin with."""
        text = f"{_REVISION} {describe_shape(self.shape)}{self.suffix}"
        return hashlib.sha256(text.encode())
