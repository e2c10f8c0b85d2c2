"""The bank of latents that searches start from: how large it must be, and where it is from."""

from typing import TYPE_CHECKING

from ...core.settings.search import SearchSettings
from ..spec.facts import GeneratorFacts

if TYPE_CHECKING:
    from ..plan.stage import AuditContext

# The fewest latents of a bank for each restart: a search judges half of them.
_BANKED = 8


def require_starts(bank: int, restarts: int) -> None:
    """Checks that a bank has starts for so many restarts.

    Raises:
        ValueError: it has fewer than eight for each.
    """
    least = _BANKED * restarts
    if 0 < bank < least:
        raise ValueError(
            f"bank is {bank}, too few for {restarts} restarts: give at least {least} "
            f"({_BANKED} times `restarts`), or 0 for searches without a bank"
        )


def bank_settings(
    context: "AuditContext", generator: GeneratorFacts, bank: int, *, replicate: bool = False
) -> dict[str, int]:
    """The seed of a generator's bank, the same for every stage; a replicate has another."""
    purpose = ["replicate", "bank"] if replicate else ["bank"]
    return {"bank_seed": context.seed(*purpose, generator.name)} if bank else {}


def bank_evaluations(generator: GeneratorFacts, settings: SearchSettings) -> int:
    """Latents that a worker decodes for a bank, once, if it meets every class that is audited."""
    if not settings.bank:
        return 0
    from ...core.search import size_of_bank

    return max(1, len(generator.conditions)) * size_of_bank(settings, generator.num_classes)
