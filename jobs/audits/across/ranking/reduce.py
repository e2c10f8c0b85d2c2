"""Ranking: the group whose images are likeliest on average, and by how much it leads each other."""

from .....core.statistics.leads import simultaneous_leads
from ....reduce.context import GeneratorInfo, ReduceContext
from ....reduce.groups import common_density
from ....reduce.schema import SummaryRow, summary_row
from ...likelihood.densities import Densities, read_densities
from ...variance.reduce import judged_groups


def reduce_ranking(context: ReduceContext) -> list[SummaryRow]:
    """Lead in mean ln p of the likeliest group over each other, by generator and estimator.

    Once among all groups, and once without the model's own images: those need no observation
    noise, or have it by construction, and so lead for a reason that says nothing of the data. The
    intervals of a leader's leads hold all at once, whichever group had led. All
    groups are under one condition, the marginal density where every group has every class.
    """
    return [
        row
        for densities in read_densities(context.tables, ["log_likelihood"])
        for generator in context.generators
        for row in _leads(context, generator, densities)
    ]


def _leads(
    context: ReduceContext, generator: GeneratorInfo, densities: Densities
) -> list[SummaryRow]:
    groups = judged_groups(context, densities.frame, "log_likelihood", generator)
    if not groups:
        return []
    condition = common_density(*groups.values())
    found = {name: values.log_density(condition) for name, values in groups.items()}
    ranked = {name: density for name, density in found.items() if len(density)}
    own = {group.name for group in context.with_role("generated", "simulated")}
    given = {name: density for name, density in ranked.items() if name not in own}
    rows = []
    for metric, pool in (("density_lead", ranked), ("density_lead_given", given)):
        if not pool:
            continue
        seed = context.seed_of("lead", generator.name)
        leads = simultaneous_leads(pool, seed, resamples=context.resamples)
        for other, interval in leads.over.items():
            rows.append(
                summary_row(
                    metric,
                    interval,
                    generator=generator.name,
                    condition=condition,
                    group=leads.leader,
                    against=other,
                    estimator=densities.estimator,
                )
            )
    return rows
