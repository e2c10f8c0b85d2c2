"""What ``offmanifold calibrate`` does: the detectors of a spec on generators of known faults."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.table import Table
from rich.text import Text

from ...cluster.local_storage import LocalStorage
from ...core.culprits.copies import copying_culprits
from ...core.culprits.culprit import Culprit
from ...core.culprits.registry import CULPRITS
from ...core.statistics.interval import Interval
from ...core.statistics.proportions import proportion_interval
from ...workers.datasets import ImageError, shard_image_set
from ...workers.resources import Resources
from ..audits import AUDITS
from ..audits.class_shares.settings import ANNOTATOR, CLASS_SHARES
from ..audits.detector import Detector, RealImages
from ..audits.images.plan import reference_settings
from ..audits.specs import gather_facts
from ..plan.stage import AuditContext
from ..spec.audit import AuditSpec
from ..spec.loading import SpecError
from .errors_text import printable

# Culprits are made from so many images of a set, chosen at random, or from all of a smaller one.
MOST_IMAGES = 2000


@dataclass(frozen=True)
class Trial:
    """In which share of its repeats a detector spoke up against a culprit."""

    detector: str
    culprit: str
    fault: str
    share: Interval


@dataclass(frozen=True)
class Calibration:
    """Every detector's trials, the honest culprit first, and what to know besides."""

    spec: str
    trials: tuple[Trial, ...]
    notes: tuple[str, ...]


def calibrate(spec: AuditSpec, repeats: int) -> Calibration:
    """Tries every detector of the spec on every culprit, ``repeats`` times each.

    Raises:
        SpecError: the spec names what cannot be opened, or no detector that can be tried.
    """
    tried = [
        audit
        for audit in AUDITS
        if audit.detector is not None and any(key.of(spec.stages) for key in audit.settings)
    ]
    if not tried:
        raise SpecError(
            "stages: none has a verdict that can be tried on culprits; add `annotator: {dataset: "
            "..., split: train}` and `class_shares: {dataset: ..., split: test}`"
        )
    context = AuditContext(spec, gather_facts(spec))
    device = torch.device("cuda" if spec.cluster.gpus_per_worker > 0 else "cpu")
    with tempfile.TemporaryDirectory() as folder:
        resources = Resources(
            LocalStorage.create(Path(folder)), device, spec.cluster.storage.settings
        )
        real = _real_images(context, resources)
        culprits = [*CULPRITS, *copying_culprits(real.training, real.training_labels)]
        detectors = [audit.detector(context, resources, real) for audit in tried if audit.detector]
        trials = tuple(
            trial for detector in detectors for trial in _trials(detector, culprits, repeats)
        )
    others = [
        audit.name
        for audit in AUDITS
        if audit not in tried
        and audit.questions
        and any(key.of(spec.stages) for key in audit.settings)
    ]
    notes = [note for detector in detectors for note in detector.notes]
    notes.append(
        f"Culprits are made from {len(real.held_out):,} held-out images, and copies from "
        f"{len(real.training):,} training images."
    )
    if others:
        notes.append(f"Not tried, since it would take more than labels: {', '.join(others)}.")
    return Calibration(spec.name, trials, tuple(notes))


def calibration_table(found: Calibration) -> Table:
    """False alarms and power, each with its interval and N."""
    table = Table(box=None, header_style="bold", title=f"calibration of {printable(found.spec)}")
    for heading in ("detector", "culprit"):
        table.add_column(heading, no_wrap=True)
    table.add_column("what is wrong with it")
    for heading in ("it speaks up, %", "N"):
        table.add_column(heading, justify="right", no_wrap=True)
    for trial in found.trials:
        share = trial.share
        values = [f"{100 * each:.1f}" for each in (share.value, share.low, share.high)]
        table.add_row(
            trial.detector,
            trial.culprit,
            trial.fault or "nothing: false alarms",
            f"{values[0]} [{values[1]}, {values[2]}]",
            str(share.n),
        )
    table.caption = Text(printable("\n".join(found.notes)))
    table.caption_justify = "left"
    return table


def _trials(detector: Detector, culprits: list[Culprit], repeats: int) -> Iterator[Trial]:
    for culprit in culprits:
        said = detector.convicts(culprit, repeats)
        share = proportion_interval(sum(said), len(said))
        yield Trial(detector.name, culprit.name, culprit.fault, share)


def _real_images(context: AuditContext, resources: Resources) -> RealImages:
    training, held_out = (
        _chosen(context, stage, resources) for stage in (ANNOTATOR.name, CLASS_SHARES.name)
    )
    return RealImages(*training, *held_out)


def _chosen(
    context: AuditContext, stage: str, resources: Resources
) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of a reference set and their classes; those that cannot be used are left out."""
    images = shard_image_set(reference_settings(context, stage), resources)
    length = context.facts.references[stage].length
    assert length is not None, "validation refuses a reference set without end"
    order = np.random.default_rng(context.seed("calibrate", stage)).permutation(length)
    pixels, labels = [], []
    for index in order[:MOST_IMAGES].tolist():
        try:
            image, label = images.image(index)
        except ImageError:
            continue
        if label is not None:
            pixels.append(image)
            labels.append(label)
    return torch.from_numpy(np.stack(pixels)), torch.tensor(labels)
