"""Rows of the summary by their keys, and the seeds of their intervals."""

import numpy as np
import pytest
from offmanifold.core.statistics.means import mean_interval
from offmanifold.core.statistics.medians import median_interval
from offmanifold.jobs.reduce.emitter import emitter
from offmanifold.jobs.reduce.schema import summary_row

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
