"""The report's section on whether the densities can be trusted."""

from ...reduce.context import GeneratorInfo
from ...report.section import ReportContext, Section, present
from ...report.summary import Summary
from ..likelihood.figures import tuning_figure
from ..likelihood.health_words import chain_sentences, sandwich_sentences
from ..likelihood.tables import health_table
from .figures import doubling_figures
from .tables import doubling_table
from .words import convergence_warnings


def health_section(context: ReportContext, summary: Summary, generator: GeneratorInfo) -> Section:
    """The section on the chains' health and on doubled settings."""
    sides = [summary.under(estimator) for estimator in summary.estimators]
    return Section(
        "health",
        "Can the densities be trusted?",
        [
            *[
                sentence
                for each in sides
                for sentence in (
                    *sandwich_sentences(each, context.reduce, generator.name),
                    *chain_sentences(each, context.reduce, generator),
                )
            ],
            "For the groups that are not simulated there is one more test: estimate again with "
            "one setting doubled (transitions, chains, restarts of the search for modes) and see "
            "what changes.",
        ],
        [
            *doubling_figures(context.reduce, generator),
            *present(tuning_figure(context.reduce, generator)),
        ],
        [
            *present(health_table(context.reduce, generator, summary)),
            *present(doubling_table(context.reduce, generator, summary)),
        ],
        [
            warning
            for each in sides
            for warning in convergence_warnings(each, context.reduce, generator)
        ],
    )
