"""The report's section on objects."""

from ...report.section import PageView, Section, present
from ...report.table import Cell, Column, N, Table, estimates, filled_table
from ...report.view import View
from .plan import GENERATED, REAL


def segments_section(view: PageView) -> Section:
    """What generated images have less of than real ones, object by object."""
    return Section(
        "segments",
        "What does it leave out of its images?",
        [
            "The user's segmenter says of each pixel which class of objects it belongs to, in "
            "generated and in real images alike. A ratio below 1 is a class that the generator "
            "makes too little of (after Bau et al. 2019). The segmenter errs, and on generated "
            "images it may err in other ways than on real ones: what it does not know how to see "
            "there looks left out. Each interval holds for itself, so of twenty classes one may be "
            "expected to miss, and no verdict rests on them."
        ],
        [],
        present(_table(view)),
    )


def _table(view: View) -> Table | None:
    rows: list[list[Cell]] = []
    for name in view.context.objects:
        ratio = view.find("object_area_ratio", GENERATED, name)
        if ratio is None:
            continue
        cells = [
            view.find(metric, group, name)
            for metric in ("object_area", "object_presence")
            for group in (REAL, GENERATED)
        ]
        rows.append([name, ratio, *cells, ratio.n])
    return filled_table(
        "Objects in generated images beside real ones: mean area, and share of images that have "
        "the object at all, %",
        [
            Column("object"),
            estimates("area, generated / real"),
            *(
                estimates(f"{words} {group}, %", decimals=2, scale=100)
                for words in ("area", "in images")
                for group in ("real", "generated")
            ),
            N,
        ],
        rows,
        key="segments",
    )
