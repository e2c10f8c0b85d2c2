"""The config that some families publish beside their weights."""

from pathlib import Path

_PLAIN = "config.json"
# What lucidrains' stylegan2-pytorch writes.
_HIDDEN = f".{_PLAIN}"
# Patterns of the names that it may have: ``config.json``, ``biggan-deep-128-config.json``.
CONFIG_NAMES = (_PLAIN, f"*-{_PLAIN}", _HIDDEN)


def find_config(weights: Path) -> Path | None:
    """A config named after the file, else ``config.json``, the only other one, or a hidden one."""
    others = sorted(weights.parent.glob(CONFIG_NAMES[1]))
    named = [other for other in others if weights.name.startswith(other.name[: -len(_PLAIN)])]
    if named:
        return max(named, key=lambda config: len(config.name))
    plain = weights.parent / _PLAIN
    if plain.is_file():
        return plain
    if len(others) == 1:
        return others[0]
    hidden = weights.parent / _HIDDEN
    return hidden if not others and hidden.is_file() else None
