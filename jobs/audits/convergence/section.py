"""The report's section on whether the densities can be trusted."""

from ...report.section import Section, present
from ...report.view import View
from ..likelihood.figures import tuning_figure
from ..likelihood.health_words import chain_sentences, sandwich_sentences
from ..likelihood.tables import health_table
from .figures import doubling_figures
from .tables import doubling_table, replicate_table
from .words import comparison_warnings, convergence_warnings, replicate_warnings


def health_section(view: View) -> Section:
    """The section on the chains' health and on doubled settings."""
    return Section(
        "health",
        "Can the densities be trusted?",
        [
            *sandwich_sentences(view),
            *chain_sentences(view),
            "The other groups are tested by estimating again with one setting doubled "
            "(transitions, chains, restarts of the search for modes), and with nothing but other "
            "seeds. The further restarts are a probe: half of them start at another bank's "
            "latents, half around the modes that were found. Replicates that agree can still have "
            "missed the same mode, and a probe finds less where latents are many.",
        ],
        present(*doubling_figures(view), tuning_figure(view)),
        present(health_table(view), doubling_table(view), replicate_table(view)),
        [
            *convergence_warnings(view),
            *replicate_warnings(view),
            *comparison_warnings(view),
        ],
    )
