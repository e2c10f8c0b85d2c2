"""The report's section on whether the densities can be trusted."""

from ...report.section import Section, present
from ...report.view import View
from ..likelihood.figures import tuning_figure
from ..likelihood.health_words import chain_sentences, sandwich_sentences
from ..likelihood.tables import health_table
from .figures import doubling_figures
from .tables import doubling_table, replicate_table
from .words import convergence_warnings, replicate_warnings


def health_section(view: View) -> Section:
    """The section on the chains' health and on doubled settings."""
    return Section(
        "health",
        "Can the densities be trusted?",
        [
            *[
                sentence
                for each in view.by_estimator()
                for sentence in (*sandwich_sentences(each), *chain_sentences(each))
            ],
            "For the groups that are not simulated there are further tests: estimate again with "
            "one setting doubled (transitions, chains, restarts of the search for modes), and with "
            "nothing but other seeds, and see what changes. The further restarts are a probe: "
            "half of them start at another bank's latents, half around the modes that were found. "
            "Replicates that agree can still have missed the same mode, and a probe finds less "
            "where latents are many: of outliers' estimates that were more than a nat low it found "
            "61 of 72 on decoders with 8 latents, and 34 of 55 with 16; of the others it found "
            "something on a sixth and a third.",
        ],
        present(*doubling_figures(view), tuning_figure(view)),
        present(health_table(view), doubling_table(view), replicate_table(view)),
        [
            warning
            for each in view.by_estimator()
            for warning in (*convergence_warnings(each), *replicate_warnings(each))
        ],
    )
