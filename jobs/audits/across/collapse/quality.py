"""Quality beside diversity: images that look right are not therefore diverse ([CB] 3.4)."""

from collections.abc import Mapping
from itertools import permutations

from ....report.summary import Estimate
from ....report.table import Cell, Column, Table, estimates, filled_table
from ....report.view import View
from ...distances.features_plan import GENERATED
from ...diversity.reduce import multiple_condition
from ...diversity.section import ARCHITECTURES, equivalent


def quality_table(views: Mapping[str, View]) -> Table | None:
    """A row for each generator that has one of both kinds of number; None below two of them."""
    rows = [(name, view) for name, view in views.items() if _has_both(view)]
    if len(rows) < 2:
        return None
    return filled_table(
        "Quality against diversity: labels that are right and precision say how well images show "
        "a class, the part of the real images that they are worth and GAN-train how many of them "
        "there are",
        [
            Column("generator"),
            estimates("labels that are right, %", decimals=1, scale=100),
            estimates("inception score, annotator"),
            estimates("precision"),
            *(Column(f"worth, {each}") for each in ARCHITECTURES),
            *(estimates(f"GAN-train, {each}, %", decimals=1, scale=100) for each in ARCHITECTURES),
        ],
        [_row(name, view) for name, view in rows],
        key="quality",
    )


def reversals(views: Mapping[str, View]) -> list[str]:
    """Sentences on pairs of which one makes better images, and less diverse ones.

    Both intervals must be apart, of quality and of the equivalent part of the real images, and no
    other quality decided the other way. They describe; no verdict rests on them.
    """
    found = []
    for (better, mine), (worse, theirs) in permutations(views.items(), 2):
        quality = _apart(mine, theirs)
        if quality is None:
            continue
        for each in ARCHITECTURES:
            first, second = equivalent(mine, each), equivalent(theirs, each)
            if first is not None and second is not None and first.low > second.high:
                found.append(
                    f"{better} makes better images than {worse} ({quality}), and less diverse "
                    f"ones: by {each} classifiers they are worth {first} of the real images "
                    f"({first.interval_in_words()}), those of {worse} {second} "
                    f"({second.interval_in_words()}). This describes them and is no verdict."
                )
    return found


def _has_both(view: View) -> bool:
    diverse = any(equivalent(view, each) is not None for each in ARCHITECTURES)
    return diverse and any(
        each is not None
        for each in (_right(view), _precision(view), view.find("annotator_inception_score"))
    )


def _row(name: str, view: View) -> list[Cell]:
    shares = [equivalent(view, each) for each in ARCHITECTURES]
    return [
        name,
        _right(view),
        view.find("annotator_inception_score"),
        _precision(view),
        *(None if each is None else f"{each} ({each.interval_in_words()})" for each in shares),
        *(
            view.find("classifier_accuracy", None, multiple_condition(each, 1))
            for each in ARCHITECTURES
        ),
    ]


def _apart(mine: View, theirs: View) -> str | None:
    """How the first's quality is above the second's; None where it is not, for certain.

    Nor where another quality says for certain that it is below.
    """
    above = None
    for find, words, scale in (
        (_right, "labels that are right, in percent", 100),
        (_precision, "precision", 1),
    ):
        first, second = find(mine), find(theirs)
        if first is None or second is None:
            continue
        if second.low > first.high:
            return None
        if above is None and first.low > second.high:
            texts = [each.scaled(scale).text() for each in (first, second)]
            above = f"{words}: {' against '.join(texts)}"
    return above


def _right(view: View) -> Estimate | None:
    return view.find("label_correctness")


def _precision(view: View) -> Estimate | None:
    # In pixels it says how smooth images are, too.
    return view.find("manifold_precision", GENERATED, "annotator")
