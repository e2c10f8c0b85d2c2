"""Ranking: the group whose images are likeliest on average, and by how much it leads each other."""

from collections.abc import Iterator

from .....core.statistics.leads import simultaneous_leads
from ....reduce.context import GeneratorInfo, ReduceContext
from ....reduce.emitter import Emitter
from ....reduce.groups import common_density
from ....reduce.schema import SummaryRow
from ...likelihood.densities import Densities, each_density
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
        for emit, densities, generator in each_density(context)
        for row in _leads(context, emit, densities, generator)
    ]


def _leads(
    context: ReduceContext, emit: Emitter, densities: Densities, generator: GeneratorInfo
) -> Iterator[SummaryRow]:
    groups = judged_groups(context, densities.frame, "log_likelihood", generator)
    if not groups:
        return
    condition = common_density(*groups.values())
    found = {name: values.log_density(condition) for name, values in groups.items()}
    ranked = {name: density for name, density in found.items() if len(density)}
    own = {group.name for group in context.with_role("generated", "simulated")}
    given = {name: density for name, density in ranked.items() if name not in own}
    seed = context.seed_of("lead", generator.name)
    for metric, pool in (("density_lead", ranked), ("density_lead_given", given)):
        if pool:
            leads = simultaneous_leads(pool, seed, resamples=context.resamples)
            keyed = emit.at(condition=condition, group=leads.leader)
            for other, interval in leads.over.items():
                yield keyed.at(against=other).row(metric, interval)
