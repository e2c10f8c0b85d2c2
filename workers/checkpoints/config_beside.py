"""The config that some families publish beside their weights."""

from pathlib import Path

_PLAIN = "config.json"
# Patterns of the names that it may have: ``config.json``, ``biggan-deep-128-config.json``.
CONFIG_NAMES = (_PLAIN, f"*-{_PLAIN}")


def find_config(weights: Path) -> Path | None:
    """A config named after the file, else ``config.json``, else the only one of another name."""
    others = sorted(weights.parent.glob(CONFIG_NAMES[1]))
    named = [other for other in others if weights.name.startswith(other.name[: -len(_PLAIN)])]
    if named:
        return max(named, key=lambda config: len(config.name))
    plain = weights.parent / _PLAIN
    if plain.is_file():
        return plain
    return others[0] if len(others) == 1 else None
