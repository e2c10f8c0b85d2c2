"""The bank of latents that searches start from: how large it must be, and where it is from."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...core.settings.search import BANKED, SearchSettings
from ..plan.work import BankWork
from ..spec.facts import GeneratorFacts

if TYPE_CHECKING:
    from ..plan.stage import AuditContext
    from ..spec.audit import GroupSpec


def require_starts(bank: int, restarts: int) -> None:
    """Checks that a bank has starts for so many restarts.

    Raises:
        ValueError: it has fewer than eight for each.
    """
    least = BANKED * restarts
    if 0 < bank < least:
        raise ValueError(
            f"bank is {bank}, too few for {restarts} restarts: give at least {least} "
            f"({BANKED} times `restarts`), or 0 for searches without a bank"
        )


def bank_settings(
    context: "AuditContext", generator: GeneratorFacts, bank: int, *, replicate: bool = False
) -> dict[str, int]:
    """The seed of a generator's bank where there is one (`bank_seed`)."""
    return {"bank_seed": bank_seed(context, generator, replicate=replicate)} if bank else {}


def bank_seed(
    context: "AuditContext", generator: GeneratorFacts, *, replicate: bool = False
) -> int:
    """The seed of a generator's bank, the same for every stage; a replicate has another."""
    purpose = ["replicate", "bank"] if replicate else ["bank"]
    return context.seed(*purpose, generator.name)


def classes_met(
    context: "AuditContext",
    generator: GeneratorFacts,
    sizes: "Iterable[tuple[GroupSpec, int]]",
) -> int:
    """Under how many classes so many of each group's images are searched for; 1 without classes.

    Each of them has a bank, which is decoded once it is asked for.
    """
    if not generator.num_classes:
        return 1
    met: set[int] = set()
    turns = context.class_turns or generator.conditions
    for group, images in sizes:
        if group.conditions == "all":
            return len(generator.conditions)
        met |= set((context.own_classes.get(group.name) or turns)[:images])
    return max(1, len(met))


def bank_work(
    generator: GeneratorFacts,
    settings: SearchSettings,
    images: int,
    at_once: int,
    classes: int,
) -> list[BankWork]:
    """The bank of so many images' searches under so many classes; none without one."""
    if not settings.bank:
        return []
    from ...core.search import size_of_bank

    latents = size_of_bank(settings, generator.num_classes)
    return [BankWork(generator.name, latents, classes, images, at_once)]


def products_of(generator: GeneratorFacts) -> int:
    """The products that the Jacobian at a point takes."""
    from ...core.curvature import jacobian_products
    from ...core.settings.search import JACOBIAN_BYTES

    pixels = math.prod(generator.image_shape)
    return jacobian_products(generator.latent_dim, pixels, JACOBIAN_BYTES)
