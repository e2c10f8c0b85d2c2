"""The report's sections on inversion: how near the manifold is, and what comes back."""

from ...reduce.context import GeneratorInfo
from ...report.section import ReportContext, Section, present
from ...report.summary import Summary
from .figures import error_histogram
from .pictures import reconstruction_pictures
from .tables import reconstruction_table


def manifold_section(context: ReportContext, summary: Summary, generator: GeneratorInfo) -> Section:
    """The section on reconstruction errors."""
    return Section(
        "manifold",
        "How near is the manifold?",
        [
            "Each image is inverted: the latent is sought whose image is nearest. If the generator "
            "had learned the data's manifold, training images would come back as well as its own."
        ],
        present(error_histogram(context.reduce, generator)),
        present(reconstruction_table(context.reduce, generator, summary)),
    )


def pictures_section(context: ReportContext, summary: Summary, generator: GeneratorInfo) -> Section:
    """The section of originals and reconstructions."""
    del summary
    return Section(
        "pictures",
        "What comes back",
        ["Originals above, the nearest images that the generator can make below."],
        reconstruction_pictures(context.reduce, generator, context.render),
        [],
    )
