"""The report's sections on inversion: how near the manifold is, and what comes back."""

from ...report.section import PageView, Section, present
from ...report.view import View
from .figures import error_histogram
from .pictures import reconstruction_pictures
from .tables import reconstruction_table


def manifold_section(view: View) -> Section:
    """The section on reconstruction errors."""
    return Section(
        "manifold",
        "How near is the manifold?",
        [
            "Each image is inverted: a search looks for the latent whose image is nearest. If "
            "the generator had learned the data's manifold, training images would come back as "
            "well as its own."
        ],
        present(error_histogram(view)),
        present(reconstruction_table(view)),
    )


def pictures_section(view: PageView) -> Section:
    """The section of originals and reconstructions."""
    return Section(
        "pictures",
        "What comes back",
        ["Originals above, the nearest images that the generator can make below."],
        reconstruction_pictures(view),
        [],
    )
