"""The report's section on classification."""

from ....reduce.context import GeneratorInfo
from ....report.section import ReportContext, Section, present
from ....report.summary import Summary
from .figures import accuracy_figure
from .tables import accuracy_table


def classification_section(
    context: ReportContext, summary: Summary, generator: GeneratorInfo
) -> Section:
    """The section on classification: accuracies beside the nearest neighbour's."""
    return Section(
        "classification",
        "Does it classify?",
        [
            "An image is given the class under which it is most likely, or nearest to the "
            "manifold. With the true densities no classifier would do better. Accuracy on "
            "generated images is a control."
        ],
        present(accuracy_figure(context.reduce, generator, summary)),
        present(accuracy_table(context.reduce, generator, summary)),
    )
