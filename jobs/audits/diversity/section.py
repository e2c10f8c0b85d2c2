"""The report's section on diversity, and its question."""

import math
from dataclasses import replace

from matplotlib.figure import Figure as Canvas

from ....core.statistics.equivalent_share import EquivalentShare
from ...reduce.schema import class_condition
from ...report.drawn import Drawn
from ...report.figure import WIDTH, Figure, draw
from ...report.section import Section, present
from ...report.summary import Estimate
from ...report.table import Cell, Column, N, Table, counts, estimates, filled_table, numbers
from ...report.verdict import Answer, Finding, Null, Verdict, log_scale, side_p_value
from ...report.view import View
from .reduce import multiple_condition, real_condition

ARCHITECTURES = ("linear", "resnet32")
"""The classifiers, in the order of the page."""


def diversity_section(view: View) -> Section:
    """The curve of real images, and where the generator's classifiers lie on it."""
    figures = present(*(_curve(view, each) for each in ARCHITECTURES))
    tables = present(_accuracy_table(view), _class_table(view))
    text = _words(view) if tables else []
    return Section(
        "diversity", "Is it as diverse as the data?", text, figures, tables, _warnings(view)
    )


def as_diverse(view: View) -> Verdict | None:
    """Whether classifiers of generated images do as well as those of all real ones."""
    findings: list[Finding] = []
    for architecture in ARCHITECTURES:
        share, null = equivalent(view, architecture), equivalent(view, architecture, null=True)
        if share is not None:
            known = None if null is None else _null(null, real_factors(view, architecture)[1])
            found = _finding(architecture, share, known, primary=not findings)
            if found.answer == "no" and _labels_fall_short(view, architecture):
                found = replace(
                    found,
                    answer="undecided",
                    sentence=f"{found.sentence} Its images have the annotator's labels, which are "
                    "not shown to be right more often than a classifier of real images is: their "
                    "errors alone make it look less diverse, and nothing is decided. An annotator "
                    "that is shown to be better can decide it.",
                )
            findings.append(found)
    if not findings:
        return None
    return Verdict(
        "diversity", "Is it as diverse as its data?", "yes", tuple(findings), section="diversity"
    )


def _labels_fall_short(view: View, architecture: str) -> bool:
    """Whether images without classes of their own were labelled no better than classifiers do.

    What learns from an annotator's labels learns its errors, and ends below it.
    """
    # Labels can be right or wrong only where images have classes.
    if view.generator.num_classes or view.find("label_correctness") is not None:
        return False
    labels = view.find("annotator_test_accuracy")
    learned = view.find("classifier_accuracy_real", None, real_condition(architecture, 1))
    return labels is None or learned is None or labels.low <= learned.high


def equivalent(view: View, architecture: str, *, null: bool = False) -> EquivalentShare | None:
    """The headline, with its words; None where the run has none."""
    metric = "equivalent_share_null" if null else "equivalent_share"
    found = view.find(metric, None, architecture)
    factors = real_factors(view, architecture)
    if found is None or not factors:
        return None
    return EquivalentShare(found.value, found.low, found.high, max(factors), found.n)


def real_factors(view: View, architecture: str) -> list[int]:
    """The parts of the real images that classifiers learned from, ascending."""
    prefix = f"{architecture}, 1/"
    found = {
        int(str(row["condition"]).removeprefix(prefix))
        for row in view.summary.rows("classifier_accuracy_real")
        if str(row["condition"]).startswith(prefix)
    }
    return sorted(found)


def _finding(
    architecture: str, share: EquivalentShare, null: Null | None, *, primary: bool
) -> Finding:
    answer: Answer = "undecided"
    if share.low > 1:
        answer = "no"
    elif share.high <= 1:
        answer = "yes"
    sentence = (
        f"By {architecture} classifiers it is as diverse as {share} of the data "
        f"({share.interval_in_words()}), N = {share.n} test images."
    )
    return Finding(
        architecture,
        answer,
        sentence,
        primary=primary,
        measured=f"as diverse as {share} of the data ({share.interval_in_words()})",
        counted=f"N = {share.n} test images",
        p_value=_p_value(share),
        null=null,
    )


def _p_value(share: EquivalentShare) -> float | None:
    """Of being worth all of the data; what is censored counts as the last share that was tried."""
    tried = float(share.largest)
    value, low, high = (
        min(max(each, 1 / tried), tried) for each in (share.factor, share.low, share.high)
    )
    return side_p_value(Estimate(value, low, high, share.n, None), 1.0, log_scale)


def _null(share: EquivalentShare, factor: int) -> Null:
    """Real images in the generator's place: they are worth their number, whatever the test says."""
    answer: Answer = "no" if share.low > factor else "undecided"
    sentence = (
        f"Of 1/{factor} of the real images in its place the same test says: as diverse as {share} "
        f"({share.interval_in_words()})."
    )
    return Null(answer, sentence)


def _words(view: View) -> list[str]:
    said = [
        f"{each}: as diverse as {share} of the data ({share.interval_in_words()})"
        for each in ARCHITECTURES
        if (share := equivalent(view, each)) is not None
    ]
    return [
        "Classifiers learned from generated images, from all real ones, and from random parts of "
        "these, and were tested on real images that none had seen. The part of the real images "
        "that does as well as the generated ones is how diverse these are, or how well they show "
        "their classes: blurred or wrongly labelled images lower it too. "
        + "; ".join(said)
        + ("." if said else "")
    ]


def _warnings(view: View) -> list[str]:
    found = []
    for each in ARCHITECTURES:
        left = view.find("classifiers_not_converged", None, each)
        if left is not None and left.value > 0:
            found.append(
                f"{left.value:.0f} of {left.n} {each} classifiers had not converged when training "
                "ended: raise stages.diversity.most_rounds."
            )
    return found


def _accuracy_table(view: View) -> Table | None:
    rows: list[list[Cell]] = []
    for architecture in ARCHITECTURES:
        named = [
            (
                "real" if factor == 1 else f"1/{factor} of real",
                "_real",
                real_condition(architecture, factor),
            )
            for factor in real_factors(view, architecture)
        ]
        multiples = sorted(
            int(str(row["condition"]).rpartition("x")[2])
            for row in view.summary.rows("classifier_accuracy")
            if row["metric"] == "classifier_accuracy"
            and row["generator"] == view.generator.name
            and str(row["condition"]).startswith(f"{architecture}, x")
        )
        named += [
            (f"generated, x{each}", "", multiple_condition(architecture, each))
            for each in multiples
        ]
        named.append(("real and generated", "_both", multiple_condition(architecture, 1)))
        for label, suffix, key in named:
            test = view.find(f"classifier_accuracy{suffix}", None, key)
            if test is not None:
                train = view.find(f"classifier_train_accuracy{suffix}", None, key)
                rows.append([label, architecture, train, test, test.n])
    return filled_table(
        "Accuracy of classifiers by what they learned from, mean over repeats. On real test images "
        "that of generated ones is also called GAN-train, and classification accuracy score",
        [
            Column("learned from"),
            Column("classifier"),
            numbers("on these, %", decimals=1, scale=100),
            estimates("on real test images, %", decimals=1, scale=100),
            N,
        ],
        rows,
        key="accuracy",
    )


def _class_table(view: View) -> Table | None:
    rows: list[list[Cell]] = []
    for architecture in ARCHITECTURES:
        index = 0
        while True:
            condition = f"{architecture}, {class_condition(index)}"
            made = view.find("classifier_class_accuracy", None, condition)
            real = view.find("classifier_class_accuracy_real", None, condition)
            if made is None or real is None:
                break
            rows.append([index, architecture, made, real, made.n])
            index += 1
    return filled_table(
        "The same by class, of classifiers of as many generated images as real ones",
        [
            counts("class"),
            Column("classifier"),
            numbers("generated, %", decimals=1, scale=100),
            numbers("real, %", decimals=1, scale=100),
            N,
        ],
        rows,
        key="class-accuracy",
    )


def _curve(view: View, architecture: str) -> Figure | None:
    factors = real_factors(view, architecture)
    real = [
        view.find("classifier_accuracy_real", None, real_condition(architecture, factor))
        for factor in factors
    ]
    known: list[tuple[int, Estimate]] = [
        (factor, each) for factor, each in zip(factors, real, strict=True) if each is not None
    ]
    lines = {
        each.generator.name: found
        for each in view.by_generator()
        if (found := each.find("classifier_accuracy", None, multiple_condition(architecture, 1)))
        is not None
    }
    if len(known) < 2 or not lines:
        return None

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        places = [factor for factor, _ in known]
        values = [100 * each.value for _, each in known]
        ends = [
            [100 * (each.value - each.low) for _, each in known],
            [100 * (each.high - each.value) for _, each in known],
        ]
        drawn = [[0.0 if math.isnan(end) else end for end in side] for side in ends]
        axes.errorbar(places, values, yerr=drawn, marker="o", color="#0072b2", label="real")
        colours = ("#009e73", "#d55e00", "#cc79a7", "#e69f00", "#8c564b")
        for place, (name, found) in enumerate(lines.items()):
            colour = colours[place % len(colours)]
            axes.axhline(100 * found.value, linestyle="--", color=colour, label=name)
        axes.set_xscale("log", base=2)
        axes.set_xticks(places, [f"1/{factor}" if factor > 1 else "all" for factor in places])
        axes.minorticks_off()
        axes.set_xlabel("part of the real images")
        axes.set_ylabel("test accuracy, %")
        axes.legend(frameon=False)

    return draw(
        WIDTH,
        2.7,
        f"Test accuracy of {architecture} classifiers over the part of the real images that they "
        "learned from, with a dashed line for each generator; the table below has the numbers.",
        f"{architecture} classifiers of parts of the real images; dashed, those of as many "
        "generated images as all real ones. Where a line crosses the curve is the part that the "
        "generated images are worth [CB Fig. 3].",
        paint,
        data=Drawn(
            [Column("images"), Column("part"), estimates("test accuracy, %", scale=100)],
            [
                *(("real", f"1/{factor}", each) for factor, each in known),
                *((name, "as many as real", each) for name, each in lines.items()),
            ],
        ),
        key=f"curve-{architecture}",
    )
