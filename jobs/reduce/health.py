"""The health of annealed importance sampling: what its numbers may be trusted for."""

import numpy as np
import pandas as pd

from ...core.statistics.bootstrap import Interval, bootstrap_interval
from ...core.statistics.classification import mean
from .context import GeneratorInfo, ReduceContext
from .reconstruction import median
from .schema import OWN, SummaryRow, exact, summary_row
from .tables import RunTableError, list_means, read_stage, succeeded

_COLUMNS = (
    "log_likelihood",
    "acceptance",
    "step_size",
    "effective_sample_size",
    "upper_bound",
)


def reduce_health(context: ReduceContext) -> list[SummaryRow]:
    """Acceptance, step size, sample size and sandwich gap, and the change when T is doubled."""
    frame = read_stage(context.run_dir, "likelihood", _COLUMNS)
    if frame is None:
        return []
    doubled = read_stage(context.run_dir, "convergence", ["log_likelihood"])
    changes = None if doubled is None else doubling_changes(frame, doubled)
    chains = succeeded(frame)
    rows = []
    for generator in context.generators:
        mine = chains[chains["generator"] == generator.name]
        for group in context.groups:
            members = mine[mine["group"] == group.name]
            if len(members):
                rows += _chain_rows(context, generator, group.name, members)
        rows += _sandwich_rows(context, generator, mine)
        if changes is not None:
            rows += _doubling_rows(
                context, generator, changes[changes["generator"] == generator.name]
            )
    return rows


def doubling_changes(likelihood: pd.DataFrame, convergence: pd.DataFrame) -> pd.DataFrame:
    """Rows that succeeded in both tables, with ``change`` = ln p at 2T - ln p at T, in nats.

    Raises:
        RunTableError: a row of ``convergence`` without one in ``likelihood``.
    """
    key = ["generator", "condition", "image_id"]
    base = likelihood[[*key, "status", "log_likelihood"]]
    pairs = convergence.merge(base, on=key, how="left", suffixes=("", "_base"))
    alone = pairs[pairs["status_base"].isna()]
    if len(alone):
        first = alone.iloc[0]
        raise RunTableError(
            f"convergence has {len(alone)} rows that likelihood lacks, the first for image "
            f"{first['image_id']} under condition {first['condition']}: the run is not complete"
        )
    both = pairs[(pairs["status"] == "ok") & (pairs["status_base"] == "ok")]
    return both.assign(change=both["log_likelihood"] - both["log_likelihood_base"])


def _chain_rows(
    context: ReduceContext, generator: GeneratorInfo, group: str, members: pd.DataFrame
) -> list[SummaryRow]:
    images = members.assign(
        acceptance=list_means(members["acceptance"]),
        step_size=np.array([np.median(sizes) for sizes in members["step_size"]]),
    )
    columns = ["acceptance", "step_size", "effective_sample_size"]
    by_image = images.groupby("image_id")[columns].mean()
    seed = context.seed_of("health", generator.name, group)
    return [
        summary_row(
            name,
            bootstrap_interval(
                by_image[name].to_numpy(np.float64), statistic, seed, resamples=context.resamples
            ),
            generator=generator.name,
            group=group,
        )
        for name, statistic in (
            ("acceptance", mean),
            ("step_size", median),
            ("effective_sample_size", mean),
        )
    ]


def _sandwich_rows(
    context: ReduceContext, generator: GeneratorInfo, mine: pd.DataFrame
) -> list[SummaryRow]:
    rows = []
    for name, bounded in mine[mine["upper_bound"].notna()].groupby("group"):
        gap = (bounded["upper_bound"] - bounded["log_likelihood"]).to_numpy(np.float64)
        seed = context.seed_of("sandwich", generator.name, str(name))
        nats = bootstrap_interval(gap, mean, seed, resamples=context.resamples)
        per_nat = 1 / (generator.dimensions * np.log(2))
        bits = Interval(nats.value * per_nat, nats.low * per_nat, nats.high * per_nat, nats.n)
        for metric, interval in (("sandwich_gap", nats), ("sandwich_gap_bits_per_dim", bits)):
            rows.append(
                summary_row(
                    metric, interval, generator=generator.name, condition=OWN, group=str(name)
                )
            )
    return rows


def _doubling_rows(
    context: ReduceContext, generator: GeneratorInfo, changes: pd.DataFrame
) -> list[SummaryRow]:
    rows = []
    condition = OWN if generator.num_classes else None
    for group in context.groups:
        members = changes[changes["group"] == group.name]
        if not len(members):
            continue
        by_image = members.groupby("image_id")["change"].mean().to_numpy(np.float64)
        seed = context.seed_of("doubling", generator.name, group.name)
        average = bootstrap_interval(by_image, mean, seed, resamples=context.resamples)
        for metric, interval in (
            ("doubling_change", average),
            ("doubling_change_max", exact(float(by_image.max()), len(by_image))),
        ):
            rows.append(
                summary_row(
                    metric,
                    interval,
                    generator=generator.name,
                    condition=condition,
                    group=group.name,
                )
            )
    return rows
