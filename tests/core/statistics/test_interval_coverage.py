"""Intervals cover as often as they say; docs/intervals.md has the whole table."""

import numpy as np
import pytest
from offmanifold.core.statistics.correlation import KINDS
from offmanifold.jobs.audits import METRICS

from .coverage import INTERVALS, interval_of
from .interval_cases import Case, cases

CASES = {(case.interval, case.data, case.images): case for case in cases()}
NOMINAL = 0.95

# Cases that reach it, one or two an interval, of few images and many, with light and heavy tails.
HELD = [
    ("mean", "normal", "16"),
    ("mean", "log-normal, s = 1", "32"),
    ("difference of means", "normal, sd 1 and 3", "16"),
    ("leads, all at once", "5 groups, normal, equal", "32"),
    ("median", "5% of images 30 sd low", "32"),
    ("median", "log-normal, s = 1.5", "200"),
    ("ratio of medians", "log-normal, s = 1", "16"),
    ("AUC", "0.5, normal", "64"),
    ("AUC", "0.9, outliers three times as wide", "100 and 40"),
    ("AUC", "0.97, some outliers like inliers, the others apart", "64"),
    ("mean AUC over classes", "0.7, outliers under all 10 classes", "32"),
    ("mean AUC over classes", "0.7, each outlier under one class", "100 and 40"),
    ("pearson correlation", "0.5, joint t, 5 df", "32"),
    ("pearson correlation", "0.9, normal", "16"),
    ("spearman correlation", "0.9, joint t, 5 df", "64"),
    ("mean pearson over pairs", "0.5, joint t, 5 df", "64"),
]


def assert_covers(case: Case, replicates: int, tolerated: float = 0.02) -> None:
    """93 to 97%, and four standard errors of so many replicates."""
    found = case.measure(replicates)
    error = 4 * np.sqrt(NOMINAL * (1 - NOMINAL) / replicates)
    assert abs(found.covered - NOMINAL) <= tolerated + error, found
    assert found.printed > 0.99


@pytest.mark.parametrize("name", HELD, ids=", ".join)
def test_an_interval_covers_nearly_as_often_as_it_says(name: tuple[str, str, str]) -> None:
    assert_covers(CASES[name], 150)


@pytest.mark.slow
@pytest.mark.parametrize("name", HELD, ids=", ".join)
def test_an_interval_covers_as_often_as_it_says(name: tuple[str, str, str]) -> None:
    assert_covers(CASES[name], 400)


@pytest.mark.slow
def test_no_interval_is_far_too_narrow_but_where_the_page_says_so() -> None:
    """Where no sample gets one, as with classes of fewer than 10 images, none is too narrow."""
    missed, without = {}, set()
    for name, case in CASES.items():
        if name[:2] == ("mean", "5% of images 30 sd low"):
            continue
        found = case.measure(200)
        if found.printed == 0:
            without.add((name[0], name[2]))
        elif found.covered < 0.90 - 4 * np.sqrt(0.9 * 0.1 / (200 * found.printed)):
            missed[name] = str(found)
    assert not missed
    # Of 16 and of 32 images each of four classes has 4 and 8.
    own = (f"mean {kind} over 4 classes of own images" for kind in KINDS)
    assert without == {(name, n) for name in own for n in ("16", "32")}


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("n", ["16", "32"])
def test_what_no_sample_shows_no_interval_holds(n: str) -> None:
    """5% of images 30 sd low are out of reach of few images, by how many samples hold none."""
    covered = CASES["mean", "5% of images 30 sd low", n].measure(400).covered
    unseen = 0.95 ** int(n)
    assert covered == pytest.approx(1 - unseen, abs=0.02 + 4 * np.sqrt(unseen * (1 - unseen) / 400))


def test_the_page_names_every_metric() -> None:
    assert set(map(interval_of, METRICS)) == set(INTERVALS.values())
