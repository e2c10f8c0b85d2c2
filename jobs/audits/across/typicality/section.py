"""The report's section on typicality."""

from ....report.section import Section, present
from ....report.view import View
from .figures import typicality_figures
from .tables import typicality_table


def typicality_section(view: View) -> Section:
    """The section on typicality: deviations from the model's own samples."""
    return Section(
        "typicality",
        "Are the data typical?",
        [
            "The data should have the same ln p as the model's own samples (after Nalisnick et "
            "al. 2019), in the mean and in the whole distribution. This is tested by "
            "permutation and includes the error of the fitted variance. Training images that "
            "the variance was fitted to are left out. Generated images have no noise, and for "
            "every generator are denser than images with it by about (D − d)/2 nats: they are "
            "the papers' reference, given for comparison. The null audit's images are the "
            "model's own samples, processed in the same way as the data."
        ],
        typicality_figures(view),
        present(typicality_table(view)),
    )
