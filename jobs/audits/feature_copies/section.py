"""The report's section on copies in feature spaces."""

from ....core.culprits.copies import REPLAYS
from ...report.figure import Figure
from ...report.section import PageView, Section, present
from ...report.table import (
    Cell,
    Column,
    N,
    Table,
    counts,
    estimates,
    filled_table,
    numbers,
    p_values,
)
from ...report.view import View
from ..copies.pictures import closest_pairs
from ..copies.plan import GENERATED
from ..copies.reduce import PLACEBO, SEEN_AT, TRAINING
from .question import feature_spaces


def feature_copies_section(view: PageView) -> Section:
    """Shares of copies with the placebo in each space, and which planted copies are seen there."""
    pictures: list[Figure] = present(
        *(closest_pairs(view, GENERATED, space) for space in feature_spaces(view))
    )
    return Section(
        "feature-copies",
        "Does it copy, by what networks see of its images?",
        [
            "The search of copies once more, with distances between features in the place of "
            "pixels: a network may see a change that no view of pixels undoes, and may be blind to "
            "what tells two images apart. Which planted copies it sees is in the second table."
        ],
        pictures,
        present(_shares(view), _seen(view)),
    )


def _shares(view: View) -> Table | None:
    rows: list[list[Cell]] = []
    for space in feature_spaces(view):
        for against in (TRAINING, PLACEBO):
            share, p_value, detectable, found, held_out = (
                view.find(metric, GENERATED, space, against=against)
                for metric in (
                    "copies_share",
                    "copies_p",
                    "copies_detectable",
                    "copies_found",
                    "copies_held_out",
                )
            )
            if share is not None and found is not None and held_out is not None:
                counted = int(found.value), int(held_out.value)
                rows.append([space, against, share, p_value, *counted, detectable, share.n])
    return filled_table(
        "Share of generated images that are copies of training images in features, %, and of the "
        "placebo's",
        [
            Column("features of"),
            Column("copies of"),
            estimates("share, %", decimals=2, scale=100),
            p_values("p"),
            counts("found"),
            counts("held out"),
            numbers("detectable, %", decimals=1, scale=100),
            N,
        ],
        rows,
        key="feature-copies",
    )


def _seen(view: View) -> Table | None:
    """Planted copies by spaces, and below them the generator's own images."""
    spaces = feature_spaces(view)
    rows: list[list[Cell]] = []
    for against in (*REPLAYS, GENERATED):
        found = [
            view.find("copies_seen_by_view", GENERATED, space, against=against) for space in spaces
        ]
        known = [each for each in found if each is not None]
        if known:
            values = [None if each is None else each.value for each in found]
            rows.append([against.removeprefix("replay-"), *values, known[0].n])
    return filled_table(
        "In which feature spaces planted copies are seen, and generated images: p at most "
        f"{SEEN_AT:.0%}, which chance gives for {SEEN_AT:.0%} of images, %",
        [Column("images"), *(numbers(space, decimals=1, scale=100) for space in spaces), N],
        rows,
        key="feature-views",
    )
