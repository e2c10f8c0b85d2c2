"""The wording of a verdict follows from its numbers, their intervals, and what the null says."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from offmanifold.core.quantisation import quantisation_variance
from offmanifold.core.statistics.interval import Interval
from offmanifold.jobs.audits import METRICS
from offmanifold.jobs.audits.likelihood.health_words import sandwich_sentences
from offmanifold.jobs.reduce.context import GeneratorInfo, GroupInfo, ReduceContext
from offmanifold.jobs.reduce.schema import SummaryRow, exact, summary_row, summary_table
from offmanifold.jobs.report.summary import NO_BREAK, Estimate, Summary, number, p_value_words
from offmanifold.jobs.report.table import p_values
from offmanifold.jobs.report.verdict import Verdict, log_scale, logit, side_p_value
from offmanifold.jobs.report.view import View
from offmanifold.jobs.results.verdicts import judge

from tests.run_contexts import context_of

Bounds = tuple[float, float, float]

GENERATOR = GeneratorInfo("g", 10, (1, 8, 8))
CONTEXT = context_of(
    [
        GroupInfo("train", "train", "own"),
        GroupInfo("test", "test", "all"),
        GroupInfo("generated", "generated", "all"),
        GroupInfo("simulated", "simulated", "all"),
        GroupInfo("MNIST", "outlier", "all"),
    ],
    [GENERATOR],
    null="null",
    levels=256,
    distance="mse",
)
REMEDY = "Add a group for it"
SAME = "So the test says the same about a model that is right by construction"


def row(
    metric: str,
    value: float,
    low: float = math.nan,
    high: float = math.nan,
    *,
    generator: str = "g",
    **keys: str,
) -> SummaryRow:
    interval = Interval(float(value), float(low), float(high), 64)
    return summary_row(metric, interval, generator=generator, **keys)


def verdict(key: str, *rows: SummaryRow, context: ReduceContext = CONTEXT) -> Verdict:
    found = judge(context, Summary(summary_table(rows, METRICS)))["g"]
    assert [each.key for each in found] == [key]
    return found[0]


def without(*roles: str) -> ReduceContext:
    return replace(CONTEXT, groups=[each for each in CONTEXT.groups if each.role not in roles])


# The manifold


VISIBLE = (0.01, 0.008, 0.012)
FAR = (12.0, 9.0, 15.0)


def manifold(
    ratio: Bounds, *more: SummaryRow, error: Bounds = VISIBLE, group: str = "train"
) -> Verdict:
    keys: dict[str, Any] = {"condition": "own", "group": group}
    return verdict(
        "manifold",
        row("reconstruction_ratio", *ratio, against="generated", **keys),
        row("reconstruction_mse_median", *error, **keys),
        *more,
    )


def null_errors(
    ratio: Bounds = (10.0, 9.0, 11.0), alike: float = 0.001, common: float | None = None
) -> list[SummaryRow]:
    keys: dict[str, Any] = {"condition": "own", "group": "null", "against": "generated"}
    found = {"reconstruction_p_null": alike, "residual_p_null": common}
    return [row("reconstruction_ratio", *ratio, **keys)] + [
        row(metric, value, group="train", against="null")
        for metric, value in found.items()
        if value is not None
    ]


@pytest.mark.parametrize(
    ("interval", "answer", "tone"),
    [
        (FAR, "No", "bad"),
        ((1.0, 0.8, 1.2), "Yes", "good"),
        ((1.3, 1.1, 1.6), "Not decided", "open"),
    ],
)
def test_on_manifold(interval: Bounds, answer: str, tone: str) -> None:
    found = manifold(interval, *null_errors())
    assert found.headline == answer
    assert found.tone == tone
    assert str(interval[0]) in found.findings[0].sentence


STORED = quantisation_variance(256)


@pytest.mark.parametrize(
    "ratio",
    [
        FAR,
        (1.3, 1.1, 1.6),
    ],
)
def test_an_error_below_what_storage_leaves_is_on_the_manifold(ratio: Bounds) -> None:
    found = manifold(ratio, *null_errors(), error=(STORED, 0.9 * STORED, 1.2 * STORED))
    assert found.headline == "Yes"
    # The limit is twice what storage leaves; an interval around it decides neither way.
    found = manifold(FAR, *null_errors(), error=(2 * STORED, 1.5 * STORED, 2.5 * STORED))
    assert found.headline == "Not decided"


@pytest.mark.parametrize(
    ("null", "answer", "words"),
    [
        ([], "Not decided", REMEDY),
        (null_errors(alike=0.4), "Not decided", SAME),
        (null_errors(alike=0.4, common=0.4), "Not decided", SAME),
        (null_errors(alike=0.4, common=0.001), "No", "no more in common than theirs gives p"),
        (null_errors(alike=0.001), "No", "have the same distribution gives p = 0.0010"),
        (null_errors(ratio=(1.0, 0.9, 1.1), alike=0.03), "No", "1.00 [0.90,"),
    ],
)
def test_far_data_are_held_against_the_null(
    null: list[SummaryRow], answer: str, words: str
) -> None:
    found = manifold(FAR, *null)
    assert found.headline == answer
    assert words in found.findings[0].sentence


def test_what_speaks_for_the_generator_needs_no_null() -> None:
    found = manifold((1.0, 0.8, 1.2))
    assert found.headline == "Yes"
    assert REMEDY not in found.findings[0].sentence


def test_a_poor_control_is_said() -> None:
    found = manifold(
        (3.0, 2.0, 4.0),
        row("psnr_of_mean_mse", 18.0, 17, 19, group="train", condition="own"),
        row("psnr_of_mean_mse", 22.0, 21, 23, group="generated", condition="own"),
    )
    assert "come back poorly themselves" in found.findings[0].sentence


def test_images_that_another_search_came_nearer_to_are_counted() -> None:
    beaten = row("search_beaten", 5, group="train", condition="own")
    found = manifold(FAR, beaten, *null_errors())
    assert "On 5 of 64 train images another stage's search" in found.findings[0].sentence
    keys = {"group": "MNIST", "against": "test", "condition": "nearest class"}
    nearer = verdict(
        "nearer",
        row("outlier_auc_reconstruction", 0.9, 0.8, 0.95, **keys),
        row("search_beaten", 3, group="test", condition="nearest class"),
    )
    assert "On 3 of 64 test images another stage's search" in nearer.findings[0].sentence


# Outliers


def auc(
    value: Bounds,
    against: str = "test",
    condition: str = "nearest class",
    method: str = "reconstruction",
    group: str = "MNIST",
    generator: str = "g",
) -> SummaryRow:
    keys: dict[str, Any] = {
        "group": group,
        "against": against,
        "condition": condition,
        "generator": generator,
    }
    return row(f"outlier_auc_{method}", *value, **keys)


LOW, MIDDLE, HIGH = (0.1, 0.05, 0.2), (0.5, 0.4, 0.6), (0.9, 0.8, 0.95)


@pytest.mark.parametrize(
    ("interval", "answer", "words"),
    [
        (LOW, "Yes", "nearer to MNIST than to test"),
        (HIGH, "No", "nearer to test than to MNIST"),
        (MIDDLE, "Not decided", "It is open whether"),
    ],
)
def test_nearer_to_outliers(interval: Bounds, answer: str, words: str) -> None:
    found = verdict("nearer", auc(interval), auc(HIGH, "null"))
    assert found.headline == answer
    assert words in found.findings[0].sentence


@pytest.mark.parametrize(
    ("null", "answer", "words"),
    [
        ([], "Not decided", REMEDY),
        ([auc(LOW, "null")], "Not decided", SAME),
        (
            [auc(HIGH, "null")],
            "Yes",
            "This does not hold for the model's own samples (null): AUC 0.900",
        ),
        # Too few to say: they are as the data unless the data differ from them.
        ([auc((0.2, 0.08, 0.55), "null")], "Not decided", "the data's is not shown to be lower"),
        ([auc((0.5, 0.4, 0.6), "null")], "Yes", "the data's is lower"),
    ],
)
def test_near_outliers_are_held_against_the_null(
    null: list[SummaryRow], answer: str, words: str
) -> None:
    found = verdict("nearer", auc(LOW), *null)
    assert found.headline == answer
    assert words in found.findings[0].sentence


def test_the_null_is_asked_under_the_condition_of_the_data() -> None:
    null = auc(HIGH, "null", "per class mean")
    # Nearest classes on one side and own ones on the other are two tests.
    found = verdict("nearer", auc(LOW), null)
    assert found.headline == "Not decided"
    assert REMEDY in found.findings[0].sentence
    found = verdict("nearer", auc(LOW), auc((0.2, 0.1, 0.3), condition="per class mean"), null)
    assert found.headline == "Yes"
    assert "AUC 0.200" in found.findings[0].sentence
    assert "per class mean" in found.findings[0].sentence


def doubled(
    group: str,
    mean: Bounds,
    high: float,
    varied: str = "transitions",
) -> list[SummaryRow]:
    found = {
        "doubling_change": Interval(float(mean[0]), float(mean[1]), float(mean[2]), 32),
        "doubling_change_high": exact(high, 32),
        "doubling_change_max": exact(high, 32),
    }
    keys = {"generator": "g", "condition": "own", "group": group, "against": varied}
    return [summary_row(metric, interval, **keys) for metric, interval in found.items()]


def by(change: float, group: str, varied: str = "transitions") -> list[SummaryRow]:
    """A change of all of a group's images alike."""
    return doubled(group, (change, change - 0.05, change + 0.05), abs(change) + 0.05, varied)


def changes(rise: Mapping[str, float], varied: str = "transitions") -> list[SummaryRow]:
    return [each for group, change in rise.items() for each in by(change, group, varied)]


def densities(
    interval: Bounds, gap: float, *more: SummaryRow, null: Bounds | None = HIGH
) -> Verdict:
    keys: dict[str, Any] = {"condition": "marginal", "method": "likelihood"}
    rows = [
        auc(interval, **keys),
        row("log_likelihood_mean", 100.0 + gap, group="test", condition="own"),
        row("log_likelihood_mean", 100.0, group="MNIST", condition="own"),
    ]
    if null is not None:
        rows.append(auc(null, "simulated", **keys))
    return verdict("denser", *rows, *more)


@pytest.mark.parametrize(
    ("null", "answer", "words"),
    [
        (None, "Not decided", REMEDY),
        (LOW, "Not decided", SAME),
        (HIGH, "Yes", "This does not hold for the model's own samples (simulated): AUC 0.900"),
    ],
)
def test_dense_outliers_are_held_against_the_models_samples(
    null: Bounds | None, answer: str, words: str
) -> None:
    found = densities(LOW, -50, *changes({"test": 0.1, "MNIST": 0.1}), null=null)
    assert found.headline == answer
    assert words in found.findings[0].sentence


def test_denser_outliers_that_still_rise_make_the_finding_conservative() -> None:
    found = densities(LOW, -50, *changes({"test": 0.1, "MNIST": 20}))
    assert found.headline == "Yes"
    assert "MNIST are underestimated the most, so the finding is conservative" in (
        found.findings[0].sentence
    )


def test_less_dense_outliers_that_still_rise_decide_nothing() -> None:
    found = densities(HIGH, 50, *changes({"test": 0.1, "MNIST": 20}))
    assert found.headline == "Not decided"
    assert "have not settled enough" in found.findings[0].sentence


def test_a_rise_that_is_small_against_the_gap_changes_nothing() -> None:
    found = densities(HIGH, 500, *changes({"test": 0.1, "MNIST": 20}))
    assert found.headline == "No"
    assert "little against" in found.findings[0].sentence


def test_means_that_say_the_opposite_support_no_answer() -> None:
    found = densities(HIGH, -500, *changes({"test": 0.1, "MNIST": 20}))
    assert found.headline == "Not decided"
    assert "against means that say the opposite" in found.findings[0].sentence


def test_data_that_rise_faster_weaken_the_finding_on_outliers() -> None:
    found = densities(LOW, -50, *changes({"test": 20, "MNIST": 0.1}))
    assert found.headline == "Not decided"


def test_the_setting_that_speaks_most_against_the_answer_is_told() -> None:
    transitions = changes({"test": 30, "MNIST": 0.1})
    # More transitions raise the data and so confirm the answer; more restarts do the reverse.
    found = densities(HIGH, 50, *transitions)
    assert found.headline == "No"
    assert "test are underestimated the most" in found.findings[0].sentence
    found = densities(HIGH, 50, *transitions, *changes({"test": 0.0, "MNIST": 8.0}, "restarts"))
    assert found.headline == "Not decided"
    assert "run more restarts" in found.findings[0].sentence


def test_settled_estimates_are_left_alone() -> None:
    found = densities(LOW, -5, *changes({"test": 0.3, "MNIST": 0.9}))
    assert found.headline == "Yes"
    assert "transitions" not in found.findings[0].sentence


@pytest.mark.parametrize(("gap", "answer"), [(5, "Not decided"), (50, "No")])
def test_a_few_images_that_gain_much_are_seen_behind_a_small_mean(gap: float, answer: str) -> None:
    few = doubled("MNIST", (0.8, 0.2, 1.6), 20)
    found = densities(HIGH, gap, *by(0.1, "test"), *few)
    assert found.headline == answer
    assert "With twice the transitions the mean ln p of MNIST" in found.findings[0].sentence


@pytest.mark.parametrize("known", [["test"], ["MNIST"], []])
def test_what_too_few_images_leave_unknown_is_said(known: list[str]) -> None:
    rows = [
        each
        for group in ("test", "MNIST")
        for each in (
            by(0.1, group)
            if group in known
            else doubled(group, (0.1, math.nan, math.nan), math.nan)
        )
    ]
    found = densities(LOW, -50, *rows, *changes({"test": 0.1, "MNIST": 0.1}, "chains"))
    assert found.headline == "Yes"
    assert (
        "Whether these estimates have settled is not known: too few images were estimated again "
        "with twice the transitions."
    ) in found.findings[0].sentence


def test_a_group_that_was_not_estimated_again_leaves_it_unknown() -> None:
    found = densities(LOW, -50, *by(20, "MNIST"))
    assert "with twice the transitions" in found.findings[0].sentence
    found = densities(LOW, -50)
    assert "No setting was doubled for these groups" in found.findings[0].sentence


# The likeliest group


def likeliest(
    *leads: tuple[str, str, str, float], rise: float = 0.0, means: Mapping[str, float] = {}
) -> Verdict:
    rows = [
        row(metric, lead, lead - 5, lead + 5, group=leader, against=other, condition="own")
        for metric, leader, other, lead in leads
    ]
    rows += changes({"MNIST": rise, "train": 0.0, "generated": 0.0}, "chains")
    rows += [
        row("log_likelihood_mean", mean, mean - 4, mean + 4, group=group, condition="own")
        for group, mean in means.items()
    ]
    return verdict("likeliest", *rows)


def test_the_likeliest_group_is_named_with_its_lead() -> None:
    found = likeliest(
        ("density_lead", "generated", "simulated", 30.0),
        ("density_lead", "generated", "train", 40.0),
        ("density_lead_given", "train", "MNIST", 20.0),
    )
    assert found.headline == "generated; among the images it did not make: train"
    assert found.tone == "good"
    assert [finding.primary for finding in found.findings] == [True, False]
    assert f"generated leads simulated by 30.0 [25.0,{NO_BREAK}35.0]" in found.findings[0].measured
    assert f"train leads MNIST by 20.0 [15.0,{NO_BREAK}25.0]" in found.findings[0].measured


OUTLIERS_LEAD = (
    ("density_lead", "MNIST", "generated", 30.0),
    ("density_lead", "MNIST", "train", 40.0),
    ("density_lead_given", "MNIST", "train", 40.0),
)
# Noise-free images lead all others, whatever the model.
GENERATED_LEAD = (
    ("density_lead", "generated", "MNIST", 30.0),
    ("density_lead", "generated", "train", 70.0),
    ("density_lead_given", "MNIST", "train", 40.0),
)


@pytest.mark.parametrize("leads", [OUTLIERS_LEAD, GENERATED_LEAD])
@pytest.mark.parametrize(
    ("means", "tone", "words"),
    [
        ({}, "open", REMEDY),
        ({"MNIST": 80.0, "simulated": 60.0}, "open", SAME),
        ({"MNIST": 80.0, "simulated": 120.0}, "bad", f"is −40.0 [−45.7,{NO_BREAK}−34.3] nats"),
        ({"MNIST": 80.0, "simulated": 78.0, "train": 76.0}, "open", "not shown to be denser than"),
        ({"MNIST": 80.0, "simulated": 78.0, "train": 40.0}, "bad", "these are denser than train"),
    ],
)
def test_outliers_that_lead_are_held_against_the_models_samples(
    leads: Any, means: dict[str, float], tone: str, words: str
) -> None:
    found = likeliest(*leads, means=means)
    assert found.headline.endswith("MNIST")
    assert found.tone == tone
    assert words in found.findings[0].sentence


@pytest.mark.parametrize(("lead", "rise"), [(3.0, 0.0), (30.0, 4.0)])
def test_a_lead_within_its_error_decides_nothing(lead: float, rise: float) -> None:
    found = likeliest(
        ("density_lead", "train", "MNIST", lead), ("density_lead", "train", "test", 90.0), rise=rise
    )
    assert found.headline == "train or MNIST (not decided)"
    assert found.tone == "open"
    assert "do not decide between train and MNIST" in found.findings[0].sentence


def test_a_lead_whose_estimates_may_not_have_settled_says_so() -> None:
    lead = row("density_lead", 30, 25, 35, group="train", against="MNIST", condition="own")
    found = verdict("likeliest", lead)
    assert found.tone == "good"
    assert "No setting was doubled for these groups" in found.findings[0].sentence
    few = doubled("MNIST", (0.1, math.nan, math.nan), math.nan, "chains")
    found = verdict("likeliest", lead, *by(0.1, "train", "chains"), *few)
    assert "too few images were estimated again with twice the chains" in found.findings[0].sentence


# Typicality


def deviations(
    deviation: Bounds,
    p_mean: float,
    p_shape: float = 0.5,
    group: str = "train",
    against: str = "simulated",
) -> list[SummaryRow]:
    keys: dict[str, Any] = {"group": group, "against": against, "condition": "own"}
    found = {"margin": 5.0, "p_mean": p_mean, "p_shape": p_shape}
    return [
        row("typicality_deviation", *deviation, **keys),
        *[row(f"typicality_{name}", value, **keys) for name, value in found.items()],
    ]


def typical_null(p_mean: float = 0.7, alike: float = 0.001) -> list[SummaryRow]:
    return [
        *deviations((0.5, -2, 3), p_mean, group="null"),
        row("typicality_p_null", alike, group="train", against="null", condition="own"),
    ]


DENSER = deviations((-90, -99, -80), 0.001, against="generated")


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        (deviations((-30, -35, -25), 0.001), "No"),
        (deviations((-1, -4, 2), 0.5, p_shape=0.001), "No"),
        (deviations((1, -2, 4), 0.5), "Yes"),
        (deviations((-3, -6.5, 0.5), 0.2), "Not decided"),
        # Twice the smaller of two p-values is what both together have.
        (deviations((-6, -9, -3), 0.03, p_shape=0.9), "Not decided"),
    ],
)
def test_typical(found: list[SummaryRow], answer: str) -> None:
    judged = verdict("typical", *found, *DENSER, *typical_null())
    assert judged.headline == answer
    assert [finding.primary for finding in judged.findings] == [True, False]
    assert "samples with their observation noise" in judged.findings[0].sentence
    assert "As in the papers, against noise-free" in judged.findings[1].sentence
    assert judged.findings[1].answer == "undecided"


@pytest.mark.parametrize(
    ("null", "answer", "words"),
    [
        ([], "Not decided", REMEDY),
        (typical_null(p_mean=0.001), "Not decided", SAME),
        (typical_null(alike=0.3), "Not decided", SAME),
        (typical_null(), "No", "A test that the data deviate in the same way gives p = 0.0010"),
    ],
)
def test_atypical_data_are_held_against_the_null(
    null: list[SummaryRow], answer: str, words: str
) -> None:
    found = verdict("typical", *deviations((-30, -35, -25), 0.001), *null)
    assert found.headline == answer
    assert words in found.findings[0].sentence


def test_noise_free_images_decide_nothing() -> None:
    found = verdict("typical", *DENSER, context=without("simulated"))
    assert found.headline == "Not decided"
    assert "Add a group with role `simulated`" in found.findings[0].sentence
    assert "held against these decides nothing" in found.findings[1].sentence


# Classification


def classified(
    difference: Bounds | None, *more: SummaryRow, context: ReduceContext = CONTEXT
) -> Verdict:
    rows = [row("accuracy_likelihood", 0.7, 0.6, 0.8, group="test", condition="every class")]
    if difference is not None:
        rows += against_neighbour("test", difference)
    return verdict("classifies", *rows, *more, context=context)


def against_neighbour(group: str, difference: Bounds) -> list[SummaryRow]:
    keys: dict[str, Any] = {"group": group, "against": "1-NN in pixels"}
    return [
        row("accuracy_difference_likelihood", *difference, **keys),
        summary_row("accuracy_neighbours", Interval(0.9, 0.8, 0.95, 64), group=group),
    ]


@pytest.mark.parametrize(
    ("interval", "answer"),
    [
        ((-0.2, -0.3, -0.1), "No"),
        ((0.1, 0.02, 0.2), "Yes"),
        ((-0.01, -0.1, 0.05), "Not decided"),
        # The margin is 2 points, and the whole interval has to be above it.
        ((-0.005, -0.015, 0.005), "Yes"),
        ((-0.02, -0.02, 0.02), "Not decided"),
        ((0.05, -0.021, 0.1), "Not decided"),
        ((-0.03, -0.05, -0.021), "No"),
    ],
)
def test_classifies(interval: Bounds, answer: str) -> None:
    found = classified(interval, *against_neighbour("generated", (0.1, 0.05, 0.2)))
    assert found.headline == answer
    assert "chance 10.0%" in found.findings[0].sentence


@pytest.mark.parametrize(
    ("null", "answer", "words"),
    [
        ([], "Not decided", REMEDY),
        (against_neighbour("generated", (-0.2, -0.3, -0.1)), "Not decided", SAME),
        (against_neighbour("generated", (0.1, 0.05, 0.2)), "No", "own images (generated)"),
    ],
)
def test_a_poor_classifier_is_held_against_its_own_images(
    null: list[SummaryRow], answer: str, words: str
) -> None:
    found = classified((-0.2, -0.3, -0.1), *null)
    assert found.headline == answer
    assert words in found.findings[0].sentence


def test_without_a_baseline_nothing_is_said_of_as_well() -> None:
    found = classified(None)
    assert found.headline == "Not decided"
    assert "add `neighbours` under stages" in found.findings[0].sentence


def test_the_test_images_decide_where_training_images_meet_every_class_too() -> None:
    groups = [replace(group, conditions="all") for group in CONTEXT.groups]
    found = classified((0.1, 0.02, 0.2), context=replace(CONTEXT, groups=groups))
    assert found.headline == "Yes"


# Compressed sensing


def restored(group: str, differences: dict[int, Bounds]) -> list[SummaryRow]:
    keys: dict[str, Any] = {"group": group, "condition": "own"}
    return [
        row("sensing_psnr_difference", *difference, against=f"m = {measurements}", **keys)
        for measurements, difference in differences.items()
    ]


def test_restoration_is_judged_on_training_images_at_every_number_of_measurements() -> None:
    train = restored(
        "train", {392: (-5.3, -6, -4.5), 98: (0.1, -0.5, 0.7), 24: (1.5, 1, 2), 49: (1.1, 0.5, 1.5)}
    )
    generated = restored("generated", {24: (12, 11, 13), 392: (8, 7, 9)})
    found = verdict("restores", *train, *generated, *restored("test", {24: (3, 2, 4)}))
    assert found.headline == "Yes for m = 24, 49, not decided for m = 98, no for m = 392"
    assert found.tone == "open"
    words = "1.50 [1.00, 2.00] dB at m = 24, 1.10 [0.50, 1.50] dB at m = 49 (paired, N = 64)"
    assert words in found.findings[0].sentence.replace(NO_BREAK, " ")
    assert [finding.primary for finding in found.findings] == [True, True, True, False]
    assert "generated" in found.findings[-1].sentence


WORSE = {4: (-1.0, -2.0, -0.5), 8: (-2.0, -3.0, -1.0)}


@pytest.mark.parametrize(
    ("null", "answer", "words"),
    [
        ({}, "Not decided", REMEDY),
        ({16: (3.0, 2.0, 4.0)}, "Not decided", REMEDY),
        (WORSE, "Not decided", SAME),
        ({4: (3.0, 2.0, 4.0), 8: (-1.0, -2.0, -0.5)}, "Not decided", SAME),
        ({4: (3.0, 2.0, 4.0), 8: (2.0, 1.0, 3.0)}, "No", "own images (generated)"),
    ],
)
def test_worse_restorations_are_held_against_its_own_images(
    null: dict[int, Bounds], answer: str, words: str
) -> None:
    found = verdict("restores", *restored("train", WORSE), *restored("generated", null))
    assert found.headline == answer
    assert words in found.findings[0].sentence


def test_the_control_itself_is_not_asked_for_a_null() -> None:
    found = verdict("restores", *restored("train", WORSE), *restored("generated", WORSE))
    assert not found.findings[-1].primary
    assert REMEDY not in found.findings[-1].sentence


# Rules of all questions


ZERO = {
    "manifold": [
        row("reconstruction_ratio", 12, 12, 12, group="train", against="generated"),
        row("reconstruction_mse_median", *VISIBLE, group="train"),
        *null_errors(),
    ],
    "nearer": [auc((0.9, 0.9, 0.9))],
    "denser": [auc((0.9, 0.9, 0.9), condition="marginal", method="likelihood")],
    "likeliest": [row("density_lead", 30, 30, 30, group="train", against="MNIST")],
    "typical": deviations((1, 1, 1), 0.5),
    "classifies": [
        row("accuracy_likelihood", 0.7, 0.6, 0.8, group="test", condition="every class"),
        *against_neighbour("test", (0.1, 0.1, 0.1)),
    ],
    "restores": restored("train", {4: (3, 3, 3)}),
}


@pytest.mark.parametrize("key", ZERO)
def test_an_interval_without_width_decides_nothing(key: str) -> None:
    assert verdict(key, *ZERO[key]).answer == "undecided"


@pytest.mark.parametrize("key", ZERO)
def test_a_missing_interval_decides_nothing(key: str) -> None:
    rows = [replace(each, low=math.nan, high=math.nan) for each in ZERO[key]]
    assert verdict(key, *rows).answer == "undecided"


def test_a_question_does_not_move_to_another_group() -> None:
    near = (1.0, 0.8, 1.2)
    of_test = {
        "manifold": manifold(near, group="test"),
        "typical": verdict("typical", *deviations((1, -2, 4), 0.5, group="test")),
    }
    for found in of_test.values():
        assert found.headline == "Not decided"
        own, *others = found.findings
        assert own.primary
        assert "There is no result about train images" in own.sentence
        assert [(each.primary, each.answer) for each in others] == [(False, "yes")]


def outliers(*groups: str) -> ReduceContext:
    more = [GroupInfo(group, "outlier", "all") for group in groups]
    return replace(CONTEXT, groups=[*CONTEXT.groups, *more])


# A p-value of .022 alone.
WEAK = (0.70, 0.53, 0.83)


def test_the_decisions_of_a_report_share_one_error_rate() -> None:
    context = outliers("a", "b", "c")
    weak = [auc(WEAK, group=group) for group in ("a", "b", "c")]
    found = verdict("nearer", auc((0.99, 0.95, 0.999)), *weak, context=context)
    assert [finding.answer for finding in found.findings] == ["no", *["undecided"] * 3]
    assert "not as one of 4 decisions that share an error rate of 5%" in found.findings[1].sentence
    assert "Alone it would be decided" not in found.findings[0].sentence
    # Two are few enough: the smaller one twice is below 5%, and the other once.
    found = verdict("nearer", auc(WEAK), auc(WEAK, group="a"), context=context)
    assert found.headline == "No"


def test_the_generators_of_a_report_share_it_too() -> None:
    weak = (0.70, 0.525, 0.83)
    context = replace(CONTEXT, generators=[GENERATOR, replace(GENERATOR, name="h")])
    rows = [auc(weak), auc(weak, generator="h")]
    both = judge(context, Summary(summary_table(rows, METRICS)))
    assert {name: each[0].headline for name, each in both.items()} == {
        "g": "Not decided",
        "h": "Not decided",
    }
    assert verdict("nearer", rows[0]).headline == "No"


def test_findings_that_are_not_primary_do_not_count_among_the_decisions() -> None:
    beside = deviations((-30, -35, -25), 0.001, group="test")
    found = verdict("typical", *deviations((-3, -6, 1), 0.02), *beside, *typical_null(alike=0.02))
    assert [finding.primary for finding in found.findings] == [True, False]
    assert found.headline == "No"


SCALES: list[Any] = [(lambda value: value), logit, log_scale]


@pytest.mark.parametrize("scale", SCALES)
def test_the_p_value_agrees_with_the_interval(scale: Any) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        low, value, high = np.sort(rng.uniform(0.02, 0.98, 3))
        threshold = rng.uniform(0.01, 0.99)
        p_value = side_p_value(Estimate(value, low, high, 64, None), threshold, scale)
        assert p_value is not None
        assert (p_value < 0.05) == (not low <= threshold <= high)


@pytest.mark.parametrize("value", [(0.6, 0.6, 0.6), (0.6, math.nan, math.nan)])
def test_no_interval_has_no_p_value(value: Bounds) -> None:
    assert side_p_value(Estimate(*value, 64, None), 0.5) is None


@pytest.mark.parametrize("value", [(1.0, 0.92, 1.0), (0.0, 0.0, 0.08)])
def test_the_p_value_of_groups_that_separate(value: Bounds) -> None:
    estimate = Estimate(*value, 44, None)
    outside, inside = (0.91, 0.93) if value[0] else (0.09, 0.07)
    for threshold in (outside, inside):
        p_value = side_p_value(estimate, threshold, logit)
        assert p_value is not None
        assert (p_value < 0.05) == (threshold == outside)


def test_groups_that_separate_completely_survive_the_correction() -> None:
    separate = [auc((1.0, 0.92, 1.0), group=group) for group in ("MNIST", "a")]
    found = verdict("nearer", *separate, context=outliers("a"))
    assert found.headline == "No"


def test_mixed_findings_keep_the_names_of_their_groups() -> None:
    rows = [auc(HIGH), auc(LOW, group="flat"), auc(HIGH, "null", group="flat")]
    found = verdict("nearer", *rows, context=outliers("flat"))
    assert found.headline == "No for MNIST, yes for flat"
    assert found.tone == "open"


def test_no_stages_no_verdicts() -> None:
    assert judge(CONTEXT, Summary(summary_table([], METRICS))) == {"g": []}


def test_sandwich_speaks_for_the_models_own_images() -> None:
    keys = {"group": "simulated", "condition": "own"}
    summary = Summary(
        summary_table(
            [
                row("sandwich_gap", 0.4, 0.3, 0.5, **keys),
                row("sandwich_gap_bits_per_dim", 0.009, 0.007, 0.011, **keys),
            ],
            METRICS,
        )
    )
    (sentence,) = sandwich_sentences(View(CONTEXT, summary, GENERATOR))
    assert f"0.400 [0.300,{NO_BREAK}0.500] nats" in sentence
    assert "of the model's own images alone" in sentence


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-12.345, "−12.3"),
        (12345.6, "12,346"),
        (0.00123456, "0.00123"),
        (1.234e-7, "1.23e−7"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (999.96, "1,000"),
    ],
)
def test_numbers_for_readers(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0332, "p = 0.033"), (1e-6, "p = 1.0e−6"), (9e-7, "p under 1e−6"), (1e-308, "p under 1e−6")],
)
def test_a_p_value_next_to_0_is_not_written_out(value: float, text: str) -> None:
    assert p_value_words(value) == text
    assert p_values("p").written(value).text == text.removeprefix("p ").removeprefix("= ")


@pytest.mark.parametrize(
    ("p_value", "answer"), [(0.0005, "No"), (0.4, "Not decided")], ids=["longer", "as long"]
)
def test_latents_that_the_prior_calls_unlikely_make_data_atypical(
    p_value: float, answer: str
) -> None:
    """Where the densities alone decide nothing."""
    rows = [*deviations((-3, -8, 2), 0.4), *typical_null(alike=0.6)]
    latents = row("latent_p_null", p_value, group="train", condition="own", against="null")
    found = verdict("typical", *rows, latents)
    assert found.headline == answer
    assert "need latents of the same length" in found.findings[0].sentence
    reason = found.findings[0].measured
    assert (reason is not None and "latents longer or shorter" in reason) == (answer == "No")


def in_turn(*names: str) -> ReduceContext:
    groups = [
        replace(each, conditions="in_turn") if each.name in names else each
        for each in CONTEXT.groups
    ]
    return replace(CONTEXT, groups=groups)


def test_data_under_classes_in_turn_answer_nothing() -> None:
    ratio = row("reconstruction_ratio", *FAR, group="train", against="generated", condition="own")
    test = row("reconstruction_ratio", *FAR, group="test", against="generated", condition="own")
    auc = row(
        "outlier_auc_reconstruction", 0.1, 0.05, 0.2, group="MNIST", against="test", condition="own"
    )
    lead = [
        row("density_lead_given", 9, 8, 10, group="MNIST", against="train", condition="own"),
        row("density_lead", 9, 8, 10, group="MNIST", against="simulated", condition="own"),
    ]

    def judged(context: ReduceContext, *rows: SummaryRow) -> list[Verdict]:
        return judge(context, Summary(summary_table(rows, METRICS)))["g"]

    assert [each.key for each in judged(CONTEXT, ratio, *lead)] == ["manifold", "likeliest"]
    assert judged(in_turn("train"), ratio, *lead) == []
    assert judged(in_turn("test"), auc) == []
    # The question does not move to the test images.
    (found,) = judged(in_turn("train"), ratio, test)
    assert found.answer == "undecided"
    assert "their own classes are not known" in found.findings[0].sentence
    # An unconditional generator has no classes to assign.
    alone = replace(in_turn("train"), generators=[replace(GENERATOR, num_classes=0)])
    assert [each.key for each in judged(alone, ratio)] == ["manifold"]
