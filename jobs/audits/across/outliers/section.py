"""The report's section on outliers."""

from ....report.section import Section, present
from ....report.view import View
from .figures import auc_figure
from .tables import outlier_table


def outlier_section(view: View) -> Section:
    """The section on outliers: AUCs of every score."""
    return Section(
        "outliers",
        "Can it tell outliers?",
        [
            "The score is the negative log density, the reconstruction error, or the distance to "
            "the nearest training image. A model of the data should rank outliers above it. Beside "
            "the data stand the model's own samples: densities are held against simulated images, "
            "reconstruction errors against those of the null audit. Intervals have DeLong's "
            "variance, averaged with the binomial one, which weighs the more the fewer images "
            "overlap; where two groups separate completely the bound is the exact binomial one of "
            "the smaller group."
        ],
        present(auc_figure(view)),
        present(outlier_table(view)),
    )
