"""What the words in the tables mean, for hovering and for the list at the end of a page."""

from collections.abc import Iterable

from ..reduce.schema import (
    EVERY_CLASS,
    MARGINAL,
    NEAREST_CLASS,
    OWN,
    PER_CLASS_MEAN,
    WITH_OUTLIERS,
)
from .table import Table

# Said once of each table or figure with estimates of ln p.
BOUND = "each estimate of ln p is a lower bound in the mean"

_BITS = (
    "ln p / (D ln 2) − 8 of 8-bit images with D values: higher is denser, the negative of the "
    "usual positive number"
)

TERMS: dict[str, str] = {
    OWN: "each image under its own class; images without one take the classes in turn",
    MARGINAL: "over all classes, equally likely; without classes, the only density that there is",
    NEAREST_CLASS: "under the class in which the generator comes nearest to the image",
    f"{MARGINAL} / {NEAREST_CLASS}": (
        "densities: over all classes, equally likely; reconstruction errors: under the class in "
        "which the generator comes nearest to the image"
    ),
    PER_CLASS_MEAN: "the images of each class under that class alone, then the mean over classes",
    EVERY_CLASS: "a choice among all classes, or all pairs of them",
    WITH_OUTLIERS: "the group together with every outlier group",
    "guided": "AIS whose chains start near the latents that explain the image best",
    "classical": "AIS whose chains start from the prior, as in the papers",
    "bits/dim": _BITS,
    "bits/dim at least": _BITS,
    "1-NN in pixels": "the nearest training image, by the distance of the pixels",
    "AUC": (
        "how often an outlier scores higher than an image of the data: 0.5 is chance, below it "
        "the ranking is reversed"
    ),
    "N": "how many images of the group the row rests on",
}
"""Words of headers and cells, by how they are written there."""


def terms_in(tables: Iterable[Table]) -> dict[str, str]:
    """The words that these tables use, with their meanings."""
    used = {
        text
        for table in tables
        for text in (
            *(head.text for heads in table.header_rows for head in heads),
            *(cell.value for row in table.written for cell in row),
        )
    }
    return {word: meaning for word, meaning in TERMS.items() if word in used}
