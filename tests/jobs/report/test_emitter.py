"""Rows of the summary by their keys, and the seeds of their intervals."""

import numpy as np
import pytest
from offmanifold.core.statistics.interval import Interval
from offmanifold.core.statistics.means import mean_interval
from offmanifold.core.statistics.medians import median_interval
from offmanifold.jobs.audits import METRICS
from offmanifold.jobs.reduce.emitter import emitter
from offmanifold.jobs.reduce.schema import summary_row, summary_table

from tests.run_contexts import context_of

VALUES = np.arange(20.0)


def test_a_row_has_its_keys_and_an_interval_of_the_seed_that_they_make() -> None:
    context = context_of([], [], seed=5)
    emit = emitter(context, generator="g", estimator="guided").at(group="test", condition="own")
    seeded = emit.seeded("likelihood", "own")
    assert seeded.seed == context.seed_of("likelihood", "g", "test", "own")
    interval = mean_interval(VALUES, seeded.seed, resamples=context.resamples)
    keys = {"generator": "g", "estimator": "guided", "group": "test", "condition": "own"}
    assert seeded.mean_row("log_likelihood_mean", VALUES) == summary_row(
        "log_likelihood_mean", interval, **keys
    )
    against = seeded.at(against="train").median_row("doubling_change", VALUES, failed=2)
    assert against == summary_row(
        "doubling_change", median_interval(VALUES, failed=2), **keys, against="train"
    )


def test_no_interval_is_made_of_a_seed_that_nobody_gave() -> None:
    emit = emitter(context_of([], []), generator="g", group="test")
    assert emit.exact("patch_top_size", 2, 20).n == 20
    with pytest.raises(ValueError, match=r"no seed for an interval of .*'group': 'test'"):
        emit.mean(VALUES)


@pytest.mark.parametrize(
    ("metric", "interval", "ends"),
    [
        ("manifold_precision", (0.99, 0.965, 1.015), (0.965, 1.0)),
        ("manifold_recall", (0.01, -0.015, 0.035), (0.0, 0.035)),
        ("prd_recall", (0.5, -0.1, 1.1), (0.0, 1.0)),
        ("object_area", (0.01, -0.01, 0.03), (0.0, 0.03)),
        ("classifier_accuracy", (0.999, 0.99, 1.01), (0.99, 1.0)),
        ("manifold_density", (1.5, -0.2, 3.2), (0.0, 3.2)),
        # A distance that rounding took below 0 still lies in its interval.
        ("frechet_distance", (-1e-13, -0.1, 0.1), (-1e-13, 0.1)),
        ("kernel_distance", (0.001, -0.002, 0.004), (-0.002, 0.004)),
        ("frechet_distance", (1.0, np.nan, np.nan), (None, None)),
    ],
)
def test_intervals_stay_where_their_metric_can_be(
    metric: str, interval: tuple[float, float, float], ends: tuple[float | None, float | None]
) -> None:
    row = summary_row(metric, Interval(*interval, 100))
    (found,) = summary_table([row], METRICS).to_pylist()
    assert (found["low"], found["high"]) == ends
