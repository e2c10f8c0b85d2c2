"""The table of reconstruction errors."""

from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.schema import OWN
from ...report.summary import Summary
from ...report.tables import Table, text
from ..across.outliers.methods import counted


def reconstruction_table(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> Table | None:
    """Errors and PSNR of every group under its own condition; LPIPS where it was measured."""
    metrics = {
        "reconstruction_mse_median": "median MSE",
        "reconstruction_ratio": "× generated",
        "psnr_of_mean_mse": "PSNR of mean MSE, dB",
        "psnr_mean": "mean PSNR, dB",
    }
    if summary.rows("reconstruction_lpips_"):
        metrics |= {
            "reconstruction_lpips_median": "median LPIPS",
            "reconstruction_lpips_ratio": "× generated in LPIPS",
        }
    rows = []
    for group in context.groups_and_null:
        keys = {"generator": generator.name, "group": group.name}
        found = [summary.find(metric, **keys, conditions=(OWN, None)) for metric in metrics]
        if found[0] is not None:
            rows.append([group.name, *[text(value) for value in found], counted(found[0])])
    if not rows:
        return None
    return Table(
        "Reconstruction by inversion" + (", each image under its own class" * _classes(generator)),
        ["group", *metrics.values(), "N"],
        rows,
        key="reconstruction",
    )


def _classes(generator: GeneratorInfo) -> bool:
    return generator.num_classes > 0
