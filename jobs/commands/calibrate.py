"""What ``offmanifold calibrate`` does: the detectors of a spec on generators of known faults."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.table import Table
from rich.text import Text

from ...cluster.local_storage import LocalStorage
from ...core.culprits.classes import DROPS_A_CLASS, UNEVEN_CLASSES
from ...core.culprits.copies import copying_culprits
from ...core.culprits.culprit import Culprit
from ...core.culprits.registry import CULPRITS
from ...core.statistics.interval import Interval
from ...core.statistics.proportions import proportion_interval
from ...workers.resources import Resources
from ..audits import AUDITS
from ..audits.detector import Detector, RealImages
from ..audits.specs import gather_facts
from ..drive.devices import device_here
from ..plan.stage import AuditContext
from ..report.plain_text import printable
from ..spec.audit import AuditSpec
from ..spec.loading import SpecError


@dataclass(frozen=True)
class Trial:
    """In which share of its repeats a detector spoke up against a culprit, and cleared it."""

    detector: str
    culprit: str
    fault: str
    share: Interval
    cleared: Interval


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
            "..., split: train}` and `class_shares: {dataset: ..., split: test}`, or `copies`"
        )
    context = AuditContext(spec, gather_facts(spec))
    device = device_here(spec.cluster)
    with tempfile.TemporaryDirectory() as folder:
        resources = Resources(
            LocalStorage.create(Path(folder)), device, spec.cluster.storage.settings
        )
        detectors = [audit.detector(context, resources) for audit in tried if audit.detector]
        trials = tuple(trial for each in detectors for trial in _trials(each, repeats))
    others = [
        audit.name
        for audit in AUDITS
        if audit not in tried
        and audit.questions
        and any(key.of(spec.stages) for key in audit.settings)
    ]
    notes = [note for detector in detectors for note in detector.notes]
    if others:
        notes.append(f"Verdicts of this spec that are not tried: {', '.join(others)}.")
    return Calibration(spec.name, trials, tuple(notes))


def calibration_table(found: Calibration) -> Table:
    """False alarms and power, and how often the fault is denied, with intervals and N."""
    table = Table(box=None, header_style="bold", title=f"calibration of {printable(found.spec)}")
    for heading in ("detector", "culprit"):
        table.add_column(heading, no_wrap=True)
    table.add_column("what is wrong with it")
    for heading in ("it speaks up, %", "it denies it, %", "N"):
        table.add_column(heading, justify="right", no_wrap=True)
    for trial in found.trials:
        table.add_row(
            trial.detector,
            trial.culprit,
            trial.fault or "nothing: false alarms",
            _percent(trial.share),
            _percent(trial.cleared),
            str(trial.share.n),
        )
    table.caption = Text(printable("\n".join(found.notes)))
    table.caption_justify = "left"
    return table


def _percent(share: Interval) -> str:
    value, low, high = (f"{100 * each:.1f}" for each in (share.value, share.low, share.high))
    return f"{value} [{low}, {high}]"


def _trials(detector: Detector, repeats: int) -> Iterator[Trial]:
    for culprit in _culprits(detector.real):
        said = detector.answers(culprit, repeats)
        against, cleared = (
            proportion_interval(said.count(tone), len(said)) for tone in ("bad", "good")
        )
        yield Trial(detector.name, culprit.name, culprit.fault, against, cleared)


def _culprits(real: RealImages) -> list[Culprit]:
    """All that can be made from these images: without classes those alone that need none."""
    copying = copying_culprits(real.training, real.training_labels)
    classed = len(torch.unique(real.held_out_labels)) > 1
    of_classes = (DROPS_A_CLASS, UNEVEN_CLASSES)
    return [each for each in CULPRITS if classed or each not in of_classes] + copying
