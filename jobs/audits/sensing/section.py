"""The report's section on compressed sensing: the curve, its table and some restored images."""

from ...reduce.schema import OWN
from ...report.section import PageView, Section, present
from ...report.table import Cell, Column, N, Table, counts, estimates, filled_table
from ...report.view import View
from .figures import restored_pictures, sensing_curve
from .reduce import sensed_groups


def sensing_section(view: PageView) -> Section:
    """How well images come back from m random measurements, beside a Gaussian prior."""
    return Section(
        "sensing",
        "Does it restore images?",
        [
            "Compressed sensing: each image is measured by m random projections with a little "
            "noise, and only these are kept. The generator restores it with the likeliest "
            "latent (MAP) of several descents, chosen by how well it explains the measurements "
            "and the prior. The oracle instead takes the descent nearest to the original, which "
            "takes the original to know.",
            "The baseline is probabilistic PCA, a Gaussian over all classes of the reference "
            "set together, given the same measurements. It is exact and needs no search, and it "
            "is not told an image's class. Generated images are the control: if they come back "
            "well, failures on other images are not due to the search.",
            "Intervals are over images; one random matrix serves them all.",
        ],
        present(sensing_curve(view), *restored_pictures(view)),
        present(_table(view)),
    )


def _table(view: View) -> Table | None:
    rows: list[list[Cell]] = [
        [
            sensed.group.name,
            sensed.measurements,
            *[
                view.find(f"sensing_{metric}", sensed.group.name, OWN, None, against=sensed.against)
                for metric in _COLUMNS
            ],
            len(sensed.rows),
        ]
        for sensed in sensed_groups(view.context, view.generator)
    ]
    generator = view.generator
    own_class = ", each image under its own class" if generator.num_classes else ""
    return filled_table(
        f"PSNR in dB of images restored from m of {generator.dimensions} measurements{own_class}",
        [Column("group"), counts("m"), *[estimates(each) for each in _COLUMNS.values()], N],
        rows,
        key="sensing",
    )


_COLUMNS = {
    "psnr_mean": "mean, generator",
    "oracle_psnr_mean": "oracle",
    "ppca_psnr_mean": "pPCA",
    "psnr_difference": "generator − pPCA, paired",
    "psnr_of_mean_mse": "of mean MSE, generator",
    "ppca_psnr_of_mean_mse": "pPCA",
}
