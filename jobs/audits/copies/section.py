"""The report's section on copies."""

from ....core.culprits.copies import REPLAYS
from ....core.statistics.views import kinds_of_views
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
from .pictures import closest_pairs
from .plan import GENERATED, HELD_OUT
from .reduce import PLACEBO, SEEN_AT, TRAINING


def copies_section(view: PageView) -> Section:
    """Shares of copies with the placebo, which planted ones are seen, and published numbers."""
    pictures: list[Figure] = present(*(closest_pairs(view, group) for group in _GROUPS))
    return Section(
        "copies",
        "Does it copy?",
        [
            "An image's nearness is the distance to its nearest training image over the mean "
            "distance to its 50 nearest. Training images are compared as they are, flipped, "
            "shifted, enlarged and with the brightness divided out, and the nearness in the view "
            "in which it is least is ranked among that of held-out images, which cannot have been "
            "copied. The placebo asks the same with held-out images in the place of training "
            "images; planted copies say which kinds are seen, and in which views. How often the "
            "verdict errs on these images, and against generators of other faults, is for "
            "`offmanifold calibrate SPEC` to find out."
        ],
        pictures,
        present(_shares(view), _seen(view), _seen_by_view(view), _published(view)),
    )


_GROUPS = (GENERATED, HELD_OUT)


def _shares(view: View) -> Table | None:
    rows = []
    for against in (TRAINING, PLACEBO):
        share, p_value, detectable, found, held_out = (
            view.find(metric, GENERATED, None, against=against)
            for metric in (
                "copies_share",
                "copies_p",
                "copies_detectable",
                "copies_found",
                "copies_held_out",
            )
        )
        if share is not None and held_out is not None and found is not None:
            counted = int(found.value), int(held_out.value)
            rows.append([against, share, p_value, *counted, detectable, share.n])
    return filled_table(
        "Share of generated images that are copies of training images, %, and of the placebo's",
        [
            Column("copies of"),
            estimates("share, %", decimals=2, scale=100),
            p_values("p"),
            counts("found"),
            counts("held out"),
            numbers("detectable, %", decimals=1, scale=100),
            N,
        ],
        rows,
        key="copies",
    )


def _seen(view: View) -> Table | None:
    found = {kind: view.find("copies_seen", GENERATED, None, against=kind) for kind in REPLAYS}
    return filled_table(
        "Planted copies of training images that are as near as those that are counted, %",
        [Column("kind"), estimates("seen, %", decimals=1, scale=100), N],
        [
            [kind.removeprefix("replay-"), share, share.n]
            for kind, share in found.items()
            if share is not None
        ],
        key="planted",
    )


def _seen_by_view(view: View) -> Table | None:
    """Planted copies by views, and below them the generator's own images."""
    rows: list[list[Cell]] = []
    for against in (*REPLAYS, GENERATED):
        found = [
            view.find("copies_seen_by_view", GENERATED, kind, against=against)
            for kind in kinds_of_views()
        ]
        known = [each for each in found if each is not None]
        if known:
            values = [None if each is None else each.value for each in found]
            rows.append([against.removeprefix("replay-"), *values, known[0].n])
    return filled_table(
        f"In which views planted copies are seen, and generated images: p at most {SEEN_AT:.0%}, "
        f"which chance gives for {SEEN_AT:.0%} of images, %",
        [
            Column("images"),
            *(numbers(kind, decimals=1, scale=100) for kind in kinds_of_views()),
            N,
        ],
        rows,
        key="views",
    )


def _published(view: View) -> Table | None:
    rows = []
    for group in _GROUPS:
        share, value, deviation, p_value = (
            view.find(metric, group)
            for metric in (
                "authentic_share",
                "data_copying",
                "data_copying_deviation",
                "data_copying_p",
            )
        )
        if share is not None:
            rows.append([group, value, deviation, p_value, share, share.n])
    return filled_table(
        "Published numbers, to be read beside those of held-out images: C_T with its standard "
        "deviation and p-value by permutation, and the share of authentic images, %",
        [
            Column("images"),
            numbers("C_T", decimals=2),
            numbers("its deviation", decimals=2),
            p_values("p"),
            estimates("authentic, %", decimals=1, scale=100),
            N,
        ],
        rows,
        key="published",
    )
