"""Every computation on a problem of seconds: digits, few images, short chains, in this process."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.jobs.audits import stages_of
from offmanifold.jobs.audits.specs import gather_facts, load_spec
from offmanifold.jobs.drive.devices import Devices
from offmanifold.jobs.drive.driver import provenance_of
from offmanifold.jobs.drive.execution import worker_factory
from offmanifold.jobs.plan.stage import PlanContext
from offmanifold.jobs.record.run_directory import RunDirectory
from sklearn.datasets import load_digits
from torch import nn
from torchvision.models import squeezenet1_1

from ..families.rule import by_rule

_DIGITS = {"dataset": "digits", "split": "test"}
_SEARCH = {
    "restarts": 2,
    "candidates": 2,
    "bank": 32,
    "iterations": 4,
    "finalists": 1,
    "final_iterations": 3,
    "polish": 1,
}
# So short that float32 rounding does not grow much, and that a chain hardly ever comes so near to
# being refused that another processor decides it otherwise.
_CHAINS = {"transitions": 3, "chains": 2, "leapfrog_steps": 2}
_GUIDED = {"estimator": "guided", **_CHAINS, **_SEARCH}
_CLASSICAL = {"estimator": "classical", **_CHAINS, "pilots": 2}


def tiny_runs(folder: Path) -> Iterator[PlanContext]:
    """Finished runs in ``folder`` that have every computation between them, the largest first.

    They end before anything is reduced. Parts that lie there already are not computed again.

    Raises:
        RuntimeError: a row failed.
    """
    shapes = {name: value.shape for name, value in squeezenet1_1(weights=None).state_dict().items()}
    torch.save(by_rule(shapes), folder / "squeeze.pth")
    torch.jit.save(torch.jit.script(_nearest_mean()), str(folder / "own.pt"))
    for name, spec in _specs().items():
        yield _run(folder, name, spec)


def brightness() -> Callable[[torch.Tensor], torch.Tensor]:
    """A segmenter: how bright a pixel is."""
    return lambda images: (images.mean(dim=1) * 2.999).long()


def _run(folder: Path, name: str, content: dict[str, Any]) -> PlanContext:
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(content))
    spec = load_spec(str(file))
    facts, run = gather_facts(spec), RunDirectory(LocalStorage.create(folder / name))
    run.claim(spec, provenance_of(spec, facts), allow_changed=False)
    context = PlanContext(spec, facts, run)
    worker = worker_factory(context, Devices(0, ""))()
    for stage in stages_of(spec):
        context.plans[stage.name] = stage.shards(context)
        finished = run.finished(stage.name)
        for shard in context.plans[stage.name]:
            if shard.id in finished:
                continue
            worker.compute(shard, 0, len(shard.items))
            errors = run.read(stage.table, [shard.id], ["error"])["error"].drop_null()
            if len(errors):
                raise RuntimeError(f"stage {stage.name} of {name}: {errors[0]}")
    return context


def _specs() -> dict[str, dict[str, Any]]:
    whole = _spec()
    data = [group for group in whole["groups"] if group["role"] == "train"]
    small = {**whole, "groups": data}
    stages = {"inversion": whole["stages"]["inversion"]}
    distances = {**_DIGITS, "spaces": ["pca"], "components": 5, "images": 64, "sets": 1}
    return {
        "whole": whole,
        "profile": {**small, "stages": {**stages, "variance": {"estimator": "profile"}}},
        "pca": {**small, "stages": {"distances": distances}},
        "given": {**small, "stages": {**stages, "variance": {"value": 0.01}}},
        "own": {**whole, "groups": whole["groups"][2:3], "stages": _own_annotator()},
    }


def _own_annotator() -> dict[str, Any]:
    own = {"weights": "own.pt", "trust": True}
    return {
        "annotator": {"dataset": "digits", "own": own},
        "class_shares": {**_DIGITS, "images": 8, "shard_items": 500},
    }


def _nearest_mean() -> nn.Module:
    """A classifier of digits by their class means: minus the squared distance, but for x^2."""
    digits = load_digits()
    means = [digits.images[digits.target == each].mean(axis=0) for each in range(10)]
    weight = torch.tensor(np.stack(means) / 16, dtype=torch.float32).flatten(1)
    layer = nn.Linear(64, 10)
    with torch.no_grad():
        layer.weight.copy_(2 * weight)
        layer.bias.copy_(-weight.square().sum(dim=1))
    return nn.Sequential(nn.Flatten(), layer).eval()


def _spec() -> dict[str, Any]:
    return {
        "name": "tiny",
        "generators": [{"name": "digits", "source": "shipped:digits"}],
        "groups": [
            {"name": "train", "role": "train", "dataset": "digits", "split": "train", "count": 6},
            {"name": "test", "role": "test", **_DIGITS, "count": 4},
            {"name": "generated", "role": "generated", "count": 4},
            {"name": "simulated", "role": "simulated", "count": 4},
            {"name": "null", "role": "null", "count": 6},
            {"name": "plain", "role": "outlier", "dataset": "single_colour", "count": 4},
        ],
        "segmenter": {
            "source": "tests.jobs.tiny_run:brightness",
            "objects": ["dark", "grey", "bright"],
        },
        "perceptual": {"network": "squeeze", "weights": "squeeze.pth"},
        "stages": {
            "inversion": {**_SEARCH, "bank": 256, "iterations": 3, "final_iterations": 2},
            "perceptual": {},
            "variance": {},
            "likelihood": _GUIDED,
            "comparison": _CLASSICAL,
            "convergence": {"images_per_group": 2},
            "sweep": {"transitions": [2, 3], "images_per_group": 2},
            "neighbours": {**_DIGITS, "spaces": ["pixels", "lpips"]},
            "copies": {
                **_DIGITS,
                "held_out": {"dataset": "digits", "split": "train"},
                "spaces": ["annotator"],
                "images": 100,
            },
            "latent_paths": {
                **_DIGITS,
                "held_out": {"dataset": "digits", "split": "train"},
                "paths": 3,
                "steps": 8,
                "images": 100,
            },
            "support": {**_DIGITS, "images": 64},
            "patch_gmm": {**_DIGITS, "components": 2, "iterations": 5},
            "local_variation": {},
            "explanation": {},
            "segments": {**_DIGITS, "images": 6},
            "annotator": {"dataset": "digits", "architecture": "linear", "most_rounds": 1},
            "class_shares": {**_DIGITS, "images": 8, "shard_items": 500},
            "diversity": {"factors": [1, 16], "repeats": 2, "most_rounds": 1},
            "distances": {**_DIGITS, "spaces": ["pixels", "annotator"], "images": 64, "sets": 1},
            "sensing": {
                **_DIGITS,
                "measurements": [32, 4],
                "components": 5,
                "images_per_group": 2,
                "bank": 256,
                "iterations": 8,
                "restarts": 2,
                "final_iterations": 8,
            },
        },
    }
