"""The report's section on classification."""

from ....report.section import Section, present
from ....report.view import View
from .figures import accuracy_figure
from .tables import accuracy_table


def classification_section(view: View) -> Section:
    """The section on classification: accuracies beside the nearest neighbour's."""
    return Section(
        "classification",
        "Does it classify?",
        [
            "An image is given the class under which it is most likely, or nearest to the "
            "manifold. With the true densities no classifier would do better. Accuracy on "
            "generated images is a control."
        ],
        present(accuracy_figure(view)),
        present(accuracy_table(view)),
    )
