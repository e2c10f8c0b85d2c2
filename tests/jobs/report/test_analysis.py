"""The example in docs/analysis.py: a reader's own pandas gets the report's numbers."""

import ast
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure
from offmanifold.jobs.results.reduction import reduce_run

SCRIPT = Path(__file__).parents[3] / "docs" / "analysis.py"


@pytest.fixture(scope="module")
def analysis() -> Any:
    spec = importlib.util.spec_from_file_location("analysis", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_needs_pandas_and_matplotlib_alone() -> None:
    imported = set()
    for node in ast.walk(ast.parse(SCRIPT.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(str(node.module).split(".")[0])
    assert imported == {"argparse", "pathlib", "numpy", "pandas", "matplotlib"}


def test_it_redraws_the_reports_figures(synthetic_run: Callable[..., Any], analysis: Any) -> None:
    run = synthetic_run()
    failed = next(row for row in run.rows["inversion"] if row["group"] == "single_colour")
    failed |= {"status": "failed", "error": "no", "mse": None}
    context = run.write()
    pq.write_table(reduce_run(context), context.tables.locate("summary.parquet"))
    drawn = analysis.figures(Path(context.tables.locate()))
    assert set(drawn) == {f"small.{name}" for name in ("errors", "densities", "auc")}
    errors, densities, auc = (drawn[f"small.{name}"] for name in ("errors", "densities", "auc"))

    summary = pd.read_parquet(context.tables.locate("summary.parquet"))
    own = summary[(summary.condition == "own") & summary.estimator.isin([None, "guided"])]
    # The null audit's images are in tables of their own.
    medians = own[(own.metric == "reconstruction_mse_median") & (own.group != "null")]
    medians = medians.set_index("group")
    inversion = analysis.own_class(pd.read_parquet(context.tables.locate("inversion")))
    pd.testing.assert_series_equal(
        analysis.medians(inversion), medians.value.sort_index(), check_names=False
    )
    assert (inversion.groupby("group").size() == medians.n.sort_index()).all()
    likelihood = analysis.own_class(pd.read_parquet(context.tables.locate("likelihood")))
    means = own[own.metric == "log_likelihood_mean"].set_index("group").value
    # What the variance was fitted to is shown, and left out of the mean.
    variance = pd.read_parquet(context.tables.locate("variance"))
    fitted = set(variance[variance.group == "train"].fitted.iloc[0])
    judged = likelihood[~likelihood.image_id.isin(fitted)]
    pd.testing.assert_series_equal(
        judged.groupby("group").log_likelihood.mean(), means.sort_index(), check_names=False
    )

    assert len(errors.axes) == 5
    assert len(densities.axes) == 6
    bands = analysis.bands(own)
    assert set(bands.index) == {"generated", "simulated"}
    for name, band in bands.iterrows():
        values = likelihood[likelihood.group == name].log_likelihood
        assert (band.low + band.high) / 2 == pytest.approx(values.mean())
        assert (band.high - band.low) / 2 == pytest.approx(values.std() / 2)
    places = [text.get_text() for text in auc.axes[0].get_yticklabels()]
    scores = ("neighbours", "neighbours_lpips", "reconstruction", "reconstruction_lpips")
    assert places[:5] == [f"natural_patches, {score}" for score in ("likelihood", *scores)]
    assert all(isinstance(figure, Figure) for figure in drawn.values())


def test_images_of_one_class_each_keep_their_rows(
    synthetic_run: Callable[..., Any], analysis: Any
) -> None:
    run = synthetic_run(conditions="own")
    run.write()
    rows = pd.read_parquet(run.run_dir / "likelihood")
    assert set(analysis.own_class(rows).image_id) == set(rows.image_id)
