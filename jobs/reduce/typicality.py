"""Typicality: do the images of a group lie in the generator's typical set?

Against ``simulated`` images, the model's own samples under its observation model, the test is
strict. Against ``generated`` ones it is what Friedman and Weiss did: noise-free images, which have
about D/2 nats more density than samples with noise. Both are reported under their names.
"""

from dataclasses import replace

from ...core.statistics.typicality import assess_typicality, typical_band
from .context import GeneratorInfo, ReduceContext
from .densities import read_densities
from .groups import GroupValues, common_density, density_conditions, group_values
from .schema import SummaryRow, exact, summary_row

MINIMUM_SAMPLES = 4


def reduce_typicality(context: ReduceContext) -> list[SummaryRow]:
    """Every group against each reference: deviation, verdict, and the reference's band."""
    rows = []
    for densities in read_densities(context.run_dir, ["log_likelihood"]):
        for generator in context.generators:
            groups = group_values(context, densities.frame, "log_likelihood", generator)
            for reference in context.references:
                if reference.name in groups:
                    rows += [
                        replace(row, estimator=densities.estimator)
                        for row in _against(context, generator, groups, groups[reference.name])
                    ]
    return rows


def _against(
    context: ReduceContext,
    generator: GeneratorInfo,
    groups: dict[str, GroupValues],
    reference: GroupValues,
) -> list[SummaryRow]:
    rows = []
    for condition in density_conditions(reference):
        samples = reference.log_density(condition)
        if len(samples) < MINIMUM_SAMPLES:
            continue
        names = (generator.name, reference.group.name, condition)
        band = typical_band(samples, context.seed_of("band", *names), context.typicality)
        for metric, value in (
            ("typicality_entropy", band.entropy),
            ("typicality_epsilon", band.epsilon),
        ):
            rows.append(
                summary_row(
                    metric,
                    exact(value, len(samples)),
                    generator=generator.name,
                    condition=condition,
                    group=reference.group.name,
                )
            )
        for values in groups.values():
            if values is reference or common_density(values, reference) != condition:
                continue
            density = values.log_density(condition)
            if len(density) == 0:
                continue
            result = assess_typicality(
                density,
                band,
                context.seed_of("typicality", *names, values.group.name),
                resamples=context.resamples,
            )
            for metric, interval in (
                ("typicality_deviation", result.deviation),
                ("typicality_atypical", exact(float(result.atypical), len(density))),
            ):
                rows.append(
                    summary_row(
                        metric,
                        interval,
                        generator=generator.name,
                        condition=condition,
                        group=values.group.name,
                        against=reference.group.name,
                    )
                )
    return rows
