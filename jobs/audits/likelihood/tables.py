"""The tables about densities: how high they are, how typical, and how far to trust them."""

from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.schema import MARGINAL, OWN
from ...report.summary import MISSING, Summary, by_estimator, number
from ...report.tables import Table, text


def density_table(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> Table | None:
    """Mean log density and bits per dimension of every group, by density and estimator."""
    rows = []
    for group in context.groups:
        for condition in (MARGINAL, OWN):
            for estimator, found in by_estimator(summary):
                keys = {"generator": generator.name, "group": group.name}
                nats = found.find("log_likelihood_mean", **keys, conditions=(condition,))
                bits = found.find("bits_per_dim", **keys, conditions=(condition,))
                if nats is not None:
                    rows.append(
                        [group.name, condition, estimator, nats.text(4), text(bits), str(nats.n)]
                    )
    if not rows:
        return None
    variance = summary.find("variance", generator=generator.name)
    under = "" if variance is None else f", σ² = {number(variance.value)}"
    return Table(
        f"Mean log density on [0, 1]{under}; bits per dimension are higher for denser images",
        ["group", "density", "estimator", "mean ln p, nats", "bits/dim", "N"],
        rows,
        key="density",
    )


def health_table(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> Table | None:
    """How the chains of each estimator fared, by group; columns that nothing fills are left out."""
    headers = [
        "group",
        "estimator",
        "acceptance",
        "step size",
        "effective chains",
        "best chain's share",
        "modes",
        "best from prior, %",
        "settled, %",
        "N",
    ]
    rows = []
    for group in context.groups:
        for estimator, found in by_estimator(summary):
            keys = {"generator": generator.name, "group": group.name}
            acceptance = found.find("acceptance", **keys)
            if acceptance is None:
                continue
            share = found.find("best_chain_share", **keys)
            percent = [
                MISSING if value is None else value.scaled(100).fixed(0)
                for value in (
                    found.find("prior_won_share", **keys),
                    found.find("settled_share", **keys),
                )
            ]
            rows.append(
                [
                    group.name,
                    estimator,
                    acceptance.fixed(2),
                    text(found.find("step_size", **keys)),
                    text(found.find("effective_sample_size", **keys)),
                    MISSING if share is None else share.fixed(2),
                    text(found.find("modes", **keys)),
                    *percent,
                    str(acceptance.n),
                ]
            )
    if not rows:
        return None
    kept = [i for i in range(len(headers)) if i < 2 or any(row[i] != MISSING for row in rows)]
    return Table(
        "Annealed importance sampling, mean over images (step size: median of the last ones)",
        [headers[i] for i in kept],
        [[row[i] for i in kept] for row in rows],
        key="chains",
    )
