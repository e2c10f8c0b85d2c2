"""The wording of a verdict follows from its numbers and their interval."""

import math
from pathlib import Path
from typing import Any

import pytest
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.core.statistics.bootstrap import Interval
from offmanifold.jobs.reduce.context import GeneratorInfo, GroupInfo, ReduceContext
from offmanifold.jobs.reduce.schema import SummaryRow, summary_row, summary_table
from offmanifold.jobs.report.health import sandwich_sentences
from offmanifold.jobs.report.summary import NO_BREAK, Summary, number
from offmanifold.jobs.report.verdict import Verdict
from offmanifold.jobs.report.verdicts import judge

GENERATOR = GeneratorInfo("g", 10, (1, 8, 8))
CONTEXT = ReduceContext(
    LocalStorage(Path("unused")),
    [
        GroupInfo("train", "train", "all"),
        GroupInfo("test", "test", "all"),
        GroupInfo("generated", "generated", "all"),
        GroupInfo("simulated", "simulated", "all"),
        GroupInfo("MNIST", "outlier", "all"),
    ],
    [GENERATOR],
    seed=0,
)


def row(
    metric: str, value: float, low: float = math.nan, high: float = math.nan, **keys: str
) -> SummaryRow:
    interval = Interval(float(value), float(low), float(high), 64)
    return summary_row(metric, interval, generator="g", **keys)


def verdict(key: str, *rows: SummaryRow) -> Verdict:
    found = judge(CONTEXT, Summary(summary_table(rows)), GENERATOR)
    assert [each.key for each in found] == [key]
    return found[0]


@pytest.mark.parametrize(
    ("interval", "answer", "tone"),
    [
        ((12.0, 9.0, 15.0), "No", "bad"),
        ((1.0, 0.8, 1.2), "Yes", "good"),
        ((1.3, 1.1, 1.6), "Not decided", "open"),
    ],
)
def test_on_manifold(interval: tuple[float, ...], answer: str, tone: str) -> None:
    keys: dict[str, Any] = {"group": "train", "against": "generated", "condition": "own"}
    found = verdict("manifold", row("reconstruction_ratio", *interval, **keys))
    assert found.headline == answer
    assert found.tone == tone
    assert str(interval[0]) in found.findings[0].sentence


def test_a_poor_control_is_said() -> None:
    keys = {"condition": "own"}
    found = verdict(
        "manifold",
        row("reconstruction_ratio", 3, 2, 4, group="train", against="generated", **keys),
        row("psnr_of_mean_mse", 18.0, 17, 19, group="train", **keys),
        row("psnr_of_mean_mse", 22.0, 21, 23, group="generated", **keys),
    )
    assert "come back poorly themselves" in found.findings[0].sentence


@pytest.mark.parametrize(
    ("interval", "answer", "words"),
    [
        ((0.1, 0.05, 0.2), "Yes", "nearer to MNIST than to test"),
        ((0.9, 0.8, 0.95), "No", "nearer to test than to MNIST"),
        ((0.5, 0.4, 0.6), "Not decided", "It is open whether"),
    ],
)
def test_nearer_to_outliers(interval: tuple[float, ...], answer: str, words: str) -> None:
    keys: dict[str, Any] = {"group": "MNIST", "against": "test", "condition": "nearest class"}
    found = verdict("nearer", row("outlier_auc_reconstruction", *interval, **keys))
    assert found.headline == answer
    assert words in found.findings[0].sentence


def densities(
    auc: tuple[float, ...], gap: float, rise: dict[str, float], *more: SummaryRow
) -> Verdict:
    rows = [
        row("outlier_auc_likelihood", *auc, group="MNIST", against="test", condition="marginal"),
        row("log_likelihood_mean", 100.0 + gap, group="test", condition="own"),
        row("log_likelihood_mean", 100.0, group="MNIST", condition="own"),
    ]
    rows += [
        row(
            "doubling_change",
            change,
            change - 1,
            change + 1,
            group=group,
            condition="own",
            against="transitions",
        )
        for group, change in rise.items()
    ]
    return verdict("denser", *rows, *more)


def test_denser_outliers_that_still_rise_make_the_finding_conservative() -> None:
    found = densities((0.1, 0.05, 0.2), -50, {"test": 0.1, "MNIST": 20})
    assert found.headline == "Yes"
    assert "conservative" in found.findings[0].sentence


def test_less_dense_outliers_that_still_rise_decide_nothing() -> None:
    found = densities((0.9, 0.8, 0.95), 50, {"test": 0.1, "MNIST": 20})
    assert found.headline == "Not decided"
    assert "have not settled enough" in found.findings[0].sentence


def test_a_rise_that_is_small_against_the_gap_changes_nothing() -> None:
    found = densities((0.9, 0.8, 0.95), 500, {"test": 0.1, "MNIST": 20})
    assert found.headline == "No"
    assert "little against" in found.findings[0].sentence


def test_data_that_rise_faster_weaken_the_finding_on_outliers() -> None:
    found = densities((0.1, 0.05, 0.2), -50, {"test": 20, "MNIST": 0.1})
    assert found.headline == "Not decided"


def test_the_setting_that_speaks_most_against_the_answer_is_told() -> None:
    restarts = [
        row("doubling_change", change, change, change, group=group, against="restarts")
        for group, change in {"test": 0.0, "MNIST": 8.0}.items()
    ]
    less_dense = ((0.9, 0.8, 0.95), 50, {"test": 30, "MNIST": 0.1})
    # More transitions raise the data and so confirm the answer; more restarts do the reverse.
    assert densities(*less_dense).headline == "No"
    found = densities(*less_dense, *restarts)
    assert found.headline == "Not decided"
    assert "run more restarts" in found.findings[0].sentence


def test_settled_estimates_are_left_alone() -> None:
    found = densities((0.1, 0.05, 0.2), -5, {"test": 0.3, "MNIST": 0.9})
    assert found.headline == "Yes"
    assert "transitions" not in found.findings[0].sentence


def likeliest(*leads: tuple[str, str, str, float], rise: float = 0.0) -> Verdict:
    rows = [
        row(metric, lead, lead - 5, lead + 5, group=leader, against=other, condition="own")
        for metric, leader, other, lead in leads
    ]
    rows += [
        row("doubling_change", change, change, change, group=group, against="chains")
        for group, change in {"MNIST": rise, "train": 0.0}.items()
    ]
    return verdict("likeliest", *rows)


def test_the_likeliest_group_is_named_with_its_lead() -> None:
    found = likeliest(
        ("density_lead", "generated", "simulated", 30.0),
        ("density_lead", "generated", "train", 40.0),
        ("density_lead_given", "train", "MNIST", 20.0),
    )
    assert found.headline == "generated; of the images it did not make: train"
    assert found.tone == "good"
    assert [finding.primary for finding in found.findings] == [True, False]
    assert f"generated leads simulated by 30.0 [25.0,{NO_BREAK}35.0]" in found.findings[0].measured
    assert f"train leads MNIST by 20.0 [15.0,{NO_BREAK}25.0]" in found.findings[0].measured


def test_outliers_that_lead_speak_against_the_generator() -> None:
    found = likeliest(
        ("density_lead", "MNIST", "generated", 30.0),
        ("density_lead_given", "MNIST", "train", 40.0),
    )
    assert found.headline == "MNIST"
    assert found.tone == "bad"
    assert len(found.findings) == 1


@pytest.mark.parametrize(("lead", "rise"), [(3.0, 0.0), (30.0, 4.0)])
def test_a_lead_within_its_error_decides_nothing(lead: float, rise: float) -> None:
    found = likeliest(
        ("density_lead", "train", "MNIST", lead), ("density_lead", "train", "test", 90.0), rise=rise
    )
    assert found.headline == "train or MNIST (not decided)"
    assert found.tone == "open"
    assert "do not decide between train and MNIST" in found.findings[0].sentence


@pytest.mark.parametrize(
    ("interval", "answer"),
    [
        ((-30.0, -35.0, -25.0), "No"),
        ((1.0, -2.0, 4.0), "Yes"),
        ((-6.0, -9.0, -3.0), "Not decided"),
    ],
)
def test_typical(interval: tuple[float, ...], answer: str) -> None:
    found = verdict(
        "typical",
        row(
            "typicality_deviation",
            *interval,
            group="train",
            against="simulated",
            condition="marginal",
        ),
        row("typicality_epsilon", 5.0, group="simulated", condition="marginal"),
        row(
            "typicality_deviation", 90, 80, 99, group="train", against="generated", condition="own"
        ),
        row("typicality_epsilon", 5.0, group="generated", condition="own"),
    )
    assert found.headline == answer
    assert [finding.primary for finding in found.findings] == [True, False]
    assert "strict test" in found.findings[0].sentence
    assert "as in the paper" in found.findings[1].sentence


@pytest.mark.parametrize(
    ("interval", "answer"),
    [
        ((-0.2, -0.3, -0.1), "No"),
        ((0.1, 0.02, 0.2), "Yes"),
        ((-0.01, -0.1, 0.05), "Not decided"),
    ],
)
def test_classifies(interval: tuple[float, ...], answer: str) -> None:
    found = verdict(
        "classifies",
        row("accuracy_likelihood", 0.7, 0.6, 0.8, group="test", condition="every class"),
        row("accuracy_difference_likelihood", *interval, group="test", against="1-NN in pixels"),
        summary_row("accuracy_neighbours", Interval(0.9, 0.8, 0.95, 64), group="test"),
    )
    assert found.headline == answer
    assert "chance 10.0%" in found.findings[0].sentence


def test_mixed_findings_keep_the_names_of_their_groups() -> None:
    context = ReduceContext(
        LocalStorage(Path("unused")),
        [*CONTEXT.groups, GroupInfo("flat", "outlier", "all")],
        [GENERATOR],
        seed=0,
    )
    keys = {"against": "test", "condition": "nearest class"}
    table = summary_table(
        [
            row("outlier_auc_reconstruction", 0.9, 0.8, 0.95, group="MNIST", **keys),
            row("outlier_auc_reconstruction", 0.1, 0.05, 0.2, group="flat", **keys),
        ]
    )
    (found,) = judge(context, Summary(table), GENERATOR)
    assert found.headline == "No for MNIST, yes for flat"
    assert found.tone == "open"


def test_no_stages_no_verdicts() -> None:
    assert judge(CONTEXT, Summary(summary_table([])), GENERATOR) == []


def test_sandwich_speaks_for_the_models_own_images() -> None:
    keys = {"group": "simulated", "condition": "own"}
    summary = Summary(
        summary_table(
            [
                row("sandwich_gap", 0.4, 0.3, 0.5, **keys),
                row("sandwich_gap_bits_per_dim", 0.009, 0.007, 0.011, **keys),
            ]
        )
    )
    (sentence,) = sandwich_sentences(summary, CONTEXT, "g")
    assert f"0.400 [0.300,{NO_BREAK}0.500] nats" in sentence
    assert "own images only" in sentence


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


def restored(group: str, differences: dict[int, tuple[float, float, float]]) -> list[SummaryRow]:
    keys: dict[str, Any] = {"group": group, "condition": "own"}
    return [
        row("sensing_psnr_difference", *difference, against=f"m = {measurements}", **keys)
        for measurements, difference in differences.items()
    ]


def test_restoration_is_judged_on_training_images_at_every_number_of_measurements() -> None:
    train = restored(
        "train", {392: (-5.3, -6, -4.5), 98: (0.1, -0.5, 0.7), 24: (1.5, 1, 2), 49: (1.1, 0.5, 1.5)}
    )
    generated = restored("generated", {24: (12, 11, 13)})
    found = verdict("restores", *train, *generated, *restored("test", {24: (3, 2, 4)}))
    assert found.headline == "Yes for m = 24, 49, not decided for m = 98, no for m = 392"
    assert found.tone == "open"
    words = "1.50 [1.00, 2.00] dB at m = 24, 1.10 [0.50, 1.50] dB at m = 49 (paired, N = 64)"
    assert words in found.findings[0].sentence.replace(NO_BREAK, " ")
    assert [finding.primary for finding in found.findings] == [True, True, True, False]
    assert "generated" in found.findings[-1].sentence


def test_worse_than_a_gaussian_at_every_number_is_a_plain_no() -> None:
    found = verdict("restores", *restored("train", {4: (-1, -2, -0.5), 8: (-2, -3, -1)}))
    assert found.headline == "No"
    assert found.tone == "bad"
    assert len(found.findings) == 1
