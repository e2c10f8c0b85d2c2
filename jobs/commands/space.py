"""What ``offmanifold nearest`` compares images in."""

from enum import StrEnum


class Space(StrEnum):
    """Pixels, a search of changed pixels, or the features of the spec's annotator."""

    VIEWS = "views"
    PIXELS = "pixels"
    ANNOTATOR = "annotator"
