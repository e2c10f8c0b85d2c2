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
            "Images of the data should have the ln p that the model's own samples have (after "
            "Nalisnick et al. 2019): in the mean, and in its whole distribution, tested by "
            "permutation with the error of the fitted variance in it. Training images that the "
            "variance was fitted to are left out. Generated images have no noise and are denser "
            "by about (D − d)/2 nats than any image that has it, whatever the generator: that "
            "is the papers' reference, given for comparison. The null audit's images are the "
            "model's own samples, taken through all that the data went through."
        ],
        typicality_figures(view),
        present(typicality_table(view)),
    )
