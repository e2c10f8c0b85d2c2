"""The table of reconstruction errors."""

from ...reduce.schema import OWN
from ...report.table import Cell, Column, N, Table, estimates, filled_table
from ...report.view import View

_METRICS = {
    "reconstruction_mse_median": "median MSE",
    "reconstruction_ratio": "× generated",
    "psnr_of_mean_mse": "PSNR of mean MSE, dB",
    "psnr_mean": "mean PSNR, dB",
    "reconstruction_lpips_median": "median LPIPS",
    "reconstruction_lpips_ratio": "× generated in LPIPS",
}


def reconstruction_table(view: View) -> Table | None:
    """Errors and PSNR of every group under its own condition; LPIPS where it was measured."""
    rows: list[list[Cell]] = []
    for group in view.context.groups_and_null:
        median, *others = (view.find(metric, group.name, OWN, None) for metric in _METRICS)
        if median is not None:
            rows.append([group.name, median, *others, median.n])
    under = ", each image under its own class" if view.generator.num_classes else ""
    return filled_table(
        f"Reconstruction by inversion{under}",
        [Column("group"), *[estimates(header) for header in _METRICS.values()], N],
        rows,
        key="reconstruction",
    )
