"""Where a run's numbers come from: versions, hashes, machine, seed."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from ... import __version__
from ...workers.revisions import Computation
from ...workers.schema import TableSchema
from ..spec.audit import AuditSpec
from ..spec.facts import DatasetFacts, Facts, GeneratorFacts
from ..spec.shared import SharedImages

_LIBRARIES = (
    "torch",
    "ray",
    "numpy",
    "scipy",
    "pyarrow",
    "scikit-learn",
    "lpips",
    "timm",
    "torch-fidelity",
)


def gather_provenance(
    spec: AuditSpec,
    facts: Facts,
    tables: Iterable[TableSchema],
    computations: Iterable[Computation],
) -> dict[str, Any]:
    """Versions, commit, hashes of weights and data, the machine, and the seed; JSON values.

    ``tables`` and ``computations`` are all that this version of the package has.
    """
    datasets = {name: _dataset(group) for name, group in facts.groups.items()}
    datasets |= {f"({stage})": _dataset(facts.references[stage]) for stage in facts.references}
    return {
        "offmanifold": __version__,
        "commit": _commit(),
        "schema_versions": {table.name: table.version for table in tables},
        "revisions": {each.name: each.revision for each in computations},
        "seed": spec.seed,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "machine": {
            "platform": platform.platform(),
            "processor": platform.machine(),
            "cpus": os.cpu_count(),
            "devices": _devices(),
        },
        "generators": {name: _generator(each) for name, each in facts.generators.items()},
        "datasets": datasets,
        **({"classifiers": facts.classifiers} if facts.classifiers else {}),
        "shared_images": {f"{each.one}, {each.other}": _shared(each) for each in facts.shared},
        "perceptual": facts.backbone and {**spec.perceptual.model_dump(), **asdict(facts.backbone)},
        "segmenter": spec.segmenter and {**spec.segmenter.model_dump(), "sha256": facts.segmenter},
        "extractors": {
            name: {**spec.extractors[name].model_dump(), **asdict(each)}
            for name, each in facts.extractors.items()
        },
    }


def _version(library: str) -> str | None:
    """None where it is not installed: not every computation needs every library."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def _generator(facts: GeneratorFacts) -> dict[str, Any]:
    samples = {} if facts.samples is None else {"samples": _dataset(facts.samples)}
    return {**asdict(facts), **samples}


def _dataset(facts: DatasetFacts) -> dict[str, Any]:
    content = asdict(facts)
    del content["labels"]
    return content


def _shared(found: SharedImages) -> dict[str, Any]:
    content = asdict(found)
    del content["one"], content["other"]
    return content


def _devices() -> list[str]:
    import torch

    count = torch.cuda.device_count()
    return [torch.cuda.get_device_name(index) for index in range(count)] or ["cpu"]


def _commit() -> str | None:
    """The checkout's commit, ``+`` if it has changes; None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    commands = (
        ["git", "rev-parse", "HEAD"],
        ["git", "--no-optional-locks", "status", "--porcelain"],
    )
    try:
        head, changes = (
            subprocess.run(
                command, cwd=root, capture_output=True, text=True, check=True
            ).stdout.strip()
            for command in commands
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changes else "")
