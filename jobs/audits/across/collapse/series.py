"""Which generators are checkpoints of one training, and which are the last of theirs."""

from collections.abc import Sequence
from itertools import pairwise

from ....reduce.context import GeneratorInfo


def trainings(generators: Sequence[GeneratorInfo]) -> list[list[GeneratorInfo]]:
    """The checkpoints of each training that has several, in its order."""
    by_name: dict[str, list[GeneratorInfo]] = {}
    for each in generators:
        if each.series is not None:
            by_name.setdefault(each.series.name, []).append(each)
    return [sorted(members, key=_position) for members in by_name.values() if len(members) > 1]


def finished(generators: Sequence[GeneratorInfo]) -> list[GeneratorInfo]:
    """The generators that are no checkpoint, and the last checkpoint of each training."""
    return [
        each
        for each in generators
        if each.series is None or each.series.position == each.series.count - 1
    ]


def steps(members: Sequence[GeneratorInfo]) -> list[int]:
    """How far in training each checkpoint is: its iteration, or its place where names say less.

    Iterations count only where all are numbers that ascend.
    """
    iterations = [each.series.iteration for each in members if each.series is not None]
    numbers = [each for each in iterations if isinstance(each, int)]
    if len(numbers) == len(members) and all(
        later > earlier for earlier, later in pairwise(numbers)
    ):
        return numbers
    return list(range(len(members)))


def _position(generator: GeneratorInfo) -> int:
    return 0 if generator.series is None else generator.series.position
