"""The report: one HTML file that needs no network, no script and no other file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import jinja2
import pyarrow as pa
import yaml

from ..reduce.context import GeneratorInfo, ReduceContext
from ..reduce.densities import trusted_estimator
from .density_tables import density_table, doubling_table, health_table, typicality_table
from .estimates_figure import auc_figure, tuning_figure
from .estimators import estimator_rules, estimator_sentences, findings_table, gap_table
from .figure import Figure
from .health import chain_sentences, convergence_warnings, sandwich_sentences
from .histograms import density_histograms, error_histogram
from .pictures import Render, reconstruction_pictures
from .strips_figure import doubling_figures, gap_figure
from .summary import Summary
from .tables import (
    Table,
    accuracy_table,
    failure_counts,
    failure_list,
    group_table,
    outlier_table,
    reconstruction_table,
)
from .verdict import Verdict
from .verdicts import judge

Part = TypeVar("Part", Figure, Table)


@dataclass(frozen=True)
class ReportContext:
    """Everything a report is made of.

    ``render(generator, latents [N, d], class indices [N] or None)`` gives images [N, C, H, W].
    """

    reduce: ReduceContext
    summary: pa.Table
    spec_yaml: str
    provenance: Mapping[str, Any]
    render: Render


@dataclass(frozen=True)
class Section:
    """A part of a generator's report; an empty one is left out."""

    key: str
    title: str
    text: Sequence[str]
    figures: Sequence[Figure]
    tables: Sequence[Table]
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class GeneratorReport:
    """Verdicts and sections of one generator."""

    generator: GeneratorInfo
    verdicts: Sequence[Verdict]
    sections: Sequence[Section]


def write_report(context: ReportContext) -> str:
    """The report as one self-contained HTML page."""
    summary = Summary(context.summary, trusted_estimator(context.reduce.run_dir))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    spec = yaml.safe_load(context.spec_yaml)
    name = spec.get("name") if isinstance(spec, dict) else None
    return environment.get_template("report.html").render(
        name=name or context.reduce.run_dir.name,
        reports=[
            _generator_report(context, summary, generator)
            for generator in context.reduce.generators
        ],
        groups=group_table(context.reduce),
        failures=failure_counts(summary),
        failed=failure_list(context.reduce),
        provenance=_flattened(context.provenance),
        spec_yaml=context.spec_yaml,
        resamples=context.reduce.resamples,
    )


def _generator_report(
    context: ReportContext, summary: Summary, generator: GeneratorInfo
) -> GeneratorReport:
    makers = (
        _manifold,
        _pictures,
        _density,
        _outliers,
        _classification,
        _typicality,
        _estimators,
        _health,
    )
    sections = [maker(context, summary, generator) for maker in makers]
    return GeneratorReport(
        generator,
        judge(context.reduce, summary, generator),
        [part for part in sections if part.figures or part.tables],
    )


def _manifold(context: ReportContext, summary: Summary, generator: GeneratorInfo) -> Section:
    return Section(
        "manifold",
        "How near is the manifold?",
        [
            "Each image is inverted: the latent is sought whose image is nearest. If the generator "
            "had learned the data's manifold, training images would come back as well as its own."
        ],
        _present(error_histogram(context.reduce, generator)),
        _present(reconstruction_table(context.reduce, generator, summary)),
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
        density_histograms(context.reduce, generator, summary),
        _present(density_table(context.reduce, generator, summary)),
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
            "the nearest training image. A model of the data should rank outliers above it. Where "
            "two groups separate completely no bootstrap has a width, and the interval is the "
            "exact binomial one of the smaller group, which is wider."
        ],
        _present(auc_figure(context.reduce, generator, summary)),
        _present(outlier_table(context.reduce, generator, summary)),
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
        [],
        _present(accuracy_table(context.reduce, generator, summary)),
    )


def _typicality(context: ReportContext, summary: Summary, generator: GeneratorInfo) -> Section:
    return Section(
        "typicality",
        "Are the data typical?",
        [
            "Nearly all sets that the model would draw have a mean ln p inside its typical band "
            "(Nalisnick et al. 2019; entropy and band from disjoint halves). Against simulated "
            "images, which carry the observation noise, the test is strict. Generated images have "
            "no noise and are denser by about D/2 nats, so against them the data look atypical "
            "more easily: that is the paper's test, given for comparison."
        ],
        [],
        _present(typicality_table(context.reduce, generator, summary)),
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
        _present(gap_figure(context.reduce, generator)),
        [
            *_present(gap_table(context.reduce, generator, summary)),
            *_present(findings_table(context.reduce, generator, summary)),
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
            *_present(tuning_figure(context.reduce, generator)),
        ],
        [
            *_present(health_table(context.reduce, generator, summary)),
            *_present(doubling_table(context.reduce, generator, summary)),
        ],
        [
            warning
            for each in sides
            for warning in convergence_warnings(each, context.reduce, generator)
        ],
    )


def _present(part: Part | None) -> list[Part]:
    return [] if part is None else [part]


def _flattened(value: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [
            entry
            for key, inner in value.items()
            for entry in _flattened(inner, f"{path}.{key}" if path else str(key))
        ]
    if isinstance(value, list | tuple):
        return [(path, ", ".join(str(inner) for inner in value))]
    return [(path, "–" if value is None else str(value))]
