"""The bank of latents that all searches of a generator in this process start from."""

from collections.abc import Mapping
from typing import Any

from ..core.bank import Bank
from ..core.generators.protocol import Generator
from ..core.row_limit import LimitedGenerator, RowLimit
from .generator_source import GeneratorSource
from .resources import Resources
from .row_memory import bank_bytes


def shared_bank(
    generator: Generator, settings: Mapping[str, Any], resources: Resources
) -> Bank | None:
    """The bank of shards of the same generator and seed, whatever their stage; None without one."""
    if not settings["bank"]:
        return None
    seed, device = settings["bank_seed"], resources.device
    if isinstance(generator, LimitedGenerator):
        # It is decoded once for many shards: no shard's pace is that of its rows.
        generator = LimitedGenerator(generator.unlimited, RowLimit(generator.limit.rows))
    return resources.kept(
        "bank",
        (GeneratorSource.of(settings), settings["weights"], seed),
        lambda: Bank(generator, seed, bank_bytes(device)),
        most=1,
    )
