"""What other libraries make of the features of `test_set_distances`, beside what we make of them.

    pip install torch-fidelity==0.4.0 torchmetrics==1.9.0 prdc==0.2
    python -m tests.core.statistics.other_libraries

The test holds ours against these numbers, which it has recorded. The packages are no part of the
project's environment.
"""

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from offmanifold.core.statistics.frechet import frechet_distance, kernel_distance, moments
from offmanifold.core.statistics.manifolds import manifolds

from ... import torchvision_operators  # noqa: F401
from .test_set_distances import GENERATED, REAL

# Of the row that a comparison prints: what is compared, by whom, their number, and ours.
Row = tuple[str, str, float, float]


def library(name: str) -> Any:
    """A module of a package that the project does not need."""
    return importlib.import_module(name)


def compared() -> Iterator[Row]:
    """Every number of another library with ours."""
    generated, real = torch.from_numpy(GENERATED), torch.from_numpy(REAL)
    fid = library("torch_fidelity.metric_fid")
    statistics = [fid.fid_features_to_statistics(each) for each in (generated, real)]
    (theirs,) = fid.fid_statistics_to_metric(*statistics, False).values()
    ours = frechet_distance(moments(GENERATED), moments(REAL))
    yield "frechet_distance", "torch-fidelity", float(theirs), ours
    of_both = [value for each in (generated, real) for value in (each.mean(0), each.T.cov())]
    theirs = library("torchmetrics.image.fid")._compute_fid(*of_both)
    yield "frechet_distance", "torchmetrics", float(theirs), ours

    equal = REAL[: len(GENERATED)]
    ours = kernel_distance(GENERATED, equal)
    theirs = library("torch_fidelity.metric_kid").kernel_mmd(GENERATED, equal)
    yield "kernel_distance", "torch-fidelity", float(theirs), ours
    theirs = library("torchmetrics.image.kid").poly_mmd(torch.from_numpy(equal), generated)
    yield "kernel_distance", "torchmetrics", float(theirs), ours

    found = manifolds(GENERATED, REAL)
    precision, recall = library("torch_fidelity.metric_prc").calculate_precision_recall_full(
        generated, real
    )
    yield "manifold_precision", "torch-fidelity", precision, float(found.precise.mean())
    yield "manifold_recall", "torch-fidelity", recall, float(found.recalled.mean())
    prdc = library("prdc").compute_prdc
    third, fifth = (prdc(REAL, GENERATED, neighbour) for neighbour in (3, 5))
    yield "manifold_precision", "prdc", float(third["precision"]), float(found.precise.mean())
    yield "manifold_recall", "prdc", float(third["recall"]), float(found.recalled.mean())
    yield "manifold_density", "prdc", float(fifth["density"]), float(found.density.mean())
    yield "manifold_coverage", "prdc", float(fifth["coverage"]), float(found.covered.mean())


def main() -> None:
    """Print the table."""
    print("| number | library | theirs | ours | difference |\n|---|---|---:|---:|---:|")
    for what, whose, theirs, ours in compared():
        print(f"| {what} | {whose} | {theirs!r} | {ours!r} | {np.abs(theirs - ours):.1e} |")


if __name__ == "__main__":
    main()
