"""A generator's sections in the report, in order; a further one is a maker and a line here."""

from collections.abc import Callable

from ..audits.across.class_densities.section import class_section
from ..audits.across.standing.section import standing_section
from ..audits.comparison.section import (
    estimator_rules,
    estimator_sentences,
    findings_table,
    gap_table,
)
from ..audits.likelihood.health_words import (
    chain_sentences,
    convergence_warnings,
    sandwich_sentences,
)
from ..audits.likelihood.tables import density_table, doubling_table, health_table, typicality_table
from ..audits.patches.section import patch_section
from ..audits.sensing.section import sensing_section
from ..audits.sweep.section import sweep_section
from ..audits.variation.section import variation_section
from ..reduce.context import GeneratorInfo
from .estimates_figure import accuracy_figure, auc_figure, tuning_figure
from .histograms import density_histograms, error_histogram
from .level_figures import ranking_figure, typicality_figures
from .pictures import reconstruction_pictures
from .section import ReportContext, Section, present
from .strips_figure import doubling_figures, gap_figure
from .summary import Summary
from .tables import accuracy_table, outlier_table, reconstruction_table

Maker = Callable[[ReportContext, Summary, GeneratorInfo], Section]


def sections_of(
    context: ReportContext, summary: Summary, generator: GeneratorInfo
) -> list[Section]:
    """The sections that the run's stages fill, for one generator."""
    made = [maker(context, summary, generator) for maker in MAKERS]
    return [section for section in made if section.figures or section.tables]


def _manifold(context: ReportContext, summary: Summary, generator: GeneratorInfo) -> Section:
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


def _pictures(context: ReportContext, summary: Summary, generator: GeneratorInfo) -> Section:
    del summary
    return Section(
        "pictures",
        "What comes back",
        ["Originals above, the nearest images that the generator can make below."],
        reconstruction_pictures(context.reduce, generator, context.render),
        [],
    )


def _density(context: ReportContext, summary: Summary, generator: GeneratorInfo) -> Section:
    return Section(
        "density",
        "How dense are the groups?",
        [
            "ln p(x) of the generator with Gaussian observation noise, by annealed importance "
            "sampling: a lower bound on average, stochastic, tight as the number of transitions "
            "grows. " + _density_rule(generator),
            *estimator_rules(summary),
        ],
        [
            *present(ranking_figure(context.reduce, generator, summary)),
            *density_histograms(context.reduce, generator, summary),
        ],
        present(density_table(context.reduce, generator, summary)),
    )


def _density_rule(generator: GeneratorInfo) -> str:
    if not generator.num_classes:
        return "The generator is unconditional."
    return (
        "The marginal density takes classes as equally likely and needs every class; the own "
        "density is that under an image's own class, where outliers take the classes in turn. "
        "Groups are only compared under the same one."
    )


def _outliers(context: ReportContext, summary: Summary, generator: GeneratorInfo) -> Section:
    return Section(
        "outliers",
        "Can it tell outliers?",
        [
            "The score is the negative log density, the reconstruction error, or the distance to "
            "the nearest training image. A model of the data should rank outliers above it. Beside "
            "the data stand the model's own samples: densities are held against simulated images, "
            "reconstruction errors against those of the null audit. Intervals have DeLong's "
            "variance, averaged with the binomial one, which weighs the more the fewer images "
            "overlap; where two groups separate completely the bound is the exact binomial one of "
            "the smaller group."
        ],
        present(auc_figure(context.reduce, generator, summary)),
        present(outlier_table(context.reduce, generator, summary)),
    )


def _classification(context: ReportContext, summary: Summary, generator: GeneratorInfo) -> Section:
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


def _typicality(context: ReportContext, summary: Summary, generator: GeneratorInfo) -> Section:
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
        typicality_figures(context.reduce, generator, summary),
        present(typicality_table(context.reduce, generator, summary)),
    )


def _estimators(context: ReportContext, summary: Summary, generator: GeneratorInfo) -> Section:
    return Section(
        "estimators",
        "Does the estimator matter?",
        [
            "The same images by both estimators. Each gives on average no more than the true "
            "ln p, so where they differ by more than chance the higher one is nearer to it.",
            *estimator_sentences(context.reduce, generator, summary),
        ],
        present(gap_figure(context.reduce, generator)),
        [
            *present(gap_table(context.reduce, generator, summary)),
            *present(findings_table(context.reduce, generator, summary)),
        ],
    )


def _health(context: ReportContext, summary: Summary, generator: GeneratorInfo) -> Section:
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


MAKERS: tuple[Maker, ...] = (
    _manifold,
    _pictures,
    _density,
    _outliers,
    _typicality,
    _classification,
    class_section,
    patch_section,
    variation_section,
    sensing_section,
    standing_section,
    _estimators,
    _health,
    sweep_section,
)
