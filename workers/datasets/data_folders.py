"""Where published image sets are looked for when a spec names no path."""

import os
from pathlib import Path

DATA_VARIABLE = "OFFMANIFOLD_DATA"


def data_folders(subfolder: str, *, bare: bool = False) -> list[Path]:
    """Candidates under OFFMANIFOLD_DATA; ``bare`` accepts the files right in that folder."""
    value = os.environ.get(DATA_VARIABLE)
    if not value:
        return []
    return [Path(value) / subfolder] + ([Path(value)] if bare else [])


def name_all(folders: list[Path]) -> str:
    """The folders in words, for a message."""
    return " or ".join(str(folder) for folder in folders) or f"{DATA_VARIABLE} (not set)"
