"""What upstream's classes computed with weights made by rule: read, and written as their files."""

import json
import pickle
from pathlib import Path
from typing import Any

import dill
import torch

from .pickles import write_network
from .rule import by_rule

FOLDER = Path(__file__).parent / "recorded"
CASES = sorted(path.stem for path in FOLDER.glob("*.json"))


def recorded(case: str) -> dict[str, Any]:
    """What was recorded of a case: upstream's names and shapes, and some of what it returned."""
    content: dict[str, Any] = json.loads((FOLDER / f"{case}.json").read_text())
    return content


def write_checkpoint(case: str, folder: Path) -> Path:
    """The case's checkpoint file, as upstream writes it."""
    content = recorded(case)
    weights = by_rule(content["shapes"])
    if content["wrapped"] in ("pickle", "dill"):
        write = dill.dumps if content["wrapped"] == "dill" else pickle.dumps
        modules = content.get("modules")
        place = folder / "network-snapshot.pkl"
        return write_network(place, weights, content["settings"], modules, write)
    path = folder / "checkpoint.pth"
    torch.save({"state_dict": weights} if content["wrapped"] else weights, path)
    if content["settings"]:
        (folder / "config.json").write_text(json.dumps(content["settings"]))
    return path
