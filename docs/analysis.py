"""Redraws three figures of a report from the Parquet of its run, with pandas and matplotlib alone.

``python docs/analysis.py RUN FOLDER`` writes <generator>.errors.png, .densities.png and
.auc.png for each generator. The tables are described in docs/tables.md.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

KEYS = ["generator", "condition", "group", "image_id", "label", "status"]
COLOURS = {
    "likelihood": "#0072b2",
    "reconstruction": "#d55e00",
    "reconstruction_lpips": "#e69f00",
    "neighbours": "#7a828c",
    "neighbours_lpips": "#4a4f57",
}
BINS = 36


def own_class(rows: pd.DataFrame) -> pd.DataFrame:
    """The row of every image under its own class; an image without a label takes them in turn.

    Groups that were evaluated under one class an image, or without classes, keep their rows.
    """
    images = rows.groupby(["generator", "group"]).image_id
    classes = rows.groupby("generator").condition.transform("nunique")
    turn = (images.rank(method="dense") - 1) % classes.clip(lower=1)
    alone = rows.groupby(["generator", "group", "image_id"]).image_id.transform("size") == 1
    kept = rows[alone | (rows.condition == rows.label.fillna(turn))]
    return kept[kept.status == "ok"].sort_values(["group", "image_id"])


def histograms(values: "pd.Series[float]", groups: "pd.Series[str]", label: str) -> Figure:
    """One row a group on a shared axis."""
    names = list(dict.fromkeys(groups))
    figure = Figure(figsize=(6, 0.8 + 0.7 * len(names)), layout="constrained")
    edges = np.linspace(values.min(), values.max(), BINS + 1)
    rows = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for axes, name in zip(rows, names, strict=True):
        mine = values[groups == name]
        axes.hist(mine, edges)
        axes.set_yticks([])
        axes.set_ylabel(
            f"{name}\nN = {len(mine)}".replace("$", r"\$"), rotation=0, ha="right", va="center"
        )
    rows[-1].set_xlabel(label)
    return figure


def errors(inversion: pd.DataFrame) -> Figure:
    """Reconstruction error by group, logarithmic, with the medians."""
    figure = histograms(np.log10(inversion.mse), inversion.group, "log10 of the mean squared error")
    for axes, (_, middle) in zip(figure.axes, medians(inversion).items(), strict=True):
        axes.axvline(np.log10(middle), color="black")
    return figure


def medians(inversion: pd.DataFrame) -> "pd.Series[float]":
    """Median error by group."""
    return inversion.groupby("group", sort=False).mse.median()


def densities(likelihood: pd.DataFrame, summary: pd.DataFrame) -> Figure:
    """Log density by group; shaded where a mean is typical of each reference."""
    figure = histograms(
        likelihood.log_likelihood, likelihood.group, "ln p(x) under the own class, nats"
    )
    for _, low, high in bands(summary).itertuples():
        for axes in figure.axes:
            axes.axvspan(low, high, alpha=0.2, color="grey")
    return figure


def bands(summary: pd.DataFrame) -> pd.DataFrame:
    """Ends of the typical band of every reference group, nats: its mean and the margin about it."""
    margins = summary[summary.metric == "typicality_margin"]
    # Unconditional generators have the marginal density alone.
    known = (summary.metric == "log_likelihood_mean") & summary.condition.isin(margins.condition)
    means = summary[known].set_index("group").value
    # The null audit's margin is under a variance of its own, as are its densities.
    margins = margins[margins.group.isin(means.index)].drop_duplicates("against")
    margin = margins.set_index("against").value
    centre = means.reindex(margin.index)
    return pd.DataFrame({"low": centre - margin, "high": centre + margin})


def auc(summary: pd.DataFrame, data: "set[str]") -> Figure:
    """AUC of outliers against the data with its interval, by group and score.

    Those against the model's own samples, which are in no table of inversions, are left out.
    """
    # The raised ones are what replicates make of the others.
    plain = summary.metric.str.match(r"outlier_auc_(?!likelihood_raised)")
    rows = summary[plain & summary.against.isin(data)]
    # The mean over classes stands in where no score over all classes could be had.
    second = rows.condition == "per class mean"
    rows = rows.assign(second=second).sort_values(["group", "metric", "second"])
    rows = rows.drop_duplicates(["group", "metric"]).reset_index(drop=True)
    figure = Figure(figsize=(6, 0.8 + 0.35 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, row in rows.iterrows():
        whiskers = [[row.value - row.low], [row.high - row.value]]
        colour = COLOURS.get(row.metric.removeprefix("outlier_auc_"), "black")
        axes.errorbar(row.value, place, xerr=whiskers, fmt="o", color=colour)
    names = rows.group + ", " + rows.metric.str.removeprefix("outlier_auc_")
    axes.set_yticks(rows.index, names.str.replace("$", r"\$"))
    axes.axvline(0.5, color="grey", linestyle="--")
    axes.invert_yaxis()
    axes.set_xlabel("AUC, outlier positive")
    return figure


def figures(run: Path) -> dict[str, Figure]:
    """The three figures of every generator, by the name of their file."""
    summary = pd.read_parquet(run / "summary.parquet")
    inversion = own_class(pd.read_parquet(run / "inversion", columns=[*KEYS, "mse"]))
    columns = [*KEYS, "estimator", "log_likelihood"]
    likelihood = own_class(pd.read_parquet(run / "likelihood", columns=columns))
    # The summary has every estimator; the verdicts rest on that of `likelihood`.
    trusted = summary.estimator.isna() | summary.estimator.isin(likelihood.estimator)
    found = {}
    for name in likelihood.generator.unique():
        # Rows of no generator are those of the data alone: the nearest neighbours'.
        mine = summary[trusted & (summary.generator.isna() | (summary.generator == name))]
        found[f"{name}.errors"] = errors(inversion[inversion.generator == name])
        found[f"{name}.densities"] = densities(likelihood[likelihood.generator == name], mine)
        found[f"{name}.auc"] = auc(mine, set(inversion.group))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures(arguments.run).items():
        figure.savefig(arguments.folder / f"{name}.png", dpi=150)
