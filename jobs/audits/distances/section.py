"""The report's section on distances between sets."""

from ....workers.distances import MEASURES
from ...report.section import PageView, Section, present
from ...report.table import Cell, Column, N, Table, estimates, filled_table
from ...report.view import View
from ..feature_space import ANNOTATOR
from .features_plan import GENERATED, REAL
from .settings import PCA, PIXELS

_SPACES = {
    PIXELS: "pixels",
    PCA: "the principal components of the reference",
    ANNOTATOR: "features of the annotator",
}
_WORDS = {
    "frechet_distance": "Fréchet distance (FID's formula)",
    "kernel_distance": "kernel distance (KID)",
    "manifold_precision": "precision",
    "manifold_recall": "recall",
    "manifold_density": "density",
    "manifold_coverage": "coverage",
    "prd_precision": "PRD, F1/8 (precision)",
    "prd_recall": "PRD, F8 (recall)",
}


def distances_section(view: PageView) -> Section:
    """Every distance beside that of real images, in each space."""
    return Section(
        "distances",
        "How far are its images from real ones, as sets?",
        [
            "Sets of generated images, and of real ones, are each held against the same reference "
            "of as many other real images. What real images score is the floor: no number says "
            "anything without it, for all of them change with the number of images and with the "
            "features. Copies of training images score well, and no verdict rests on these "
            "numbers. Intervals are over independent sets, against this one reference."
        ],
        [],
        present(*(_table(view, space) for space in _spaces(view))),
    )


def _spaces(view: View) -> list[str]:
    """Those that the summary has, in its order."""
    first = MEASURES[0]
    rows = [row for row in view.summary.rows(first) if row["metric"] == first]
    return list(dict.fromkeys(str(row["condition"]) for row in rows))


def _table(view: View, space: str) -> Table | None:
    rows: list[list[Cell]] = []
    for measure in MEASURES:
        made, real = (view.find(measure, group, space) for group in (GENERATED, REAL))
        if made is not None:
            rows.append([_WORDS[measure], made, real, made.n])
    seen_in = _SPACES.get(space, f"features of {space}")
    return filled_table(
        f"Distances in {seen_in}, of sets of N images to N real ones",
        [Column("measure"), estimates("generated"), estimates("real (floor)"), N],
        rows,
        key=f"distances-{space}",
    )
