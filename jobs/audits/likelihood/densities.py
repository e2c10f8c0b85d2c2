"""The tables of log densities: those to trust, and the same images by the other estimator."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.emitter import Emitter, emitter
from ...reduce.groups import GroupValues, group_values
from ...reduce.parts import RunTableError
from ...reduce.tables import RunTables, succeeded
from ..across.outliers.scores import Score
from ..inversion.best_errors import read_best_errors

TRUSTED = "likelihood"
OTHER = "comparison"


@dataclass(frozen=True)
class Densities:
    """A table of log densities, all by one estimator; None where no row names it."""

    stage: str
    estimator: str | None
    frame: pd.DataFrame

    def groups(self, context: ReduceContext, generator: GeneratorInfo) -> dict[str, GroupValues]:
        """A generator's ln p by group, as `group_values`."""
        return group_values(context, self.frame, "log_likelihood", generator)


@dataclass(frozen=True)
class Scores:
    """A table whose ``column`` ranks images; ``sign`` times it is higher for likelier ones.

    ``estimator`` is that of the densities, None where the score is no density.
    """

    method: Score
    column: str
    sign: float
    estimator: str | None
    frame: pd.DataFrame

    def groups(self, context: ReduceContext, generator: GeneratorInfo) -> dict[str, GroupValues]:
        """A generator's scores by group, as `group_values`."""
        return group_values(context, self.frame, self.column, generator)


def read_densities(tables: RunTables, columns: Sequence[str]) -> list[Densities]:
    """The run's tables of densities: ``likelihood`` first, then ``comparison``, if they are there.

    A comparison in which every row failed compares nothing and is left out.

    Raises:
        RunTableError: several estimators in one table, or the same one in both.
    """
    found: list[Densities] = []
    for stage in (TRUSTED, OTHER):
        frame = tables.read(stage, ["estimator", *columns])
        if frame is not None:
            estimator = _estimator(tables, stage, frame)
            if stage == TRUSTED or estimator is not None:
                found.append(Densities(stage, estimator, frame))
    if len(found) == 2 and found[0].estimator == found[1].estimator:
        raise RunTableError(
            f"{tables.locate()}: {TRUSTED} and {OTHER} both hold the estimator "
            f"{found[0].estimator}: a comparison needs two"
        )
    return found


def each_density(
    context: ReduceContext, columns: Sequence[str] = ("log_likelihood",)
) -> Iterator[tuple[Emitter, Densities, GeneratorInfo]]:
    """Every generator in every table of densities, and what makes the rows of both.

    Raises:
        RunTableError: as :func:`read_densities`.
    """
    for densities in read_densities(context.tables, columns):
        for generator in context.generators:
            keys = {"generator": generator.name, "estimator": densities.estimator}
            yield emitter(context, **keys), densities, generator


def each_score(context: ReduceContext) -> Iterator[tuple[Emitter, Scores, GeneratorInfo]]:
    """Every generator in every table of scores, and what makes the rows of both.

    Raises:
        RunTableError: as :func:`read_densities`.
    """
    for scores in read_scores(context.tables):
        for generator in context.generators:
            keys = {"generator": generator.name, "estimator": scores.estimator}
            yield emitter(context, **keys), scores, generator


def trusted_estimator(tables: RunTables) -> str | None:
    """The estimator of the table ``likelihood``, on which the verdicts rest."""
    frame = tables.read(TRUSTED, ["estimator"])
    return None if frame is None else _estimator(tables, TRUSTED, frame)


def read_scores(tables: RunTables) -> list[Scores]:
    """Every score that tells images or classes apart: each estimator's density, then errors.

    A reconstruction's mean squared error is the least known, its LPIPS the perceptual stage's.

    Raises:
        RunTableError: as :func:`read_densities`.
    """
    found = [
        Scores("likelihood", "log_likelihood", 1.0, densities.estimator, densities.frame)
        for densities in read_densities(tables, ["log_likelihood"])
    ]
    inversion = read_best_errors(tables)
    if inversion is not None:
        found.append(Scores("reconstruction", "mse", -1.0, None, inversion))
    perceptual = tables.read("perceptual", ["lpips"])
    if perceptual is not None:
        found.append(Scores("reconstruction_lpips", "lpips", -1.0, None, perceptual))
    return found


def _estimator(tables: RunTables, stage: str, frame: pd.DataFrame) -> str | None:
    # Rows that failed name no estimator.
    names = sorted(set(succeeded(frame)["estimator"].fillna("")))
    if len(names) > 1:
        raise RunTableError(
            f"{tables.locate(stage)} holds rows of several estimators "
            f"({', '.join(name or 'none named' for name in names)}), expected one"
        )
    return (names[0] or None) if names else None
