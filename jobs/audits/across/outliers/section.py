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
            "The score is the negative log density, the reconstruction error, or the distance "
            "to the nearest training image. A model of the data should rank outliers above it. "
            "Outliers are ranked against the model's own samples too: densities against those "
            "of simulated images, reconstruction errors against those of the null audit."
        ],
        present(auc_figure(view)),
        present(outlier_table(view)),
    )
