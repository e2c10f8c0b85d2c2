"""Small real runs: Parquet parts through the shipped schemas, with numbers chosen by the tests."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from offmanifold.jobs.audits import CONCLUDERS
from offmanifold.jobs.audits.variance.halves import fitted_positions
from offmanifold.jobs.audits.variance.settings import VarianceSpec
from offmanifold.jobs.reduce.context import GeneratorInfo, GroupInfo, ReduceContext
from offmanifold.jobs.report.pictures import Render
from offmanifold.jobs.report.section import PageView, ReportContext
from offmanifold.jobs.report.summary import Summary
from offmanifold.jobs.report.table import Table
from offmanifold.jobs.results.page import AuditReport, make_report
from offmanifold.jobs.results.reduction import reduce_run
from offmanifold.workers.schema import STATUS_OK

from tests.run_contexts import context_of, tables_in

from ...registered import TABLES

Rows = list[dict[str, Any]]
CLASSES = 4
SHAPE = (1, 8, 8)
COUNTS = {
    "train": 48,
    "test": 60,
    "generated": 40,
    "simulated": 56,
    "single_colour": 40,
    "natural_patches": 40,
}
ROLES = {"single_colour": "outlier", "natural_patches": "outlier"}
# Mean ln p under the own class and mean squared error, by group; other classes are worse. Single
# colours are denser than the data, but not than the model's own samples.
LEVELS = {
    "train": (60.0, 0.010),
    "test": (55.0, 0.012),
    "generated": (98.0, 0.0004),
    "simulated": (72.0, 0.004),
    "single_colour": (68.0, 0.002),
    "natural_patches": (5.0, 0.030),
}
# The null audit's images are as dense as the simulated ones, and as far from the manifold as noise
# of the data's variance takes them.
NULL, NULL_COUNT, NULL_MSE = "null", 64, 0.009
VARIANCE = 0.01
# How far the classical estimate lies below the guided one: the mean, and each image's part of it by
# turns, so that the median is 0.75 of the mean. The classical single colours end below the tests.
DEFICITS = {
    "train": 0.2,
    "test": 0.4,
    "generated": 0.1,
    "simulated": 0.3,
    "single_colour": 60.0,
    "natural_patches": 8.0,
}
DEFICIT_PARTS = (0.75, 0.75, 0.75, 1.75)
# Change of ln p by estimator and what was doubled; the guided natural patches have not settled.
CHANGES = {
    ("guided", "transitions"): 0.2,
    ("guided", "chains"): 0.1,
    ("guided", "restarts"): 0.3,
    ("guided", "replicate"): -0.4,
    ("classical", "transitions"): 5.0,
    ("classical", "chains"): 1.5,
    ("classical", "replicate"): 2.5,
}
UNSETTLED_CHANGE = 25.0


def write_part(run_dir: Path, stage: str, rows: Rows, part: str = "0") -> Path:
    """Writes rows as a part of the stage; a row's status is ok unless it says otherwise."""
    folder = run_dir / stage
    folder.mkdir(parents=True, exist_ok=True)
    whole = [{"status": STATUS_OK, **row} for row in rows]
    path = folder / f"part-{part}.parquet"
    pq.write_table(pa.Table.from_pylist(whole, schema=TABLES[stage].arrow), path)
    return path


@dataclass
class SyntheticRun:
    """A run's rows by stage, made by :func:`synthetic_run`, before they are written."""

    run_dir: Path
    context: ReduceContext
    rows: dict[str, Rows] = field(default_factory=dict)

    def write(self) -> ReduceContext:
        """Writes every stage in two parts, and gives a context that has read none of them."""
        for stage, rows in self.rows.items():
            middle = len(rows) // 2
            write_part(self.run_dir, stage, rows[:middle], "a")
            write_part(self.run_dir, stage, rows[middle:], "b")
        return replace(self.context, tables=tables_in(self.run_dir))

    def with_context(self, **changes: Any) -> None:
        self.context = replace(self.context, **changes)


def _image_rows(group: str, generator: str, rng: np.random.Generator) -> Rows:
    rows: Rows = []
    for position in range(COUNTS[group]):
        model_made = group == "generated"
        labelled = group not in ROLES
        pixels = np.clip(rng.normal(0.5, 0.2, size=64), 0, 1)
        if group == "single_colour":
            pixels = np.full(64, rng.random())
        rows.append(
            {
                "generator": generator if model_made else None,
                "condition": position % CLASSES if model_made else None,
                "group": group,
                "image_id": f"{group}-{position:06d}",
                "label": position % CLASSES if labelled else None,
                "source": f"{group}:{position}",
                "channels": 1,
                "height": 8,
                "width": 8,
                "pixels": pixels.tolist(),
            }
        )
    return rows


def _likelihood_row(
    key: dict[str, Any], value: float, own: bool, rng: np.random.Generator
) -> dict[str, Any]:
    bound = value + abs(rng.normal(0.4, 0.1)) if own and key["group"] == "simulated" else None
    return {
        **key,
        "estimator": "guided",
        "variance": 0.01,
        "transitions": 50,
        "evaluations": 4000 + 100 * key["condition"],
        "log_likelihood": value,
        "bits_per_dim": value / (64 * np.log(2)) - 8,
        "chain_log_weights": (value + rng.normal(0, 0.3, size=4)).tolist(),
        "best_chain_share": rng.uniform(0.3, 0.6),
        "acceptance": rng.uniform(0.6, 0.7, size=4).tolist(),
        "step_size": rng.uniform(0.05, 0.2, size=4).tolist(),
        "effective_sample_size": rng.uniform(1.5, 4.0),
        "upper_bound": bound,
    }


def _guided(row: dict[str, Any], position: int) -> dict[str, Any]:
    """What guided rows say besides: every tenth outlier's best chain started from the prior."""
    outlier = row["group"] in ROLES
    best = int(np.argmax(row["chain_log_weights"]))
    component = [1, 1, 1, 1]
    component[(best + 1) % 4] = -1
    component[best] = -1 if outlier and position % 10 == 0 else 0
    return {
        **row,
        "restarts": 8,
        "settled": row["group"] != "natural_patches" or position % 5 > 0,
        "modes": 2 + position % 2,
        "chain_component": component,
        "curvature": "dense",
    }


def _classical(row: dict[str, Any], position: int, rng: np.random.Generator) -> dict[str, Any]:
    value = row["log_likelihood"] - DEFICITS[row["group"]] * DEFICIT_PARTS[position % 4]
    own = row["upper_bound"] is not None
    key = {name: row[name] for name in ("generator", "condition", "group", "image_id", "label")}
    changes = {"estimator": "classical", "transitions": 500, "evaluations": 20000}
    return {**_likelihood_row(key, value, own, rng), **changes}


def _convergence_rows(guided: dict[str, Any], classical: dict[str, Any]) -> Rows:
    bases = {"guided": guided, "classical": classical}
    rows: Rows = []
    for (estimator, varied), change in CHANGES.items():
        base = bases[estimator]
        moves = (estimator, varied, base["group"]) == ("guided", "transitions", "natural_patches")
        value = base["log_likelihood"] + (UNSETTLED_CHANGE if moves else change)
        gain = 0.75 if varied == "restarts" and base["label"] == 1 else 0.0
        probe_gain = gain if varied == "restarts" else None
        varying = {"varied": varied, "probe_gain": probe_gain}
        rows.append({**base, "log_likelihood": value, **varying})
    return rows


@pytest.fixture(scope="session")
def synthetic_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., SyntheticRun]:
    """Makes a whole run of a generator of four classes whose every number is known."""

    def make(conditions: str = "all", generator: str = "small") -> SyntheticRun:
        run_dir = tmp_path_factory.mktemp("run")
        rng, patch_rng, sensing_rng, residual_rng, null_rng = (
            np.random.default_rng(seed) for seed in range(5)
        )
        groups = [
            GroupInfo(name, ROLES.get(name, name), conditions)  # type: ignore[arg-type]
            for name in COUNTS
        ]
        context = context_of(
            groups,
            [GeneratorInfo(generator, CLASSES, SHAPE)],
            run_dir,
            7,
            null=NULL,
            levels=256,
            distance="mse",
        )
        run = SyntheticRun(run_dir, context, {stage: [] for stage in TABLES})
        for group, (density, mse) in LEVELS.items():
            images = _image_rows(group, generator, rng)
            run.rows["local_variation"] += [
                _variation_row(generator, image, patch_rng) for image in images
            ]
            if group != "simulated":
                run.rows["images"] += images
                for image in images:
                    run.rows["neighbours"] += _neighbour_rows(image, rng)
            for position, image in enumerate(images):
                own_class = position % CLASSES
                centre = density + rng.normal(0, 6)
                error = mse * np.exp(rng.normal(0, 0.4))
                classes = range(CLASSES) if conditions == "all" else [own_class]
                for condition in classes:
                    own = condition == own_class
                    worse = 0.0 if own else 9.0 + rng.normal(0, 3)
                    key = {k: image[k] for k in ("group", "image_id", "label")}
                    key |= {"generator": generator, "condition": condition}
                    row = _likelihood_row(key, centre - worse, own, rng)
                    guided, classical = _guided(row, position), _classical(row, position, rng)
                    run.rows["likelihood"].append(guided)
                    run.rows["patch_gmm"].append(_patch_row(guided, patch_rng))
                    run.rows["comparison"].append(classical)
                    if group != "simulated":
                        inverted = _inversion_row(key, error * (1 + worse / 20), rng)
                        shared = 0.0 if group == "generated" else 0.7
                        residual = _residual(inverted["mse"], shared, residual_rng)
                        run.rows["inversion"].append({**inverted, "residual": residual})
                        lpips = 3 * np.sqrt(inverted["mse"])
                        run.rows["perceptual"].append({**key, "lpips": lpips})
                    if own and position < 10:
                        run.rows["convergence"] += _convergence_rows(guided, classical)
                    if own and position < 20 and group != "simulated":
                        run.rows["sensing"] += _sensing_rows(key, error, sensing_rng)
        run.rows["patch_fit"] = [_fit_row(condition) for condition in range(CLASSES)]
        labels = [position % CLASSES for position in range(COUNTS["train"])]
        fitted = _fitted("train-{:06d}", labels)
        run.rows["variance"] = [
            _variance_row(generator, "train", VARIANCE, fitted),
            _variance_row(generator, "generated", 0.0004, []),
        ]
        run.rows["variance_fit"] = [_curve_row(generator, image_id) for image_id in fitted]
        for stage, rows in _null_rows(generator, null_rng).items():
            run.rows[stage] += rows
        run.rows["ppca"] = [_ppca_row()]
        run.rows["tuning"] = [_tuning_row(generator, index, rng) for index in range(4)]
        return run

    return make


@dataclass(frozen=True)
class WholeRun:
    """A run that is written and reduced once for all tests that only look at it."""

    context: ReduceContext
    rows: dict[str, Rows]
    table: pa.Table

    @property
    def summary(self) -> pd.DataFrame:
        """The table, for pandas."""
        return self.table.to_pandas()


@pytest.fixture(scope="session")
def whole(synthetic_run: Callable[..., SyntheticRun]) -> WholeRun:
    run = synthetic_run()
    context = run.write()
    return WholeRun(context, run.rows, reduce_run(context))


def _neighbour_rows(image: dict[str, Any], rng: np.random.Generator) -> Rows:
    """The nearest image lies in block 0 in pixels and, always of the right class, in 1 in LPIPS."""
    nearest = _neighbour_row(image, rng)
    label = image["label"]
    farther = {"nearest_label": 0 if label is None else (label + 2) % CLASSES, "distance": 2.5}
    perceptual = {"space": "lpips", "distance": nearest["distance"] / 4}
    return [
        {**nearest, "space": "pixels", "block": 0, "blocks": 2},
        {**nearest, "space": "pixels", "block": 1, "blocks": 2, **farther},
        {**nearest, "block": 0, "blocks": 2, **farther, "space": "lpips"},
        {**nearest, "block": 1, "blocks": 2, **perceptual, "nearest_label": label or 0},
    ]


def _neighbour_row(image: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    label = image["label"]
    right = rng.random() < 0.9
    nearest = 0 if label is None else (label if right else (label + 1) % CLASSES)
    key = {k: image[k] for k in ("generator", "group", "image_id", "label")}
    distance = rng.uniform(0.5, 1.0) + (0.6 if label is None else 0.0)
    return {
        **key,
        "nearest_index": 0,
        "nearest_source": "train:0",
        "nearest_label": nearest,
        "distance": distance,
        "class_distance": [distance + c for c in range(CLASSES)],
    }


def _inversion_row(key: dict[str, Any], mse: float, rng: np.random.Generator) -> dict[str, Any]:
    latent = rng.normal(size=5)
    return {
        **key,
        "mse": mse,
        "psnr": -10 * np.log10(mse),
        "distance": mse,
        "restart_distance": [mse, 2 * mse],
        "latent": latent.tolist(),
        "latent_square": float((latent**2).mean()),
        "iterations": 750,
    }


def _residual(mse: float, shared: float, rng: np.random.Generator) -> list[float]:
    """What an inversion leaves: noise, and ``shared`` of one pattern that all images lack."""
    drawn = rng.normal(size=64) + shared * np.resize([1.0, -1.0], 64)
    residual: list[float] = (drawn * np.sqrt(mse / np.mean(drawn**2))).tolist()
    return residual


def _fitted(image_id: str, labels: list[int]) -> list[str]:
    """The images of these labels that a variance is fitted to."""
    return [image_id.format(position) for position in fitted_positions(labels, VarianceSpec())]


def _variance_row(generator: str, group: str, variance: float, fitted: list[str]) -> dict[str, Any]:
    return {
        "generator": generator,
        "group": group,
        "image_id": f"{group}-variance",
        "estimator": "marginal",
        "variance": variance,
        "low": 0.97 * variance,
        "high": 1.03 * variance,
        "log_standard_error": 0.015,
        "degrees": 5.0,
        "n": max(len(fitted), 1),
        "fitted": fitted,
    }


def _curve_row(generator: str, image_id: str) -> dict[str, Any]:
    """What `variance` is fitted to; no report looks at it."""
    label = int(image_id[-6:]) % CLASSES
    key = {"generator": generator, "condition": label, "group": "train", "label": label}
    curves = {"variances": [VARIANCE], "squared_residual": [0.6], "degrees": [5.0]}
    return {**key, "image_id": image_id, **curves}


def _null_rows(generator: str, rng: np.random.Generator) -> dict[str, Rows]:
    """The null audit of a model that is right: its images are as the simulated ones.

    All of them under their own class alone, whatever the groups' conditions are.
    """
    labels = [position % CLASSES for position in range(NULL_COUNT)]
    fitted = _fitted(f"{NULL}-{generator}-{{:06d}}", labels)
    rows: dict[str, Rows] = {
        "null_fit": [],
        "null_likelihood": [],
        "null_variance": [_variance_row(generator, NULL, VARIANCE, fitted)],
    }
    density = LEVELS["simulated"][0]
    for position, label in enumerate(labels):
        key = {"generator": generator, "condition": label, "group": NULL, "label": label}
        key["image_id"] = f"{NULL}-{generator}-{position:06d}"
        mse = NULL_MSE * np.exp(rng.normal(0, 0.15))
        found = {"residual": _residual(mse, 0.0, rng)}
        square = float((rng.normal(size=5) ** 2).mean())
        rows["null_fit"].append({**key, "mse": mse, "latent_square": square, **found})
        if key["image_id"] not in fitted:
            value = density + rng.normal(0, 6)
            rows["null_likelihood"].append(_likelihood_row(key, value, False, rng))
    for position in range(COUNTS["simulated"]):
        label, value = position % CLASSES, density + rng.normal(0, 6)
        key = {"generator": generator, "condition": label, "group": "simulated", "label": label}
        key["image_id"] = f"simulated-{position:06d}"
        rows["null_likelihood"].append(_likelihood_row(key, value, False, rng))
    return rows


def _patch_row(likelihood: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """A patch model whose density is twice the generator's, with noise."""
    key = {name: likelihood[name] for name in ("generator", "condition", "group", "image_id")}
    return {
        **key,
        "label": likelihood["label"],
        "model_class": likelihood["condition"],
        "patches": 1,
        "covered": 1.0,
        "log_density": 2 * likelihood["log_likelihood"] + rng.normal(0, 6) - 400,
    }


def _fit_row(condition: int) -> dict[str, Any]:
    key = {"condition": condition, "label": condition, "group": "digits"}
    fitted = {"images": 130, "patches": 130, "iterations": 12 + condition, "converged": True}
    return {
        **key,
        **fitted,
        "image_id": f"patches-{condition:04d}",
        "components": 2,
        "covariance_floor": 1e-3,
        "patch_mean": "kept",
        "mean_log_density": 80.0,
    }


def _variation_row(
    generator: str, image: dict[str, Any], rng: np.random.Generator
) -> dict[str, Any]:
    model_made = image["group"] in ("generated", "simulated")
    flat = image["group"] == "single_colour"
    return {
        **{name: image[name] for name in ("group", "image_id", "label")},
        "generator": generator if model_made else None,
        "mean_floor": 0.05,
        "patches": 1,
        "covered": 1.0,
        "variation": 0.0 if flat else rng.uniform(0.2, 1.5),
    }


def _sensing_rows(key: dict[str, Any], mse: float, rng: np.random.Generator) -> Rows:
    """At more measurements an image comes back better, by pPCA more so than by the generator."""
    rows: Rows = []
    for measurements, factor, gaussian in ((4, 4.0, 8.0), (32, 1.0, 0.5)):
        psnr = -10 * np.log10(factor * mse)
        theirs = gaussian * mse * np.exp(rng.normal(0, 0.1))
        rows.append(
            {
                **key,
                "measurements": measurements,
                "objective": rng.uniform(5, 9),
                "mse": factor * mse,
                "psnr": psnr,
                "oracle_psnr": psnr + 1,
                "restart_objective": [10.0, 5.0],
                "restart_psnr": [psnr + 1, psnr],
                "ppca_mse": theirs,
                "ppca_psnr": -10 * np.log10(theirs),
                "latent": rng.normal(size=5).tolist(),
            }
        )
    return rows


def _ppca_row() -> dict[str, Any]:
    return {
        "group": "reference",
        "image_id": "digits:train",
        "n": 48,
        "mean": [0.5] * 64,
        "components": np.eye(64)[:2].ravel().tolist(),
        "eigenvalue": [0.2, 0.1],
        "noise_variance": 0.01,
    }


def _tuning_row(generator: str, index: int, rng: np.random.Generator) -> dict[str, Any]:
    beta = np.linspace(0, 1, 20)
    return {
        "generator": generator,
        "condition": index % CLASSES,
        "group": "train",
        "image_id": f"train-{index:06d}",
        "label": index % CLASSES,
        "variance": 0.01,
        "beta": beta.tolist(),
        "step_size": (0.5 / (1 + 40 * beta) * np.exp(rng.normal(0, 0.1, size=20))).tolist(),
        "acceptance": rng.uniform(0.55, 0.75, size=20).tolist(),
    }


@pytest.fixture(autouse=True)
def _painted_alone() -> None:
    """Here figures are laid out and written too."""


@pytest.fixture
def part_writer() -> Callable[..., Path]:
    """:func:`write_part`, for tests that write a table of their own."""
    return write_part


def headers(table: Table) -> list[str]:
    """The headers of a table's columns."""
    return [column.title for column in table.columns]


def texts(table: Table) -> list[list[str]]:
    """A table's rows as readers see them."""
    return [[cell.text for cell in row] for row in table.written]


SPEC = "name: small-audit\nseed: 7\n"


def render(_generator: str, latents: np.ndarray, conditions: np.ndarray | None) -> np.ndarray:
    """Flat images whose grey is the class's, so that a picture shows what it was made from."""
    grey = np.zeros(len(latents)) if conditions is None else conditions / CLASSES
    return np.broadcast_to(grey[:, None, None, None], (len(latents), 1, 8, 8))


def page_view(
    context: ReduceContext, summary: Summary, generator: GeneratorInfo, render: Render = render
) -> PageView:
    """What a section of the report is made from."""
    return PageView(context, summary, generator, render, SPEC, CONCLUDERS)


def report_of(context: ReduceContext, **changes: Any) -> AuditReport:
    """The report of a run, its context with ``changes``."""
    content = {
        "spec_yaml": SPEC,
        "provenance": {"offmanifold": "0", "libraries": {"torch": "2"}, "command": ["a", "b"]},
        "render": render,
        **changes,
    }
    if "summary" not in content:
        content["summary"] = reduce_run(context)
    return make_report(ReportContext(reduce=context, **content))


@pytest.fixture(scope="session")
def standard_report(whole: WholeRun) -> AuditReport:
    """The report of the whole run, made once."""
    return report_of(whole.context, summary=whole.table)
