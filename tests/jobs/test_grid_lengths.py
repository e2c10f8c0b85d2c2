"""How long the grids of variances will be, as a plan foresees it from a trial's errors."""

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from offmanifold.jobs.audits.specs import gather_facts, load_spec
from offmanifold.jobs.audits.variance.fit_plan import grid_lengths, grids_around, null_grid
from offmanifold.jobs.audits.variance.trial import inversion_trials
from offmanifold.jobs.plan.stage import AuditContext
from offmanifold.workers.datasets import DatasetError
from offmanifold.workers.tried_errors import TriedErrors
from offmanifold.workers.variance import DATA


def context(*overrides: str) -> AuditContext:
    spec = load_spec("digits", ("cluster.executor=serial", *overrides))
    return AuditContext(spec, gather_facts(spec))


@pytest.fixture(scope="module")
def digits() -> AuditContext:
    return context()


def lengths_in_a_run(known: AuditContext, data: float, own: float) -> tuple[int, int, int]:
    """Of the grids that a run would fit on, were these its mean squared errors."""
    (facts,) = known.facts.generators.values()
    grids = grids_around(known, facts, {DATA: data, "generated": own})
    return len(grids[DATA]), len(grids["generated"]), len(null_grid(grids))


@pytest.mark.parametrize("lean", [False, True])
def test_a_run_stays_within_what_was_foreseen(digits: AuditContext, lean: bool) -> None:
    random = np.random.default_rng(0)
    (facts,) = digits.facts.generators.values()
    for _ in range(200):
        data, own = 10 ** random.uniform(-4, -1, 2)
        # A few images are off by chance, and a leaner search is off upwards.
        chance = 2.0 ** random.uniform(-1, 1, 2)
        more = 8.0 ** random.uniform(0, 1, 2) if lean else np.ones(2)
        tried_data, tried_own = (np.array([data, own]) * chance * more).tolist()
        errors = TriedErrors(tried_data, tried_own, lean)
        known = AuditContext(digits.spec, digits.facts, {facts.name: errors})
        foreseen = grid_lengths(known, facts)
        actual = lengths_in_a_run(digits, data, own)
        # A grid's ends are rounded to its steps.
        for length, (least, most) in zip(actual, foreseen, strict=True):
            assert least - 1 <= length <= most + 1


def test_what_is_far_from_the_generators_own_is_known_to_be(digits: AuditContext) -> None:
    """Data a hundred times as far as the control have the same short grid, whatever their error."""
    (facts,) = digits.facts.generators.values()
    errors = {facts.name: TriedErrors(0.05, 0.0005, lean=False)}
    found = grid_lengths(AuditContext(digits.spec, digits.facts, errors), facts)
    assert found.data.least == found.data.most
    assert found.control.most - found.control.least == 2


def test_every_generator_is_tried_under_the_images_own_classes(digits: AuditContext) -> None:
    (facts,) = digits.facts.generators.values()
    (trial,) = inversion_trials(digits, [facts]).values()
    group = next(each for each in digits.spec.audited if each.role == "train")
    labels, chosen = digits.facts.groups[group.name].labels, digits.chosen(group)
    assert labels is not None
    places = np.linspace(0, len(chosen) - 1, len(trial.data)).round().astype(int)
    assert trial.conditions == [labels[chosen[place]] for place in places]
    assert trial.data.shape == (4, *digits.facts.image_shape)


@pytest.mark.parametrize(
    "override",
    ["stages.variance.value=0.01", "stages.variance.estimator=profile"],
)
def test_none_is_tried_where_no_grid_is_fitted(override: str) -> None:
    known = context(override)
    assert inversion_trials(known, known.facts.generators.values()) == {}


def test_what_cannot_be_read_is_left_to_the_stage_that_reads_it(digits: AuditContext) -> None:
    def refuse(*_: Any) -> None:
        raise DatasetError("gone")

    with patch("offmanifold.jobs.audits.variance.trial.read_images", refuse):
        assert inversion_trials(digits, digits.facts.generators.values()) == {}
