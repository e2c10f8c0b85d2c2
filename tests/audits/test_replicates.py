"""A verdict on densities is withheld where replicates differ by more than it decides."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from offmanifold.core.guided import estimate_guided
from offmanifold.core.likelihood import simulate
from offmanifold.core.settings.guided import GuidedSettings
from offmanifold.core.statistics.convergence import quantile_bound
from offmanifold.core.statistics.outliers import marginal_auc
from offmanifold.jobs.audits import METRICS
from offmanifold.jobs.audits.across.outliers.questions import denser_outliers
from offmanifold.jobs.audits.across.outliers.reduce import reduce_outliers
from offmanifold.jobs.audits.across.ranking.question import likeliest_group
from offmanifold.jobs.audits.across.ranking.reduce import reduce_ranking
from offmanifold.jobs.audits.across.typicality.question import typical_data
from offmanifold.jobs.audits.across.typicality.reduce import reduce_typicality
from offmanifold.jobs.audits.audit import Reducer
from offmanifold.jobs.audits.convergence.reduce import apart, reduce_convergence
from offmanifold.jobs.audits.likelihood.reduce import reduce_likelihood
from offmanifold.jobs.reduce.context import GeneratorInfo, GroupInfo
from offmanifold.jobs.reduce.schema import summary_table
from offmanifold.jobs.report.summary import Summary
from offmanifold.jobs.report.verdict import Verdict
from offmanifold.jobs.report.view import View
from offmanifold.jobs.spec.audit import Role
from torch import Tensor

from tests.audits.linear_audits import NAME, Tables
from tests.core.lean import LEAN
from tests.core.waves import Waves
from tests.run_contexts import context_of

VARIANCE, IMAGES = 0.01, 32
REDUCERS = (reduce_likelihood, reduce_ranking, reduce_outliers, reduce_convergence)
# A search that misses the best mode of many images, and one that misses none.
HARD = replace(LEAN, transitions=20, restarts=1, candidates=4, iterations=30)
BANKED = replace(LEAN, transitions=20, restarts=8, bank=20_000)

Estimates = dict[str, tuple[np.ndarray, np.ndarray]]


def judged(folder: Path, estimates: Estimates) -> dict[str, Verdict]:
    """The verdicts on two groups, "test" and "outlier", each with replicates of its estimates."""
    view = viewed(folder, estimates, ("outlier", "outlier"), REDUCERS)
    asked = denser_outliers(view), likeliest_group(view)
    return {verdict.key: verdict for verdict in asked if verdict is not None}


def viewed(
    folder: Path, estimates: Estimates, other: tuple[str, Role], reducers: Sequence[Reducer]
) -> View:
    """What a report sees of the group "test" and of another, by name and role."""
    tables = Tables()
    for group, pair in estimates.items():
        for stage, values in zip(("likelihood", "convergence"), pair, strict=True):
            columns = {
                "estimator": ["guided"] * len(values),
                "log_likelihood": values.tolist(),
                "varied": ["replicate"] * len(values),
            }
            tables.add(stage, group, columns, range(len(values)))
    tables.write(folder)
    groups = [GroupInfo("test", "test", "own"), GroupInfo(*other, "own")]
    context = context_of(groups, [GeneratorInfo(NAME, 0, (1, 1, 20))], folder)
    rows = [row for reducer in reducers for row in reducer(context)]
    return View(context, Summary(summary_table(rows, METRICS), "guided"), context.generators[0])


def answers(verdicts: dict[str, Verdict]) -> list[str]:
    return [verdicts[key].findings[0].answer for key in ("denser", "likeliest")]


@pytest.fixture(scope="module")
def waves() -> dict[str, Tensor]:
    """The decoder's own images, and others halfway to single colours, 34 nats less dense."""
    here = torch.empty(0).double()
    own, _ = simulate(Waves(1.4, 0), None, VARIANCE, range(2 * IMAGES), like=here)
    colours = torch.linspace(0.2, 0.8, IMAGES).double().view(-1, 1, 1, 1)
    return {"test": own[:IMAGES], "outlier": 0.5 * (own[IMAGES:] + colours)}


def replicated(images: dict[str, Tensor], settings: GuidedSettings) -> Estimates:
    def estimate(pixels: Tensor, first: int) -> np.ndarray:
        seeds = range(first, first + len(pixels))
        found = estimate_guided(Waves(1.4, 0), pixels, None, VARIANCE, settings, seeds)
        return found.log_likelihood.numpy()

    return {name: (estimate(each, 0), estimate(each, 1000)) for name, each in images.items()}


def test_a_search_that_misses_modes_withholds_the_verdict(
    waves: dict[str, Tensor], tmp_path: Path
) -> None:
    estimates = replicated(waves, HARD)
    # Without its replicates the estimate decides: whatever it says rests on what was missed.
    alone = {name: (values, values) for name, (values, _) in estimates.items()}
    for folder in ("alone", "both"):
        (tmp_path / folder).mkdir()
    assert answers(judged(tmp_path / "alone", alone)) == ["no", "yes"]
    verdicts = judged(tmp_path / "both", estimates)
    assert answers(verdicts) == ["undecided", "undecided"]
    sentence = verdicts["denser"].findings[0].sentence
    assert "the finding is withheld until replicates agree" in sentence


def test_a_search_that_finds_them_decides(waves: dict[str, Tensor], tmp_path: Path) -> None:
    verdicts = judged(tmp_path, replicated(waves, BANKED))
    assert answers(verdicts) == ["no", "yes"]
    assert "withheld" not in verdicts["denser"].findings[0].sentence


@pytest.mark.parametrize(("apart", "answer"), [(0.1, "yes"), (30.0, "undecided")])
def test_dense_outliers_are_held_against_the_replicates_of_the_data(
    apart: float, answer: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    test, outlier = rng.normal(0, 5, IMAGES), rng.normal(20, 5, IMAGES)
    estimates = {"test": (test, test + rng.normal(0, apart, IMAGES)), "outlier": (outlier, outlier)}
    assert judged(tmp_path, estimates)["denser"].findings[0].answer == answer


# Samples of standard deviation 10 have a margin of 5 nats, of which 300 and 400 leave some 3.4.
@pytest.mark.parametrize(
    ("shift", "error", "answer"),
    [
        (0.0, 0.1, "yes"),
        (0.0, 20.0, "undecided"),
        (-30.0, 0.1, "no"),
        # Too far below the samples for replicates that lie so far apart, and not far enough.
        (-30.0, 8.0, "no"),
        (-30.0, 60.0, "undecided"),
    ],
)
def test_typicality_is_withheld_where_replicates_could_overturn_it(
    shift: float, error: float, answer: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    test, simulated = rng.normal(shift, 10, 300), rng.normal(0, 10, 400)
    estimates = {
        "test": (test, test + rng.normal(0, error, len(test))),
        "simulated": (simulated, simulated),
    }
    reducers = (reduce_likelihood, reduce_typicality, reduce_convergence)
    verdict = typical_data(viewed(tmp_path, estimates, ("simulated", "simulated"), reducers))
    assert verdict is not None
    (finding,) = verdict.findings
    assert finding.answer == answer
    assert ("withheld until replicates agree" in finding.sentence) == (answer == "undecided")


@pytest.mark.slow
@pytest.mark.parametrize(("error", "most"), [(0.1, 0.02), (0.3, 0.25)])
def test_chance_alone_withholds_little(error: float, most: float) -> None:
    """Prints how many of the decided findings are withheld, by the gap between the groups."""
    rng = np.random.default_rng(0)

    def side(inliers: np.ndarray, outliers: np.ndarray) -> int:
        auc = marginal_auc(inliers, outliers).interval
        return int(auc.low > 0.5) - int(auc.high < 0.5)

    decided = withheld = 0
    for gap in (0, 3, 10):
        for _ in range(150):
            inliers, outliers = -rng.normal(0, 10, 128), -rng.normal(-gap, 10, 128)
            found = side(inliers, outliers)
            sizes = np.abs(rng.normal(0, error * 2**0.5, IMAGES))
            raised = apart(quantile_bound(sizes), sizes.max())
            again = (
                side(inliers, outliers - raised) if found > 0 else side(inliers - raised, outliers)
            )
            decided += found != 0
            withheld += found not in (0, again)
        print(f"\nerror {error}, up to {gap} nats apart: {withheld} of {decided} withheld", end="")
    assert withheld <= most * decided
