"""Whole audits of linear generators, whose densities and reconstructions are in closed form.

A generator x = b + W z + N(0, sigma^2) is audited as any other is, from its tables on: they are
written in the shipped schemas, reduced, and judged. What inversion and annealed importance sampling
would estimate is put in exactly, so that a conviction is the verdict's and no estimator's.

``python -m tests.audits.linear_audits`` prints how often each question convicts which generator.
"""

import argparse
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from offmanifold.core.observation_variance import (
    FittedVariance,
    fit_variance,
    profile_variance,
    variance_grid,
)
from offmanifold.jobs.audits import METRICS
from offmanifold.jobs.audits.across.outliers.reduce import reduce_outliers
from offmanifold.jobs.audits.across.ranking.reduce import reduce_ranking
from offmanifold.jobs.audits.across.typicality.question import find_deviation
from offmanifold.jobs.audits.across.typicality.reduce import reduce_typicality
from offmanifold.jobs.audits.audit import Reducer
from offmanifold.jobs.audits.inversion.reduce import reduce_reconstruction
from offmanifold.jobs.audits.likelihood.reduce import reduce_likelihood
from offmanifold.jobs.audits.null_audit.reduce import reduce_null_audit
from offmanifold.jobs.audits.variance.halves import fitted_positions
from offmanifold.jobs.audits.variance.reduce import reduce_variance
from offmanifold.jobs.audits.variance.settings import VarianceSpec
from offmanifold.jobs.reduce.context import GeneratorInfo, GroupInfo
from offmanifold.jobs.reduce.schema import summary_table
from offmanifold.jobs.report.summary import Summary
from offmanifold.jobs.report.verdict import Verdict
from offmanifold.jobs.report.view import View
from offmanifold.jobs.results.verdicts import judge
from offmanifold.workers.schema import STATUS_OK

from tests.run_contexts import context_of

from ..registered import TABLES

SIDE = 28
DIMENSIONS = SIDE * SIDE
NAME = "linear"
# What typicality rests on, and all questions.
TYPICALITY = (reduce_variance, reduce_typicality)
REDUCERS = (
    *TYPICALITY,
    reduce_reconstruction,
    reduce_null_audit,
    reduce_likelihood,
    reduce_ranking,
    reduce_outliers,
)
Images = np.ndarray


@dataclass(frozen=True)
class Linear:
    """The generator b + W z; ``weight`` is [D, d]."""

    weight: np.ndarray
    offset: np.ndarray

    @cached_property
    def basis(self) -> tuple[np.ndarray, np.ndarray]:
        """Left singular vectors and squared singular values, without those of dead latents."""
        left, singular, _ = np.linalg.svd(self.weight, full_matrices=False)
        alive = singular > 1e-9
        return left[:, alive], singular[alive] ** 2

    def draw(self, rng: np.random.Generator, count: int, variance: float) -> Images:
        """Samples with observation noise [count, D]."""
        latent = rng.standard_normal((count, self.weight.shape[1]))
        noise = rng.standard_normal((count, DIMENSIONS))
        drawn: Images = self.offset + latent @ self.weight.T + math.sqrt(variance) * noise
        return drawn

    def parts(self, images: Images) -> tuple[np.ndarray, np.ndarray]:
        """Squared lengths along each singular vector, and of all that lies beyond them."""
        left, _ = self.basis
        centred = images - self.offset
        along = (centred @ left) ** 2
        return along, np.maximum((centred**2).sum(1) - along.sum(1), 0)

    def squared_error(self, images: Images) -> np.ndarray:
        """The nearest image's mean squared error."""
        error: np.ndarray = self.parts(images)[1] / DIMENSIONS
        return error

    def residual(self, images: Images) -> np.ndarray:
        """What the nearest images leave."""
        left, _ = self.basis
        centred = images - self.offset
        rest: np.ndarray = centred - (centred @ left) @ left.T
        return rest

    def latent(self, images: Images) -> np.ndarray:
        """Those of the nearest images, in the singular vectors' coordinates."""
        left, squared = self.basis
        found: np.ndarray = (images - self.offset) @ left / np.sqrt(squared)
        return found

    def curves(self, images: Images, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What `variance_curves` finds: residuals and degrees of freedom by variance."""
        along, beyond = self.parts(images)
        squared = self.basis[1]
        shrink = squared / (squared + grid[:, None])
        residual = beyond[:, None] + along @ ((1 - shrink) ** 2).T
        return residual, np.tile(shrink.sum(1), (len(images), 1))

    def log_density(self, images: Images, variance: float) -> np.ndarray:
        """Exact ln p(x), nats."""
        along, beyond = self.parts(images)
        spread = self.basis[1] + variance
        rest = DIMENSIONS - len(spread)
        constant = DIMENSIONS * math.log(2 * math.pi)
        constant += np.log(spread).sum() + rest * math.log(variance)
        density: np.ndarray = -0.5 * ((along / spread).sum(1) + beyond / variance + constant)
        return density


@dataclass(frozen=True)
class Recipe:
    """How an audit is made: the corrected way by default, or the papers'."""

    estimator: Literal["marginal", "profile"] = "marginal"
    fit: Literal["half", "all"] = "half"
    levels: int | None = 256
    images: int = 128
    null: int = 128
    simulated: int = 256

    @property
    def spec(self) -> VarianceSpec:
        """The same as a spec has it."""
        return VarianceSpec(estimator=self.estimator, fit=self.fit)


@dataclass
class Tables:
    """The tables of one audit, as rows by stage."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, stage: str, group: str, columns: dict[str, Any], numbers: Iterable[int]) -> None:
        """Rows of a group's images of these numbers."""
        for index, number in enumerate(numbers):
            row = {name: values[index] for name, values in columns.items()}
            key = {"generator": NAME, "group": group, "image_id": f"{group}-{number:06d}"}
            self.rows.setdefault(stage, []).append({**key, "status": STATUS_OK, **row})

    def write(self, folder: Path) -> None:
        """One part a stage."""
        for stage, rows in self.rows.items():
            (folder / stage).mkdir()
            table = pa.Table.from_pylist(rows, schema=TABLES[stage].arrow)
            pq.write_table(table, folder / stage / "part-0.parquet")


def stored(images: Images, levels: int | None) -> Images:
    """On the grid of so many grey levels."""
    if levels is None:
        return images
    return np.round(images * (levels - 1)) / (levels - 1)


def _fit(
    generator: Linear, images: Images, recipe: Recipe, around: float | None = None
) -> FittedVariance:
    profile = profile_variance(generator.squared_error(images))
    if recipe.estimator == "profile":
        return profile
    start = profile.variance if around is None else around
    grid = np.array(variance_grid(start, generator.weight.shape[1], DIMENSIONS))
    return fit_variance(grid, *generator.curves(images, grid), DIMENSIONS)


def _add_variance(
    tables: Tables, stage: str, group: str, found: FittedVariance, fitted: list[str]
) -> None:
    values = {
        "estimator": "marginal",
        "variance": found.variance,
        "low": found.low,
        "high": found.high,
        "log_standard_error": found.log_standard_error,
        "degrees": None if math.isnan(found.degrees) else found.degrees,
        "n": found.n,
        "fitted": fitted,
    }
    tables.add(stage, group, {name: [value] for name, value in values.items()}, [0])


def _inverted(generator: Linear, images: Images) -> dict[str, Any]:
    return {
        "mse": generator.squared_error(images).tolist(),
        "residual": generator.residual(images).tolist(),
        "latent_square": (generator.latent(images) ** 2).mean(axis=1).tolist(),
    }


def _add_densities(
    tables: Tables,
    stage: str,
    group: str,
    generator: Linear,
    images: Images,
    variance: float,
    numbers: Iterable[int] | None = None,
) -> None:
    columns = {
        "estimator": ["guided"] * len(images),
        "variance": [variance] * len(images),
        "log_likelihood": generator.log_density(images, variance).tolist(),
        "mode_mse": generator.squared_error(images).tolist(),
    }
    tables.add(stage, group, columns, range(len(images)) if numbers is None else numbers)


@dataclass(frozen=True)
class Audited:
    """An audit's verdicts, and the view that they follow from."""

    verdicts: list[Verdict]
    view: View

    @property
    def convicted(self) -> list[str]:
        """The questions that convict the generator."""
        return [verdict.key for verdict in self.verdicts if verdict.tone == "bad"]

    def plain_typicality(self) -> str:
        """Whether the training images are typical by the test alone, nobody else being asked."""
        found = find_deviation(self.view, "train", "simulated")
        assert found is not None
        return found.answer


def audit(
    generator: Linear,
    data: Callable[[int], Images],
    rng: np.random.Generator,
    recipe: Recipe = Recipe(),
    reducers: Sequence[Reducer] = REDUCERS,
) -> Audited:
    """An audit of ``generator`` with ``data(count)`` as the images of the data."""
    tables = Tables()
    groups = {
        "train": stored(data(recipe.images), recipe.levels),
        "test": stored(data(recipe.images), recipe.levels),
        "generated": stored(generator.draw(rng, recipe.images, 0.0), recipe.levels),
        "outlier": np.tile(rng.random((recipe.images, 1)), DIMENSIONS),
    }
    for name, images in groups.items():
        tables.add("inversion", name, _inverted(generator, images), range(len(images)))
    chosen = fitted_positions([None] * recipe.images, recipe.spec)
    fitted = _fit(generator, groups["train"][chosen], recipe)
    control = _fit(generator, groups["generated"], recipe)
    _add_variance(tables, "variance", "train", fitted, [f"train-{i:06d}" for i in chosen])
    _add_variance(tables, "variance", "generated", control, [])
    noise = rng.standard_normal((recipe.simulated, DIMENSIONS))
    clean = generator.draw(rng, recipe.simulated, 0.0)
    for name, images in groups.items():
        _add_densities(tables, "likelihood", name, generator, images, fitted.variance)
    simulated = clean + math.sqrt(fitted.variance) * noise
    _add_densities(tables, "likelihood", "simulated", generator, simulated, fitted.variance)
    _add_null(tables, generator, rng, recipe, fitted, control, clean, noise)
    with tempfile.TemporaryDirectory() as folder:
        tables.write(Path(folder))
        roles = {"outlier": "outlier", "simulated": "simulated"}
        context = context_of(
            [GroupInfo(name, roles.get(name, name), "own") for name in (*groups, "simulated")],  # type: ignore[arg-type]
            [GeneratorInfo(NAME, 0, (1, SIDE, SIDE))],
            Path(folder),
            seed=int(rng.integers(2**31)),
            null="null",
            levels=recipe.levels,
            distance="mse",
        )
        table = summary_table([row for reducer in reducers for row in reducer(context)], METRICS)
        summary = Summary(table, "guided")
        return Audited(judge(context, summary)[NAME], View(context, summary, context.generators[0]))


def _add_null(
    tables: Tables,
    generator: Linear,
    rng: np.random.Generator,
    recipe: Recipe,
    fitted: FittedVariance,
    control: FittedVariance,
    clean: Images,
    noise: Images,
) -> None:
    """The null audit, as `jobs.stages.null_fit` plans it; the reference has the data's draws."""
    extra = max(0.0, fitted.variance - control.variance)
    images = stored(generator.draw(rng, recipe.null, extra), recipe.levels)
    tables.add("null_fit", "null", _inverted(generator, images), range(len(images)))
    chosen = fitted_positions([None] * recipe.null, recipe.spec)
    judged = [i for i in range(recipe.null) if i not in set(chosen)]
    if recipe.fit == "all":
        judged = list(range(recipe.null))
    null = _fit(generator, images[chosen], recipe, fitted.variance)
    _add_variance(tables, "null_variance", "null", null, [])
    reference = clean + math.sqrt(null.variance) * noise
    stage, variance = "null_likelihood", null.variance
    _add_densities(tables, stage, "null", generator, images[judged], variance, judged)
    _add_densities(tables, stage, "simulated", generator, reference, variance)


@dataclass(frozen=True)
class Case:
    """A generator and the data it is audited with, drawn anew in every audit."""

    name: str
    make: Callable[[np.random.Generator, int], tuple[Linear, Callable[[int], Images]]]
    right: bool


def _truth(rng: np.random.Generator, latent_dim: int) -> Linear:
    weight = rng.standard_normal((DIMENSIONS, latent_dim)) * math.sqrt(0.04 / latent_dim)
    return Linear(weight, np.full(DIMENSIONS, 0.5))


NOISE = 0.01


def _case(
    name: str, change: Callable[[Linear, np.random.Generator], Linear], noise: float = NOISE
) -> Case:
    def make(rng: np.random.Generator, latent_dim: int) -> tuple[Linear, Callable[[int], Images]]:
        truth = _truth(rng, latent_dim)
        return change(truth, rng), lambda count: truth.draw(rng, count, noise)

    return Case(name, make, right=name.startswith("true"))


def _half_dead(truth: Linear, rng: np.random.Generator) -> Linear:  # noqa: ARG001
    weight = truth.weight.copy()
    weight[:, ::2] = 0
    return replace(truth, weight=weight)


def _noise_data(
    rng: np.random.Generator, latent_dim: int
) -> tuple[Linear, Callable[[int], Images]]:
    return _truth(rng, latent_dim), lambda count: rng.random((count, DIMENSIONS))


CASES = (
    _case("true, data with noise", lambda truth, _: truth),
    _case("true, data without noise", lambda truth, _: truth, noise=0.0),
    _case("untrained", lambda truth, rng: _truth(rng, truth.weight.shape[1])),
    Case("untrained, data of pure noise", _noise_data, right=False),
    _case("mean shifted", lambda truth, _: replace(truth, offset=truth.offset + 0.1)),
    _case("half the latents dead", _half_dead),
    _case("variance halved", lambda truth, _: replace(truth, weight=truth.weight / math.sqrt(2))),
)


def rates(
    case: Case,
    latent_dim: int,
    audits: int,
    recipe: Recipe,
    reducers: Sequence[Reducer] = REDUCERS,
    seed: int = 0,
) -> Counter[str]:
    """In how many audits each question convicts the generator.

    ``any`` counts those of any question; ``typical: yes`` those that call the data typical;
    ``plain`` those in which the test of typicality alone, as the papers ask it, says atypical.
    """
    counted: Counter[str] = Counter()
    for number in range(audits):
        rng = np.random.default_rng([seed, number, latent_dim])
        generator, data = case.make(rng, latent_dim)
        found = audit(generator, data, rng, recipe, reducers)
        counted.update(found.convicted)
        counted["any"] += bool(found.convicted)
        answers = {verdict.key: verdict.answer for verdict in found.verdicts}
        counted["typical: yes"] += answers.get("typical") == "yes"
        counted["plain"] += found.plain_typicality() == "no"
    return counted


PAPERS = Recipe(estimator="profile", fit="all")
QUESTIONS = ("manifold", "nearer", "likeliest", "denser", "typical", "any", "typical: yes")


def main() -> None:
    """Prints the table of rates, and beside it that of the papers' typicality."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--audits", type=int, default=200, help="of the right generators")
    parser.add_argument("--wrong", type=int, default=40, help="audits of the wrong ones")
    parser.add_argument("--latents", type=int, nargs="+", default=[8, 32, 64])
    parser.add_argument("--images", type=int, default=Recipe.images)
    arguments = parser.parse_args()
    recipe = Recipe(images=arguments.images)
    papers = replace(PAPERS, images=arguments.images)
    print("| generator | d | audits | " + " | ".join(QUESTIONS) + " | papers: atypical |")
    print("|---|---|---|" + "---|" * (len(QUESTIONS) + 1))
    for case in CASES:
        audits = arguments.audits if case.right else arguments.wrong
        for latent_dim in arguments.latents:
            found = rates(case, latent_dim, audits, recipe)
            shares = [f"{100 * found[key] / audits:.1f}%" for key in QUESTIONS]
            theirs = (
                rates(case, latent_dim, arguments.wrong, papers, TYPICALITY)["plain"]
                / arguments.wrong
            )
            row = [case.name, latent_dim, audits, *shares, f"{100 * theirs:.1f}%"]
            print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()
