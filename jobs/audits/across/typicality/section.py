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
            "al. 2019), in the mean and in the whole distribution: tested by permutation, with "
            "the error of the fitted variance, and without the training images that it was "
            "fitted to. The null audit's images are the model's own samples, processed as the "
            "data are. Generated images have no noise: they are the papers' reference, given for "
            "comparison."
        ],
        typicality_figures(view),
        present(typicality_table(view)),
    )
