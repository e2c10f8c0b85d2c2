"""What is compared: a side is one generator of one finished run."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

import pyarrow as pa

from ...cluster.locations import Location
from ..audits.likelihood.densities import trusted_estimator
from ..record.run_directory import PROVENANCE_FILE, RunDirectory
from ..record.versions import Versions, recorded_versions
from ..reduce.context import GeneratorInfo, ReduceContext
from ..results.context import reduce_context
from ..results.finished_run import refuse_unplanned, replan, require_complete
from ..results.summary_file import read_summary
from ..spec.audit import AuditSpec
from ..spec.loading import SpecError

FEWEST_SIDES = 2
# Where a file lies changes nothing: its hash is beside it.
PLACES = frozenset({"weights", "import_path", "trust"})


@dataclass(frozen=True)
class Side:
    """A generator of a run; ``letter`` names it in the tables, ``rows`` are the summary's of it.

    ``datasets`` says by group where its images came from, ``instruments`` what measures images, by
    what it is (LPIPS, extractors, a segmenter, own classifiers), ``weights`` is a SHA-256,
    ``trusted`` the estimator on which the run's verdicts rest, ``versions`` what computed it.
    """

    letter: str
    context: ReduceContext
    spec: AuditSpec
    generator: GeneratorInfo
    weights: str
    trusted: str | None
    datasets: Mapping[str, Mapping[str, Any]]
    instruments: Mapping[str, Any]
    versions: Versions
    rows: Sequence[Mapping[str, Any]]

    @property
    def run(self) -> str:
        """The run's folder, as it was given."""
        return self.context.tables.locate()

    @property
    def variance(self) -> float | None:
        """The observation variance, if the run has one."""
        found = [row["value"] for row in self.rows if row["metric"] == "variance"]
        return None if not found else float(found[0])


def open_sides(folders: Sequence[Location]) -> list[Side]:
    """Every generator of every run, in the order given.

    Raises:
        SpecError: a folder that is no run, a run that is not complete or has files that its spec
            does not plan, one without a summary or with one of something else, fewer than two
            sides, or sides whose images have different shapes.
        PartError: a part that is damaged.
    """
    sides: list[Side] = []
    for folder in folders:
        for make in _generators(folder):
            if len(sides) == len(ascii_uppercase):
                raise SpecError(f"compare: at most {len(ascii_uppercase)} generators at a time")
            sides.append(Side(ascii_uppercase[len(sides)], **make))
    if len(sides) < FEWEST_SIDES:
        raise SpecError(
            f"compare: {folders[0]} has one generator; name a second run to compare it with"
        )
    shapes = {side.generator.image_shape for side in sides}
    if len(shapes) > 1:
        found = ", ".join(
            f"{side.letter} ({side.run}, {side.generator.name}): {side.generator.image_shape}"
            for side in sides
        )
        raise SpecError(
            f"compare: image shapes differ ({found}), and no metric of these images is "
            "comparable; compare runs on images of the same shape"
        )
    return sides


def _generators(folder: Location) -> list[dict[str, Any]]:
    run = RunDirectory.at(folder)
    plan = replan(run)
    require_complete(plan)
    refuse_unplanned(plan)
    summary = read_summary(plan)
    provenance = _provenance(run)
    context = reduce_context(plan)
    return [
        {
            "context": context,
            "spec": plan.spec,
            "generator": generator,
            "weights": provenance["generators"][generator.name]["sha256"],
            "trusted": trusted_estimator(context.tables),
            "datasets": provenance["datasets"],
            "instruments": _instruments(provenance),
            "versions": recorded_versions(run),
            "rows": _rows_of(summary, generator.name),
        }
        for generator in context.generators
    ]


def _provenance(run: RunDirectory) -> dict[str, Any]:
    try:
        content = run.read_json(PROVENANCE_FILE)
    except json.JSONDecodeError as error:
        raise SpecError(f"{run.location}/{PROVENANCE_FILE}: not valid JSON: {error}") from error
    missing = [key for key in ("generators", "datasets") if key not in content]
    if missing:
        raise SpecError(
            f"{run.location}/{PROVENANCE_FILE}: has no {missing[0]}; resume the run to "
            "write it again"
        )
    return content


def _instruments(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """By what they are, without where their files lie."""
    named = {
        "network of LPIPS": provenance.get("perceptual"),
        "segmenter": provenance.get("segmenter"),
        **{f"extractor {name}": each for name, each in provenance.get("extractors", {}).items()},
        **{
            f"classifier of {name}": each
            for name, each in provenance.get("classifiers", {}).items()
        },
    }
    return {name: without(each, PLACES) for name, each in named.items() if each is not None}


def without(settings: Any, keys: Collection[str]) -> Any:
    """Settings without some keys, inner ones too."""
    if not isinstance(settings, dict):
        return settings
    return {key: without(each, keys) for key, each in settings.items() if key not in keys}


def _rows_of(summary: pa.Table, generator: str) -> list[dict[str, Any]]:
    return [row for row in summary.to_pylist() if row["generator"] in (None, generator)]
