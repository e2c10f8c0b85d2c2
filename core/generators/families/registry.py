"""Families of published generators by name, imported (and torch with them) only when used."""

import difflib
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .checkpoint import Family

_TARGETS = {
    "studiogan-biggan": "studiogan:BIGGAN",
    "studiogan-biggan-deep": "studiogan_deep:BIGGAN_DEEP",
    "studiogan-resnet": "studiogan:RESNET",
    "studiogan-dcgan": "studiogan:DEEP_CONVOLUTIONAL",
    "studiogan-stylegan2": "studiogan_stylegan:STYLEGAN2",
    "studiogan-stylegan3": "studiogan_stylegan:STYLEGAN3",
    "biggan-pytorch": "biggan_pytorch:BIGGAN_PYTORCH",
    "biggan-deep": "biggan_deep:BIGGAN_DEEP",
    "dcgan": "dcgan:DCGAN",
    "wgan": "dcgan:WGAN",
    "began": "began:BEGAN",
    "ali": "ali:ALI",
    "improved-gan": "improved_gan:IMPROVED_GAN",
    "stylegan2-ada": "stylegan2_ada:STYLEGAN2_ADA",
    "stylegan3": "stylegan3:STYLEGAN3",
    "stylegan-xl": "stylegan3:STYLEGAN_XL",
    "stylegan2-rosinality": "stylegan2_rosinality:STYLEGAN2_ROSINALITY",
    "stylegan2-lucidrains": "stylegan2_lucidrains:STYLEGAN2_LUCIDRAINS",
    "r3gan": "r3gan:R3GAN",
}


class FamilyError(ValueError):
    """No family has this name."""


def family_names() -> tuple[str, ...]:
    """Every family."""
    return tuple(_TARGETS)


def require_family(name: str) -> None:
    """Raises FamilyError unless a family is registered; imports nothing."""
    if name not in _TARGETS:
        close = difflib.get_close_matches(name, _TARGETS, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known families: {', '.join(_TARGETS)}"
        raise FamilyError(f"unknown family '{name}': {hint}")


def find_family(name: str) -> "Family":
    """The family of that name.

    Raises:
        FamilyError: there is none.
    """
    require_family(name)
    module, attribute = _TARGETS[name].split(":")
    parent = __name__.rpartition(".")[0]
    family: Family = getattr(importlib.import_module(f"{parent}.{module}"), attribute)
    return family
