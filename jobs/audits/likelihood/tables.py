"""The tables about densities: how high they are, how typical, and how far to trust them."""

from collections.abc import Iterator

from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.schema import DOUBLED, MARGINAL, OWN
from ...report.summary import MISSING, Summary, number
from ...report.tables import Table, text
from ..across.typicality.question import TYPICAL_WORDS, find_deviation


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


def typicality_table(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> Table | None:
    """How ln p of every group differs from that of each reference; the null audit's beside."""
    rows = []
    for reference in context.references:
        for group in context.groups_and_null:
            deviation = find_deviation(summary, generator, group.name, reference.name)
            if deviation is None:
                continue
            keys = {"generator": generator.name, "group": group.name}
            alike = summary.find("typicality_p_null", **keys) if context.null else None
            strict = reference.role == "simulated"
            rows.append(
                [
                    group.name,
                    reference.name,
                    deviation.found.text(),
                    f"±{number(deviation.margin)}",
                    number(deviation.p_mean, 2),
                    number(deviation.p_shape, 2),
                    MISSING if alike is None or not strict else number(alike.value, 2),
                    TYPICAL_WORDS[deviation.answer],
                    str(deviation.found.n),
                ]
            )
    if not rows:
        return None
    return Table(
        "Mean ln p of a group minus that of a reference, nats, each image under its own class; "
        "p-values of equal means, of equal shapes, and of deviating as the null audit's images do",
        ["group", "against", "deviation", "margin", "p mean", "p shape", "p null", "so", "N"],
        rows,
        key="typicality",
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


def doubling_table(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> Table | None:
    """Mean and largest change of ln p by group, estimator and what was doubled."""
    rows = []
    for group in context.groups:
        for estimator, found in by_estimator(summary):
            for varied in DOUBLED:
                keys = {"generator": generator.name, "group": group.name, "against": varied}
                change = found.find("doubling_change", **keys)
                largest = found.find("doubling_change_max", **keys)
                if change is not None and largest is not None:
                    rows.append(
                        [
                            group.name,
                            estimator,
                            varied,
                            change.text(),
                            number(largest.value),
                            str(change.n),
                        ]
                    )
    if not rows:
        return None
    return Table(
        "Change of ln p when one setting is doubled, nats",
        ["group", "estimator", "doubled", "mean change", "largest change", "N"],
        rows,
        key="doubling",
    )


def by_estimator(summary: Summary) -> Iterator[tuple[str, Summary]]:
    """Each estimator's name and the summary with its densities, the trusted one first."""
    for estimator in summary.estimators:
        yield estimator or MISSING, summary.under(estimator)
