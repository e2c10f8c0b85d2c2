"""What upstream's classes computed with weights made by rule: read, and written as their files."""

import json
import pickle
from pathlib import Path
from typing import Any

import dill
import torch

from .pickles import write_network
from .plain_modules import write_modules
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
    if content["wrapped"] == "modules":
        return write_modules(folder / "network-snapshot.pkl", weights, content["modules"])
    path = folder / "checkpoint.pth"
    wrapper = {True: "state_dict", "g_ema": "g_ema", "GAN": "GAN"}.get(content["wrapped"])
    torch.save({wrapper: weights} if wrapper else weights, path)
    if content["settings"]:
        (folder / "config.json").write_text(json.dumps(content["settings"]))
    return path
