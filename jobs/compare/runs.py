"""A comparison: its sides, what they share, how they differ, and what to beware of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...cluster.locations import Location
from ..reduce.parts import RunTableError
from ..report.summary import number
from ..spec.loading import SpecError
from .pairing import Difference, Overlap, differences, overlaps, side_values
from .sides import PLACES, Side, open_sides, without

# In what portions and from where changes no number.
_IMMATERIAL = PLACES | {"shard_items", "block_mib", "path"}
# Stages without which others begin elsewhere, or which make what is compared.
_STARTS = ("inversion", "likelihood", "comparison")
_VARIANCE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Comparison:
    """Sides, and every later one against the first: shared images and paired differences."""

    sides: Sequence[Side]
    overlaps: Sequence[Overlap]
    differences: Sequence[Difference]
    caveats: Sequence[str]

    def same_variance(self, first: str, second: str) -> bool:
        """Whether two sides' densities are of the same observation noise."""
        values = {side.letter: side.variance for side in self.sides}
        return _same(values[first], values[second])


def compare_runs(folders: Sequence[Location]) -> Comparison:
    """Compares every generator of every run with the first.

    Raises:
        SpecError: as :func:`open_sides` and :func:`compare_sides`.
    """
    return compare_sides(open_sides(folders))


def compare_sides(sides: Sequence[Side]) -> Comparison:
    """Compares every side with the first.

    Raises:
        SpecError: the tables of a run contradict themselves.
    """
    try:
        first, *others = side_values(sides)
    except RunTableError as error:
        raise SpecError(f"compare: {error}") from error
    return Comparison(
        sides,
        [each for other in others for each in overlaps(first, other)],
        [each for other in others for each in differences(first, other)],
        list(_caveats(sides)),
    )


def _caveats(sides: Sequence[Side]) -> Iterator[str]:
    """What makes numbers of different sides those of different questions."""
    first, *others = sides
    for other in others:
        pair = f"{first.letter} and {other.letter}"
        if not _same(first.variance, other.variance):
            yield (
                f"The observation variance of {pair} differs (σ² = {_written(first.variance)} "
                f"and {_written(other.variance)}): their densities, bits per dimension and "
                "typical bands belong to different noise models, and a difference between them "
                "does not say which generator is closer to the data. AUCs, accuracies and "
                "errors can be compared; for densities give both runs the same `variance: "
                "{value: ...}`."
            )
        yield from _group_caveats(first, other, pair)
        yield from _version_caveat(first, other, pair)
        yield from _settings_caveats(first, other, pair)
        yield from _instrument_caveats(first, other, pair)


def _settings_caveats(first: Side, other: Side, pair: str) -> Iterator[str]:
    mine, theirs = (
        without(each.spec.stages.model_dump(mode="json"), _IMMATERIAL) for each in (first, other)
    )
    for stage in _STARTS:
        if bool(mine[stage]) != bool(theirs[stage]):
            yield f"Only one of {pair} has the stage {stage}."
    for stage in [stage for stage in mine if mine[stage] and theirs.get(stage)]:
        keys = dict.fromkeys([*mine[stage], *theirs[stage]])
        changed = [
            f"{key} {mine[stage].get(key)} and {theirs[stage].get(key)}"
            for key in keys
            if mine[stage].get(key) != theirs[stage].get(key)
        ]
        if changed:
            yield f"Settings of {stage} differ between {pair}: {'; '.join(changed)}."


def _instrument_caveats(first: Side, other: Side, pair: str) -> Iterator[str]:
    """Reference sets, and networks that measure, which are not the same in both."""
    for name in [name for name in first.datasets if name.startswith("(")]:
        facts = [side.datasets.get(name) for side in (first, other)]
        if facts[0] and facts[1] and facts[0]["sha256"] != facts[1]["sha256"]:
            yield (
                f"The reference set of {name.strip('()')} of {pair} does not have the same images: "
                f"{_set_of(facts[0])} and {_set_of(facts[1])}."
            )
    for name, mine in first.instruments.items():
        theirs = other.instruments.get(name)
        if theirs is not None and mine != theirs:
            yield (
                f"The {name} of {pair} is not the same: what it measures is on two scales, and "
                "differences of it say nothing."
            )


def _version_caveat(first: Side, other: Side, pair: str) -> Iterator[str]:
    mine, theirs = first.versions.revisions, other.versions.revisions
    changed = [
        f"{name} {mine[name]} and {theirs[name]}"
        for name in mine
        if name in theirs and mine[name] != theirs[name]
    ]
    if changed:
        yield (
            f"{pair} were computed by other revisions ({first.versions.package} and "
            f"{other.versions.package}): {', '.join(changed)}. What differs may be the algorithm."
        )


def _group_caveats(first: Side, other: Side, pair: str) -> Iterator[str]:
    mine = {group.name: group for group in first.spec.groups}
    theirs = {group.name: group for group in other.spec.groups}
    alone = [
        f"{name} is only in {side.letter}"
        for side, own, foreign in ((first, mine, theirs), (other, theirs, mine))
        for name in own
        if name not in foreign
    ]
    if alone:
        yield f"Groups that {pair} do not share: {', '.join(alone)}."
    for name in [name for name in mine if name in theirs]:
        facts = [_images_of(side, name) for side in (first, other)]
        if facts[0] != facts[1]:
            yield (
                f"Group {name} of {pair} does not have the same images: {facts[0]} in "
                f"{first.letter}, {facts[1]} in {other.letter}. Its rows are side by side only "
                "because of its name."
            )


def _images_of(side: Side, name: str) -> str:
    group = side.spec.group(name)
    found = side.datasets.get(name)
    if found is None:
        return f"{group.role} images under {group.conditions} classes"
    return f"{group.role} images of {_set_of(found)} under {group.conditions} classes"


def _set_of(facts: Mapping[str, Any]) -> str:
    split = "" if facts["split"] is None else f" {facts['split']}"
    return f"{facts['dataset']}{split} (SHA-256 {facts['sha256'][:12]})"


def _same(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return abs(first - second) <= _VARIANCE_TOLERANCE * max(first, second)


def _written(variance: float | None) -> str:
    return "none" if variance is None else number(variance, 5)
