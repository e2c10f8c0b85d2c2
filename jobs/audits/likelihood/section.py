"""The report's section on log densities."""

from ...reduce.context import GeneratorInfo
from ...report.section import Section, present
from ...report.view import View
from ...spec.evaluated import listed
from ..across.ranking.figures import ranking_figure
from .figures import density_histograms
from .tables import density_table


def density_section(view: View) -> Section:
    """The section on the groups' log densities."""
    return Section(
        "density",
        "How dense are the groups?",
        [
            "ln p(x) of the generator with Gaussian observation noise, by annealed importance "
            "sampling: a lower bound on average, stochastic, tight as the number of transitions "
            "grows. " + _density_rule(view.generator),
            *estimator_rules(view),
        ],
        present(ranking_figure(view), *density_histograms(view)),
        present(density_table(view)),
    )


def _density_rule(generator: GeneratorInfo) -> str:
    if not generator.num_classes:
        return "The generator is unconditional."
    evaluated = ""
    if generator.subset is not None:
        evaluated = (
            f"The generator was evaluated under {listed(generator.conditions)}: "
            "the marginal, classification and σ² are over these alone. "
        )
    return evaluated + (
        "The marginal density treats classes as equally likely and needs every class; the own "
        "density is that under an image's own class (outliers take the classes in turn). Groups "
        "are only compared under the same one."
    )


_ESTIMATORS: dict[str | None, str] = {
    "guided": (
        "The guided estimator starts its chains near the latents that explain an image best (the "
        "modes), which a search from many starts finds, and a few from the prior in case the "
        "search missed some."
    ),
    "classical": "The classical estimator, the papers' own, starts every chain from the prior.",
}


def estimator_rules(view: View) -> list[str]:
    """How each estimator works, and which one the report rests on."""
    estimators = view.summary.estimators
    known = [name for name in estimators if name in _ESTIMATORS]
    rules = " ".join(_ESTIMATORS[name] for name in known)
    if view.estimator is not None and len(estimators) > 1:
        rules += (
            " Verdicts, figures and tables that do not name the estimator use the "
            f"{view.estimator} one."
        )
    return [rules] if rules else []
