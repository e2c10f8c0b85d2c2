"""The report's section on compressed sensing: the curve, its table and some restored images."""

from ...reduce.context import GeneratorInfo
from ...reduce.schema import OWN
from ...report.section import ReportContext, Section, present
from ...report.summary import Summary
from ...report.tables import Table, text
from .figures import restored_pictures, sensing_curve
from .reduce import sensed_groups


def sensing_section(context: ReportContext, summary: Summary, generator: GeneratorInfo) -> Section:
    """How well images come back from m random measurements, beside a Gaussian prior."""
    return Section(
        "sensing",
        "Does it restore images?",
        [
            "Compressed sensing: each image is measured by m random projections with a little "
            "noise, and only these are kept. The generator restores it by the likeliest latent "
            "(MAP) of several descents, chosen by how well it explains the measurements and the "
            "prior. The oracle takes the descent that is nearest to the original instead, which "
            "only the original can tell.",
            "The baseline is probabilistic PCA, a Gaussian over all classes of the reference "
            "set together, given the same measurements. It is exact and needs no search, and it "
            "is not told an image's class. Generated images are the control: where they come back "
            "well, the search is not what fails on the others.",
            "Intervals are over images; one random matrix serves them all.",
        ],
        [
            *present(sensing_curve(context.reduce, summary, generator)),
            *restored_pictures(context.reduce, generator, context.render),
        ],
        present(_table(context, summary, generator)),
    )


def _table(context: ReportContext, summary: Summary, generator: GeneratorInfo) -> Table | None:
    rows = []
    for sensed in sensed_groups(context.reduce, generator):
        cells = [
            text(
                summary.find(
                    f"sensing_{name}",
                    generator=generator.name,
                    group=sensed.group.name,
                    against=sensed.against,
                    conditions=(OWN, None),
                )
            )
            for name in (
                "psnr_mean",
                "oracle_psnr_mean",
                "ppca_psnr_mean",
                "psnr_difference",
                "psnr_of_mean_mse",
                "ppca_psnr_of_mean_mse",
            )
        ]
        rows.append([sensed.group.name, str(sensed.measurements), *cells, str(len(sensed.rows))])
    if not rows:
        return None
    own_class = ", each image under its own class" if generator.num_classes else ""
    return Table(
        f"PSNR in dB of images restored from m of {generator.dimensions} measurements{own_class}",
        [
            "group",
            "m",
            "mean, generator",
            "oracle",
            "pPCA",
            "generator − pPCA, paired",
            "of mean MSE, generator",
            "pPCA",
            "N",
        ],
        rows,
        key="sensing",
    )
