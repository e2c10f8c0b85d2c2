"""A generator's sections in the report, in order."""

from collections.abc import Callable

from ..audits.across.class_densities.section import class_section
from ..audits.across.classification.section import classification_section
from ..audits.across.outliers.section import outlier_section
from ..audits.across.standing.section import standing_section
from ..audits.across.typicality.section import typicality_section
from ..audits.comparison.section import estimators_section
from ..audits.convergence.section import health_section
from ..audits.inversion.section import manifold_section, pictures_section
from ..audits.likelihood.section import density_section
from ..audits.patches.section import patch_section
from ..audits.sensing.section import sensing_section
from ..audits.sweep.section import sweep_section
from ..audits.variation.section import variation_section
from ..reduce.context import GeneratorInfo
from ..report.section import ReportContext, Section
from ..report.summary import Summary

Maker = Callable[[ReportContext, Summary, GeneratorInfo], Section]


def sections_of(
    context: ReportContext, summary: Summary, generator: GeneratorInfo
) -> list[Section]:
    """The sections that the run's stages fill, for one generator."""
    made = [maker(context, summary, generator) for maker in MAKERS]
    return [section for section in made if section.figures or section.tables]


MAKERS: tuple[Maker, ...] = (
    manifold_section,
    pictures_section,
    density_section,
    outlier_section,
    typicality_section,
    classification_section,
    class_section,
    patch_section,
    variation_section,
    sensing_section,
    standing_section,
    estimators_section,
    health_section,
    sweep_section,
)
