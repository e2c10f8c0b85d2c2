"""Reducers over real Parquet runs, against numbers computed from the rows by other means."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from offmanifold.core.statistics.outliers import marginal_auc
from offmanifold.core.statistics.proportions import mcnemar_mid_p, proportion_interval
from offmanifold.jobs.audits import AUDITS, METRICS
from offmanifold.jobs.audits.neighbours.nearest import distances_by_group, read_neighbours
from offmanifold.jobs.reduce.context import GeneratorInfo, GroupInfo
from offmanifold.jobs.reduce.parts import RunTableError
from offmanifold.jobs.reduce.schema import SUMMARY
from offmanifold.jobs.results.reduction import reduce_run
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

from tests.run_contexts import context_of

from .conftest import WholeRun

# A sweep is a run of its own, and these have tests of theirs.
OF_OTHER_RUNS = {
    "sweep",
    "class_shares",
    "diversity",
    "copies",
    "feature_copies",
    "support",
    "distances",
    "explanation",
    "latent_paths",
    "segments",
    "collapse",
}

CLASSES = 4


def pick(summary: pd.DataFrame, metric: str, **keys: str | None) -> pd.Series:
    """The one row of a metric with these keys; None asks for null. Densities are guided."""
    rows = summary[summary["metric"] == metric]
    if "estimator" not in keys:
        rows = rows[rows["estimator"].isna() | (rows["estimator"] == "guided")]
    for key, value in keys.items():
        rows = rows[rows[key].isna() if value is None else rows[key] == value]
    assert len(rows) == 1, f"{metric} {keys}: {len(rows)} rows"
    return rows.iloc[0]


def matrix(rows: list[dict[str, Any]], group: str, column: str) -> np.ndarray:
    frame = pd.DataFrame([row for row in rows if row["group"] == group])
    return frame.pivot(index="image_id", columns="condition", values=column).to_numpy()


def judged_rows(rows: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The likelihood's rows without the training images that the variance was fitted to."""
    fitted = set(rows["variance"][0]["fitted"])
    return [row for row in rows["likelihood"] if row["image_id"] not in fitted]


def own_densities(rows: list[dict[str, Any]], group: str) -> np.ndarray:
    """Ln p of a group's images under their own class; outliers take the classes in turn."""
    values = matrix(rows, group, "log_likelihood")
    images = sorted({row["image_id"] for row in rows if row["group"] == group})
    return values[np.arange(len(values)), [int(image[-6:]) % CLASSES for image in images]]


@pytest.fixture
def run(synthetic_run: Callable[..., Any]) -> Any:
    return synthetic_run()


def test_summary_has_the_schema_and_only_defined_metrics(run: Any) -> None:
    table = reduce_run(run.write())
    assert table.schema.equals(SUMMARY)
    summary = table.to_pandas()
    elsewhere = {
        name
        for audit in AUDITS
        if audit.name in OF_OTHER_RUNS
        for name in (*audit.metrics, *(f"failed_rows_{stage.name}" for stage in audit.stages))
    }
    assert set(summary["metric"]) == set(METRICS) - elsewhere
    key = ["metric", "generator", "condition", "group", "against", "estimator"]
    assert not summary.duplicated(key).any()
    bounded = summary[summary["low"].notna()]
    assert (bounded["low"] <= bounded["value"]).all()
    assert (bounded["value"] <= bounded["high"]).all()
    # Parts come in the order of their ids, which depend on where the inputs lie.
    for part in run.run_dir.glob("*/part-a.parquet"):
        part.rename(part.with_name("part-z.parquet"))
    assert reduce_run(run.context).equals(table)


@pytest.mark.parametrize(
    ("metric", "leader", "others"),
    [
        ("density_lead", "generated", {"train", "test", "simulated"}),
        ("density_lead_given", "single_colour", {"train", "test"}),
    ],
)
def test_ranking(whole: WholeRun, metric: str, leader: str, others: set[str]) -> None:
    summary = whole.summary
    rows = summary[(summary["metric"] == metric) & (summary["estimator"] == "guided")]
    assert set(rows["group"]) == {leader}
    assert others <= set(rows["against"])
    assert leader not in set(rows["against"])
    judged = judged_rows(whole.rows)
    found = {
        group: logsumexp(matrix(judged, group, "log_likelihood"), axis=1) - np.log(CLASSES)
        for group in (leader, *rows["against"])
    }
    assert len(found["train"]) == 24
    lead = pick(summary, metric, group=leader, against="train")
    assert lead["condition"] == "marginal"
    assert lead["value"] == pytest.approx(found[leader].mean() - found["train"].mean())
    # One group is far ahead: its leads hold at once, as Dunnett's of normal densities do.
    errors = np.array([values.std(ddof=1) / np.sqrt(len(values)) for values in found.values()])
    drawn = np.random.default_rng(0).normal(size=(20000, len(errors))) * errors
    ratios = np.abs(drawn[:, :1] - drawn[:, 1:]) / np.hypot(errors[0], errors[1:])
    width = np.quantile(ratios.max(axis=1), 0.95)
    error = np.hypot(errors[0], errors[list(found).index("train")])
    assert lead["high"] - lead["low"] == pytest.approx(2 * width * error, rel=0.05)


def test_reconstruction(whole: WholeRun) -> None:
    summary = whole.summary
    errors = {
        group: matrix(whole.rows["inversion"], group, "mse") for group in ("train", "generated")
    }
    own = {group: m[np.arange(len(m)), np.arange(len(m)) % CLASSES] for group, m in errors.items()}
    row = pick(summary, "reconstruction_mse_median", group="train", condition="own")
    assert row["value"] == pytest.approx(np.median(own["train"]))
    assert row["n"] == 48
    nearest = pick(summary, "reconstruction_mse_mean", group="train", condition="nearest class")
    assert nearest["value"] == pytest.approx(errors["train"].min(axis=1).mean())
    ratio = pick(
        summary, "reconstruction_ratio", group="train", against="generated", condition="own"
    )
    assert ratio["value"] == pytest.approx(np.median(own["train"]) / np.median(own["generated"]))
    psnr = pick(summary, "psnr_of_mean_mse", group="train", condition="own")
    mean_psnr = pick(summary, "psnr_mean", group="train", condition="own")
    assert psnr["value"] == pytest.approx(-10 * np.log10(own["train"].mean()))
    assert mean_psnr["value"] == pytest.approx(np.mean(-10 * np.log10(own["train"])))
    assert psnr["value"] < mean_psnr["value"]


def test_reconstruction_in_lpips(whole: WholeRun) -> None:
    summary = whole.summary
    found = {
        group: matrix(whole.rows["perceptual"], group, "lpips")
        for group in ("train", "test", "generated", "single_colour")
    }
    own = {group: m[np.arange(len(m)), np.arange(len(m)) % CLASSES] for group, m in found.items()}
    middle = pick(summary, "reconstruction_lpips_median", group="train", condition="own")
    assert middle["value"] == pytest.approx(np.median(own["train"]))
    ratio = pick(
        summary, "reconstruction_lpips_ratio", group="train", against="generated", condition="own"
    )
    assert ratio["value"] == pytest.approx(np.median(own["train"]) / np.median(own["generated"]))
    inside, outside = found["test"].min(axis=1), found["single_colour"].min(axis=1)
    truth = np.repeat([0, 1], [len(inside), len(outside)])
    auc = pick(
        summary,
        "outlier_auc_reconstruction_lpips",
        group="single_colour",
        condition="nearest class",
    )
    assert auc["value"] == pytest.approx(roc_auc_score(truth, np.concatenate([inside, outside])))
    accuracy = pick(summary, "accuracy_reconstruction_lpips", group="test")
    labels = np.arange(len(found["test"])) % CLASSES
    assert accuracy["value"] == np.mean(found["test"].argmin(axis=1) == labels)


def test_an_image_that_a_block_failed_for_has_no_nearest_neighbour(run: Any) -> None:
    failed = next(
        row
        for row in run.rows["neighbours"]
        if row["group"] == "single_colour" and row["space"] == "pixels" and row["block"] == 1
    )
    kept = {key: failed[key] for key in ("generator", "group", "image_id", "label")}
    failed.clear()
    failed |= {**kept, "status": "failed", "error": "out of cheese"}
    summary = reduce_run(run.write()).to_pandas()
    keys = {"group": "single_colour", "against": "test"}
    lost, whole = (
        pick(summary, metric, **keys)
        for metric in ("outlier_auc_neighbours", "outlier_auc_neighbours_lpips")
    )
    assert (lost["n"], whole["n"]) == (39, 40)
    # The outlier that failed may be the nearest of all.
    (pixels, nearest), _ = read_neighbours(run.context.tables)
    assert pixels.method == "neighbours"
    distances = distances_by_group(nearest)
    expected = marginal_auc(distances["test"], distances["single_colour"], failed_outliers=1)
    assert [lost["low"], lost["high"]] == pytest.approx(
        [expected.interval.low, expected.interval.high]
    )


def test_outlier_auc_of_the_marginal_and_per_class(whole: WholeRun) -> None:
    summary = whole.summary
    inside = matrix(whole.rows["likelihood"], "test", "log_likelihood")
    outside = matrix(whole.rows["likelihood"], "single_colour", "log_likelihood")

    def auc(inliers: np.ndarray, outliers: np.ndarray) -> float:
        truth = np.repeat([0, 1], [len(inliers), len(outliers)])
        return float(roc_auc_score(truth, -np.concatenate([inliers, outliers])))

    keys = {"group": "single_colour", "against": "test"}
    marginal = pick(summary, "outlier_auc_likelihood", condition="marginal", **keys)
    assert marginal["value"] == pytest.approx(
        auc(logsumexp(inside, axis=1), logsumexp(outside, axis=1))
    )
    assert marginal["value"] < 0.1
    label = np.arange(len(inside)) % CLASSES
    expected = [auc(inside[label == c, c], outside[:, c]) for c in range(CLASSES)]
    averaged = pick(summary, "outlier_auc_likelihood", condition="per class mean", **keys)
    assert averaged["value"] == pytest.approx(np.mean(expected))
    pairs = pick(summary, "outlier_pairs_likelihood", condition="per class mean", **keys)
    assert pairs["value"] == len(inside) * len(outside)
    assert pairs["n"] == averaged["n"] == len(outside)
    baseline = pick(summary, "outlier_auc_neighbours", condition=None, **keys)
    assert baseline["value"] > 0.95


def test_classification_and_its_difference_from_the_neighbour(whole: WholeRun) -> None:
    summary = whole.summary
    density = matrix(whole.rows["likelihood"], "test", "log_likelihood")
    hits = density.argmax(axis=1) == np.arange(len(density)) % CLASSES
    accuracy = pick(summary, "accuracy_likelihood", group="test")
    assert accuracy["value"] == pytest.approx(hits.mean())
    neighbour = [
        row["nearest_label"] == row["label"]
        for row in whole.rows["neighbours"]
        if row["group"] == "test" and row["space"] == "pixels" and row["block"] == 0
    ]
    assert pick(summary, "accuracy_neighbours", group="test")["value"] == np.mean(neighbour)
    assert pick(summary, "accuracy_neighbours_lpips", group="test")["value"] == 1
    for against, theirs in (("1-NN in pixels", np.mean(neighbour)), ("1-NN in LPIPS", 1.0)):
        difference = pick(summary, "accuracy_difference_likelihood", group="test", against=against)
        assert difference["value"] == pytest.approx(hits.mean() - theirs)
        right = np.array(neighbour) if against == "1-NN in pixels" else np.ones(len(hits), bool)
        chance = pick(summary, "accuracy_mcnemar_p_likelihood", group="test", against=against)
        expected = mcnemar_mid_p(int(np.sum(hits & ~right)), int(np.sum(right & ~hits)))
        assert chance["value"] == pytest.approx(expected)
        assert chance["n"] == difference["n"] == len(hits)
    assert pick(summary, "ties_likelihood", group="test")["value"] == 0


def test_typicality_against_both_references(whole: WholeRun) -> None:
    summary = whole.summary
    judged = judged_rows(whole.rows)
    mine = own_densities(judged, "train")
    # Those that the variance was fitted to are left out.
    assert len(mine) == 24
    for reference in ("simulated", "generated"):
        keys = {"group": "train", "condition": "own", "against": reference}
        theirs = own_densities(judged, reference)
        found = pick(summary, "typicality_deviation", **keys)
        assert found["value"] == pytest.approx(mine.mean() - theirs.mean())
        assert found["n"] == 24
        # Wider than by the images alone: the variance is not known either.
        error = np.sqrt(mine.var(ddof=1) / 24 + theirs.var(ddof=1) / len(theirs))
        assert found["high"] - found["low"] > 2 * 1.96 * error
        margin = pick(summary, "typicality_margin", **keys)
        assert margin["value"] == pytest.approx(theirs.std(ddof=1) / 2)
        # 12 and 38 nats apart, but of one shape.
        assert pick(summary, "typicality_p_mean", **keys)["value"] < 0.001
        assert pick(summary, "typicality_p_shape", **keys)["value"] > 0.05


def test_the_null_is_typical_and_the_data_differ_from_it(whole: WholeRun) -> None:
    summary = whole.summary
    keys = {"group": "null", "condition": "own", "against": "simulated"}
    null = pick(summary, "typicality_deviation", **keys)
    mine, theirs = (
        own_densities(whole.rows["null_likelihood"], group) for group in ("null", "simulated")
    )
    assert null["n"] == len(mine) == 32
    assert null["value"] == pytest.approx(mine.mean() - theirs.mean())
    for metric in ("typicality_p_mean", "typicality_p_shape"):
        assert pick(summary, metric, **keys)["value"] > 0.05
    keys = {"group": "train", "condition": "own", "against": "null"}
    for metric in ("typicality_p_null", "reconstruction_p_null", "residual_p_null"):
        assert pick(summary, metric, **keys)["value"] < 0.01


def test_the_nulls_errors_stand_beside_the_datas(whole: WholeRun) -> None:
    summary = whole.summary
    judged = {row["image_id"] for row in whole.rows["null_likelihood"] if row["group"] == "null"}
    errors = [row["mse"] for row in whole.rows["null_fit"] if row["image_id"] in judged]
    control = pick(summary, "reconstruction_mse_median", group="generated", condition="own")
    keys = {"group": "null", "condition": "own"}
    median = pick(summary, "reconstruction_mse_median", **keys)
    assert median["value"] == pytest.approx(np.median(errors))
    assert median["n"] == 32
    ratio = pick(summary, "reconstruction_ratio", **keys, against="generated")
    assert ratio["value"] == pytest.approx(np.median(errors) / control["value"])
    # Noise has nothing in common, the data have; 1 is what white noise has.
    structure = {
        group: pick(summary, "residual_structure", group=group, condition="own")["value"]
        for group in ("null", "train")
    }
    assert structure["null"] == pytest.approx(1, abs=0.2)
    assert structure["train"] > 5
    auc = pick(summary, "outlier_auc_reconstruction", group="natural_patches", against="null")
    assert auc["condition"] == "per class mean"
    assert auc["value"] > 0.95


def test_health(whole: WholeRun) -> None:
    summary = whole.summary
    bounded = [row for row in whole.rows["likelihood"] if row["upper_bound"] is not None]
    gap = pick(summary, "sandwich_gap", group="simulated")
    expected = np.mean([row["upper_bound"] - row["log_likelihood"] for row in bounded])
    assert gap["value"] == pytest.approx(expected)
    assert gap["n"] == 56
    bits = pick(summary, "sandwich_gap_bits_per_dim", group="simulated")
    assert bits["value"] == pytest.approx(expected / (64 * np.log(2)))
    upper = pick(summary, "log_likelihood_upper", group="simulated")
    assert upper["value"] == pytest.approx(np.mean([row["upper_bound"] for row in bounded]))
    assert upper["n"] == 56
    middle = pick(summary, "sandwich_gap_median", group="simulated")
    gaps = [row["upper_bound"] - row["log_likelihood"] for row in bounded]
    assert middle["value"] == pytest.approx(np.median(gaps))
    classical = pick(summary, "sandwich_gap", group="simulated", estimator="classical")
    assert classical["value"] != gap["value"]
    assert 0.6 < pick(summary, "acceptance", group="test")["value"] < 0.7
    assert pick(summary, "variance")["value"] == 0.01


def test_own_conditions_never_make_a_marginal(synthetic_run: Callable[..., Any]) -> None:
    run = synthetic_run("own")
    summary = reduce_run(run.write()).to_pandas()
    single_classes = {f"class {index}" for index in range(4)}
    assert set(summary["condition"].dropna()) - single_classes == {"own", "per class mean"}
    assert not summary["metric"].str.startswith("accuracy_likelihood").any()
    keys = {"group": "natural_patches", "against": "test"}
    auc = pick(summary, "outlier_auc_likelihood", condition="per class mean", **keys)
    assert auc["value"] > 0.95
    deviation = pick(summary, "typicality_deviation", group="train", against="simulated")
    assert deviation["condition"] == "own"


def test_mixed_conditions_are_compared_under_the_own_class(
    synthetic_run: Callable[..., Any],
) -> None:
    run = synthetic_run("all")
    for stage in ("likelihood", "comparison", "patch_gmm"):
        run.rows[stage] = [
            row
            for row in run.rows[stage]
            if row["group"] != "simulated" or row["condition"] == row["label"]
        ]
    groups = [
        GroupInfo(g.name, g.role, "own" if g.name == "simulated" else "all")
        for g in run.context.groups
    ]
    run.with_context(groups=groups)
    summary = reduce_run(run.write()).to_pandas()
    # Also where a marginal density could be had on both sides.
    typicality = summary[summary["metric"].str.startswith("typicality_")]
    assert set(typicality["against"]) == {"simulated", "generated", "null"}
    assert set(typicality["condition"]) == {"own"}
    # A comparison of all groups needs one density that all of them have.
    leads = summary[summary["metric"] == "density_lead"]
    assert set(leads["condition"]) == {"own"}


def test_unconditional_generator(tmp_path: Path, part_writer: Callable[..., Path]) -> None:
    rng = np.random.default_rng(1)
    names = {"train": "train", "generated": "generated", "noise": "outlier"}
    keys = [
        {"generator": "g", "condition": None, "group": group, "image_id": f"{group}-{i}"}
        for group in names
        for i in range(20)
    ]
    density = {"train": 0.0, "generated": 5.0, "noise": 100.0}
    part_writer(
        tmp_path,
        "likelihood",
        [
            {
                **key,
                "log_likelihood": density[str(key["group"])] + rng.normal(),
                "acceptance": [0.5],
                "step_size": [0.1],
                "effective_sample_size": 1.0,
            }
            for key in keys
        ],
    )
    part_writer(tmp_path, "inversion", [{**key, "mse": rng.uniform(0.01, 0.02)} for key in keys])
    groups = [GroupInfo(name, role, "own") for name, role in names.items()]  # type: ignore[arg-type]
    context = context_of(groups, [GeneratorInfo("g", 0, (1, 2, 2))], tmp_path)
    summary = reduce_run(context).to_pandas()
    auc = pick(summary, "outlier_auc_likelihood", condition="marginal", against="train")
    assert auc["value"] == 0.0
    assert auc["high"] > 0.0
    pick(summary, "outlier_auc_reconstruction", condition=None, against="train")
    assert "own" not in set(summary["condition"].dropna())


def test_failed_rows_are_left_out_and_counted(run: Any) -> None:
    failed = [
        row
        for row in run.rows["likelihood"]
        if row["group"] == "test"
        and row["image_id"] in ("test-000000", "test-000001")
        and row["condition"] == 0
    ]
    for row in failed:
        row |= {"status": "failed", "error": "out of cheese"}
        for column in (
            "log_likelihood",
            "chain_log_weights",
            "acceptance",
            "step_size",
            "effective_sample_size",
            "bits_per_dim",
        ):
            row[column] = None
    summary = reduce_run(run.write()).to_pandas()
    assert pick(summary, "failed_rows_likelihood", group="test")["value"] == 2
    assert pick(summary, "failed_rows_likelihood", group="test")["n"] == 60 * CLASSES
    assert pick(summary, "incomplete_images_likelihood", group="test")["value"] == 2
    keys = {"group": "test", "generator": "small"}
    assert pick(summary, "log_likelihood_mean", condition="marginal", **keys)["n"] == 58
    # test-000001 is of class 1, whose row succeeded.
    assert pick(summary, "log_likelihood_mean", condition="own", **keys)["n"] == 59
    accuracy = pick(summary, "accuracy_likelihood", group="test")
    assert accuracy["n"] == 58
    # Both images that failed may have been right, or wrong.
    expected = proportion_interval(round(58 * accuracy["value"]), 58, failed=2)
    assert [accuracy["low"], accuracy["high"]] == pytest.approx([expected.low, expected.high])


def test_no_interval_of_the_chains_leaves_what_is_possible(run: Any) -> None:
    """One image is unlike all others: the interval of their mean reaches far."""
    rows = [row for row in run.rows["likelihood"] if row["group"] == "test"]
    for row in rows:
        little = 1e-5 * int(str(row["image_id"])[-6:])
        row["effective_sample_size"] = 1 + (little or 0.9)
        row["acceptance"] = [1 - (little or 0.9)] * len(row["acceptance"])
    summary = reduce_run(run.write()).to_pandas()
    chains = len(rows[0]["chain_log_weights"])
    size, acceptance = (
        pick(summary, metric, group="test") for metric in ("effective_sample_size", "acceptance")
    )
    assert 1 <= size["low"] <= size["value"] <= size["high"] <= chains
    assert 0 <= acceptance["low"] <= acceptance["value"] <= acceptance["high"] <= 1


def test_no_interval_of_an_error_ends_below_nothing(run: Any) -> None:
    """One image is restored far worse than all others, so that their mean may be anything."""
    for row in run.rows["inversion"]:
        if row["group"] == "test":
            row["mse"] = 1e-6 * int(str(row["image_id"])[-6:]) or 0.5
    summary = reduce_run(run.write()).to_pandas()
    keys = {"group": "test", "condition": "own"}
    error, ratio = (
        pick(summary, metric, **keys) for metric in ("reconstruction_mse_mean", "psnr_of_mean_mse")
    )
    assert 0 == error["low"] < error["value"] < error["high"]
    assert ratio["low"] < ratio["value"] < ratio["high"] == np.inf


def test_absent_stages_have_no_metrics(run: Any) -> None:
    run.rows = {stage: run.rows[stage] for stage in ("images", "inversion")}
    summary = reduce_run(run.write()).to_pandas()
    families = {metric.rsplit("_", 1)[0] for metric in summary["metric"]}
    assert not any("likelihood" in family or "typicality" in family for family in families)
    assert "reconstruction_ratio" in set(summary["metric"])


def test_a_missing_row_is_loud(run: Any) -> None:
    del run.rows["likelihood"][5]
    with pytest.raises(RunTableError, match="do not have the 4 rows"):
        reduce_run(run.write())


def test_a_doubled_row_is_loud(run: Any) -> None:
    run.rows["inversion"].append(run.rows["inversion"][0])
    with pytest.raises(RunTableError, match="1 rows occur twice"):
        reduce_run(run.write())


def test_a_convergence_row_without_its_base_is_loud(run: Any) -> None:
    run.rows["convergence"][0]["image_id"] = "stranger"
    with pytest.raises(RunTableError, match="convergence has 1 rows that likelihood lacks"):
        reduce_run(run.write())


def test_a_strange_group_is_loud(run: Any) -> None:
    run.with_context(groups=[g for g in run.context.groups if g.name != "train"])
    with pytest.raises(RunTableError, match="group 'train'"):
        reduce_run(run.write())


def test_a_part_of_another_version_is_loud(run: Any) -> None:
    import pyarrow.parquet as pq

    context = run.write()
    path = Path(context.tables.locate("inversion/part-a.parquet"))
    table = pq.read_table(path)
    metadata = {**table.schema.metadata, b"offmanifold.schema_version": b"0"}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    with pytest.raises(RunTableError, match="schema version 0"):
        reduce_run(context)
