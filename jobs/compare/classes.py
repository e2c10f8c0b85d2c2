"""What classifiers say of the sides: quality and diversity, collapse by granularity, in common."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import pyarrow as pa

from ..audits.across.collapse.quality import reversals
from ..audits.across.collapse.reduce import annotated_labels, favoured_together
from ..audits.across.collapse.series import finished
from ..audits.class_shares.section import by_class
from ..audits.class_shares.settings import ANNOTATOR
from ..reduce.schema import SUMMARY
from ..report.summary import Estimate, Summary, number
from ..report.verdict import ERROR_RATE
from ..report.view import View
from .sides import Side

# Of the permutations, which are no run's.
_SEED = 0


def side_views(sides: Sequence[Side]) -> dict[str, View]:
    """Each side as its own report sees it, by its letter."""
    return {
        side.letter: View(
            side.context,
            Summary(pa.Table.from_pylist(list(side.rows), schema=SUMMARY), side.trusted),
            side.generator,
        )
        for side in sides
    }


def views_by_run(sides: Sequence[Side]) -> list[dict[str, View]]:
    """The sides of each run: qualities are held against each other within one.

    Another run has another annotator, and its features are of other images.
    """
    views = side_views(sides)
    return [
        {side.letter: views[side.letter] for side in sides if side.run == run}
        for run in dict.fromkeys(side.run for side in sides)
    ]


def class_sentences(sides: Sequence[Side]) -> list[str]:
    """Better images that are less diverse, collapse under finer classes, and classes in common."""
    by_run = views_by_run(sides)
    views = {letter: view for mine in by_run for letter, view in mine.items()}
    found = [each for mine in by_run for each in reversals(mine)]
    return [*found, *_by_granularity(sides, views), *_in_common(sides, views)]


def _by_granularity(sides: Sequence[Side], views: Mapping[str, View]) -> list[str]:
    """Of one generator under annotators of fewer and of more classes: where collapse shows more.

    More classes have a larger total variation by chance alone ([CB] 3.3 does not say so): it is
    given beside each, and the intervals, which allow for it, must be apart.
    """
    found = []
    for pair in combinations(sides, 2):
        if pair[0].weights != pair[1].weights:
            continue
        coarse, fine = sorted(pair, key=lambda side: len(_shares(views[side.letter])))
        numbers = [len(_shares(views[side.letter])) for side in (coarse, fine)]
        distances = [views[s.letter].find("class_total_variation") for s in (coarse, fine)]
        if not numbers[0] or numbers[0] == numbers[1] or None in distances:
            continue
        said = " and ".join(
            f"of {number} classes ({side.letter}) {_collapse(views[side.letter])}"
            for number, side in zip(numbers, (coarse, fine), strict=True)
        )
        found.append(
            f"{fine.generator.name} under annotators {said}: {_finer(*distances)}. Classes that "
            "are parts of others never have a smaller total variation than these."
        )
    return found


def _shares(view: View) -> list[Estimate]:
    return by_class(view, "class_share")


def _collapse(view: View) -> str:
    """The total variation with its mean by chance, and the effective numbers of classes."""
    distance, floor = view.find("class_total_variation"), view.find("class_total_variation_floor")
    made, real = (view.find(f"effective_classes{side}") for side in ("", "_real"))
    words = [] if distance is None else [f"has a total variation of {distance.text(2)}"]
    if floor is not None:
        words.append(f"by chance {number(floor.value, 2)}")
    if made is not None and real is not None:
        words.append(f"effective classes {made.text(2)} against {real.text(2)} of real images")
    return ", ".join(words)


def _finer(coarse: Estimate | None, fine: Estimate | None) -> str:
    if coarse is None or fine is None:
        return "not decided"
    if fine.low > coarse.high:
        return "collapse shows more under the finer classes"
    if coarse.low > fine.high:
        return "collapse shows more under the coarser classes"
    return "not decided under which it shows more"


def _in_common(sides: Sequence[Side], views: Mapping[str, View]) -> list[str]:
    """A sentence for each group of generators whose annotators know the same classes."""
    groups: dict[str, list[Side]] = {}
    for side in sides:
        classes = _known_classes(side, len(_shares(views[side.letter])))
        if classes is not None and side.generator in finished(side.context.generators):
            groups.setdefault(classes, []).append(side)
    return [each for mine in groups.values() for each in _in_common_of(mine)]


def _known_classes(side: Side, count: int) -> str | None:
    """What an annotator's classes mean: the images it learned from, by all their options."""
    annotator = ANNOTATOR.of(side.spec.stages)
    if annotator is None:
        return None
    # Which part of a set is learned from, and by which classifier, does not change its classes.
    options = annotator.model_dump(exclude={"split", "own", "architecture", "most_rounds"})
    return repr((count, sorted(options.items())))


def _in_common_of(sides: Sequence[Side]) -> list[str]:
    # A generator goes along with itself, and with its own training's other checkpoints.
    last = {side.weights: side for side in reversed(sides)}
    known = [(side, annotated_labels(side.context)) for side in reversed(last.values())]
    pairs = [
        (side.letter, labels[side.generator.name], labels[None])
        for side, labels in known
        if side.generator.name in labels
    ]
    found = favoured_together([made for _, made, _ in pairs], [real for _, _, real in pairs], _SEED)
    if found is None:
        return []
    said = "they favour the same classes" if found.p_value < ERROR_RATE else "not decided"
    return [
        f"Kendall's W of the class share ratios of {len(pairs)} generators "
        f"({', '.join(letter for letter, _, _ in pairs)}), each under its run's annotator of the "
        f"same classes, is {number(found.w, 2)} of 1, p = {number(found.p_value, 2)}: {said}."
    ]
