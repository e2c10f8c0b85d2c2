"""The report's section on class shares, and its question."""

import math

from matplotlib.figure import Figure as Canvas

from ...reduce.schema import class_condition
from ...report.drawn import Drawn
from ...report.figure import GUIDE, WIDTH, Figure, draw
from ...report.section import Section, present
from ...report.summary import Estimate, number
from ...report.table import Cell, Column, N, Table, counts, estimates, filled_table
from ...report.verdict import ERROR_RATE, Answer, Finding, Null, Verdict
from ...report.view import View
from .figures import annotated_samples, confidence_histograms

# Shares that differ by less in total are as good as the same: a class in twenty, at most.
NEGLIGIBLE = 0.05
_MOST_BARS = 40


def class_shares_section(view: View) -> Section:
    """Class histograms, what they are as a whole, and how far labels can be believed."""
    figures = present(_histogram(view), annotated_samples(view), confidence_histograms(view))
    tables = present(_whole(view), _by_class(view), _annotators(view))
    text = [] if not tables else [_words(view)]
    return Section(
        "class-shares", "Does each class get its share?", text, figures, tables, _warnings(view)
    )


def class_shares_kept(view: View) -> Verdict | None:
    """Whether annotated generated images have the class shares of annotated real ones."""
    found = view.find("class_total_variation")
    p_value = view.find("class_shares_p_value")
    if found is None or p_value is None:
        return None
    floor, hidden = (view.find(f"class_total_variation_{name}") for name in ("floor", "hidden"))
    answer: Answer = "undecided"
    blind = ""
    if p_value.value < ERROR_RATE:
        answer = "no"
    # Samples whose shares differ by more on their own cannot show that there is no difference.
    elif floor is not None and (most := max(found.high, floor.value)) <= NEGLIGIBLE:
        if hidden is not None and hidden.value * most <= NEGLIGIBLE:
            answer = "yes"
        else:
            blind = _blind(view, hidden)
    by_chance = "" if floor is None else f" (by chance alone {number(floor.value, 2)})"
    sentence = (
        f"Between the annotator's labels of generated and of held-out real images the total "
        f"variation is {found.text(2)}{by_chance}, "
        f"p = {number(p_value.value, 2)}, N = {found.n}.{blind}"
        f"{_worst_class(view)}{_asked(view)}"
    )
    finding = Finding(
        "annotated",
        answer,
        sentence,
        measured=f"class shares differ by a total variation of {found.text(2)}{by_chance}",
        counted=f"N = {found.n}",
        p_value=None if answer == "yes" else p_value.value,
        null=_null(view),
    )
    return Verdict(
        "class-shares",
        "Does it give each class its share?",
        "yes",
        (finding,),
        section="class-shares",
    )


def by_class(view: View, metric: str) -> list[Estimate]:
    """A metric's estimates of the classes, in their order."""
    found: list[Estimate] = []
    while (each := view.find(metric, None, class_condition(len(found)))) is not None:
        found.append(each)
    return found


def _null(view: View) -> Null | None:
    found, data = view.find("class_shares_null_p_value"), view.find("class_shares_data_p_value")
    if found is None:
        return None
    if data is not None and data.value < ERROR_RATE and not view.generator.num_classes:
        return Null(
            "no",
            "The images that the annotator learned from have other class shares than the held-out "
            f"ones (p = {number(data.value, 2)}, by their true classes): what is made as the one "
            "is not as the other.",
        )
    answer: Answer = "no" if found.value < ERROR_RATE else "undecided"
    said = "tells" if answer == "no" else "does not tell"
    sentence = (
        f"Of real images the same test {said} one half from the other "
        f"(p = {number(found.value, 2)}, N = {found.n})."
    )
    return Null(answer, sentence)


def _blind(view: View, hidden: Estimate | None) -> str:
    """Why so small a difference of labels is not small."""
    if hidden is None and not by_class(view, "class_share_corrected"):
        return (
            " But the held-out images lack a class, so that the annotator's errors are not known."
        )
    if hidden is None:
        return " But the annotator cannot tell some classes, and would not see every difference."
    return (
        " But the annotator's errors on real images may hide a difference of true classes that is "
        f"{number(hidden.value, 2)} times as large."
    )


def _worst_class(view: View) -> str:
    ratios = by_class(view, "class_share_ratio")
    sizes = [_size(each.value) for each in ratios]
    known = [size for size in sizes if not math.isnan(size)]
    if not known:
        return ""
    index = sizes.index(max(known))
    return (
        f" Furthest off is class {index}, with {ratios[index].text(2)} times its share of real "
        "images."
    )


def _size(ratio: float) -> float:
    """How far off a ratio is, up or down; nan of a class that nobody has."""
    if ratio == 0:
        return math.inf
    return abs(math.log(ratio))


def _asked(view: View) -> str:
    if not view.generator.num_classes:
        return ""
    return (
        " It was asked for the classes of the real images, as often: where shares differ, images "
        "of a class are taken for another."
    )


def _words(view: View) -> str:
    right = view.find("annotator_test_accuracy")
    beside = "" if right is None else f"It labels {right.scaled(100).text(3)}% of them rightly. "
    return (
        "A classifier of real images, the annotator, labelled generated images, and real ones that "
        f"it had not seen. {beside}Both histograms have its errors, and are held against each "
        "other: against true labels the data themselves would look collapsed. The interval of "
        "exp(H) is a description, and no verdict rests on it."
    )


def _warnings(view: View) -> list[str]:
    found = view.find("annotator_likeness_p_value")
    if found is None or found.value >= ERROR_RATE:
        return []
    return [
        "The annotator's answers on generated images are no mixture of its answers on real classes "
        f"(p = {number(found.value, 2)}): shares corrected by its errors on real images are not to "
        "be trusted here, and a difference of annotated shares may be one of its errors."
    ]


def _whole(view: View) -> Table | None:
    rows = [
        (label, made, real)
        for label, made, real in (
            ("effective number of classes, exp(H)", "effective_classes", "effective_classes_real"),
            (
                "inception score under the annotator",
                "annotator_inception_score",
                "annotator_inception_score_real",
            ),
            ("labels that are right (GAN-test)", "label_correctness", "annotator_test_accuracy"),
        )
    ]
    cells: list[list[Cell]] = [
        [label, view.find(made), view.find(real)]
        for label, made, real in rows
        if view.find(made) is not None
    ]
    distance = view.find("class_total_variation")
    if distance is not None:
        floor = view.find("class_total_variation_floor")
        cells.append(["total variation of the shares; right, its mean by chance", distance, floor])
    return filled_table(
        "Annotated images as a whole",
        [Column("of annotated images"), estimates("generated"), estimates("held-out real")],
        cells,
        key="annotated",
    )


def _annotators(view: View) -> Table | None:
    """Those of attributes and of all classes, of which the better one labelled the images."""
    rows: list[list[Cell]] = []
    for row in view.summary.rows("annotator_alone_accuracy"):
        if row["generator"] == view.generator.name:
            found = view.find("annotator_alone_accuracy", None, str(row["condition"]))
            rows.append([str(row["condition"]), found, None if found is None else found.n])
    return filled_table(
        "Held-out real images that each annotator labels rightly. Of all classes at once, the one "
        "of all classes or those of single attributes labelled the images, whichever is better",
        [Column("annotator"), estimates("right, %", decimals=1, scale=100), N],
        rows,
        key="annotators",
    )


def _by_class(view: View) -> Table | None:
    found = {
        metric: by_class(view, metric)
        for metric in (
            "class_share",
            "class_share_real",
            "class_share_ratio",
            "class_share_corrected",
        )
    }
    shares = found["class_share"]
    rows = [
        [
            index,
            share,
            found["class_share_real"][index],
            found["class_share_ratio"][index],
            found["class_share_corrected"][index] if found["class_share_corrected"] else None,
            share.n,
        ]
        for index, share in enumerate(shares)
    ]
    return filled_table(
        "Shares of the classes, as annotated, and corrected for the annotator's errors on real "
        "images",
        [
            counts("class"),
            estimates("generated, %", decimals=1, scale=100),
            estimates("held-out real, %", decimals=1, scale=100),
            estimates("ratio", decimals=2),
            estimates("generated, corrected, %", decimals=1, scale=100),
            N,
        ],
        rows,
        key="class-shares",
    )


def _histogram(view: View) -> Figure | None:
    made, real = by_class(view, "class_share"), by_class(view, "class_share_real")
    if not made or len(made) > _MOST_BARS:
        return None

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        for shift, (name, shares, colour) in enumerate(
            (("generated", made, "#009e73"), ("held-out real", real, GUIDE))
        ):
            places = [index + 0.4 * (shift - 0.5) for index in range(len(shares))]
            values = [100 * each.value for each in shares]
            ends = [
                [100 * (each.value - each.low) for each in shares],
                [100 * (each.high - each.value) for each in shares],
            ]
            axes.bar(places, values, 0.38, yerr=ends, label=name, color=colour)
        axes.set_xticks(range(len(made)))
        axes.set_xlabel("class, as annotated")
        axes.set_ylabel("share of images, %")
        canvas.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=9)

    return draw(
        WIDTH,
        2.5,
        "Shares of the annotated classes, of generated and of held-out real images; the table "
        "below has the numbers.",
        "Class histograms of generated and of held-out real images, both labelled by the same "
        "annotator. The lines are 95% intervals.",
        paint,
        data=Drawn(
            [Column("images"), counts("class"), estimates("share, %", scale=100)],
            [
                [name, index, share]
                for name, shares in (("generated", made), ("held-out real", real))
                for index, share in enumerate(shares)
            ],
        ),
        key="class-histogram",
    )
