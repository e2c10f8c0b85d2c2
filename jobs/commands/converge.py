"""The spec behind ``offmanifold converge``: a sweep of the transitions, and only what it needs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ...cluster.locations import Location, absolute, is_remote
from ..audits.inversion.settings import INVERSION
from ..audits.likelihood.estimators import all_estimators, estimates
from ..audits.likelihood.settings import LIKELIHOOD
from ..audits.specs import load_spec, parse_spec, spec_of
from ..audits.sweep.settings import SWEEP, SweepSpec
from ..audits.variance.settings import VARIANCE
from ..record.run_directory import PROVENANCE_FILE, SPEC_FILE, RunDirectory
from ..results.finished_run import replan, require_complete
from ..spec.audit import AuditSpec
from ..spec.loading import SpecError, apply_override, dump_spec
from ..spec.plain_yaml import dump_yaml


@dataclass(frozen=True)
class SweepRequest:
    """What the user asks of a sweep; None leaves what the spec says, or the default."""

    tolerance: float
    transitions: tuple[int, ...] | None = None
    images: int | None = None

    def settings(self, spec: AuditSpec) -> dict[str, Any]:
        """The sweep's settings: the spec's own where it has some, and then these."""
        own = SWEEP.of(spec.stages)
        settings = {} if own is None else own.model_dump(mode="json")
        settings["tolerance"] = self.tolerance
        if self.transitions is not None:
            settings["transitions"] = list(self.transitions)
        if self.images is not None:
            settings["images_per_group"] = self.images
        return settings


def sweep_request(tolerance: float, transitions: str | None, images: int | None) -> SweepRequest:
    """The request in the command's words: ``transitions`` are numbers with commas between.

    Raises:
        SpecError: when ``transitions`` is not such a list.
    """
    if transitions is None:
        return SweepRequest(tolerance, None, images)
    try:
        numbers = tuple(int(each) for each in transitions.split(","))
    except ValueError as error:
        raise SpecError(
            f"--transitions {transitions}: expected whole numbers separated by commas, such as "
            "100,200,400"
        ) from error
    return SweepRequest(tolerance, numbers, images)


def is_run(source: str) -> bool:
    """Whether ``source`` names a run rather than a spec: a folder, or an address of no YAML."""
    if is_remote(source):
        return not source.endswith((".yaml", ".yml"))
    return Path(source).is_dir()


def sweep_folder(source: str, out: str | None) -> str:
    """Where the sweep's run lies: ``source`` itself where that is a run.

    Raises:
        SpecError: for a run and another folder.
    """
    if not is_run(source):
        return out or str(Path("runs") / f"{Path(source).stem}-converge")
    if out is not None:
        raise SpecError(f"--out {out}: the sweep of a run is kept in that run; leave out --out")
    return source


def sweep_spec(source: str, overrides: tuple[str, ...], request: SweepRequest) -> AuditSpec:
    """The spec that computes the sweep of the spec, preset or run at ``source``.

    Raises:
        SpecError: as :func:`sweep_of_spec` and :func:`sweep_of_run`.
    """
    if is_run(source):
        return sweep_of_run(absolute(source), overrides, request)
    return sweep_of_spec(source, overrides, request)


def is_sweep(folder: Location) -> bool:
    """Whether ``folder`` holds nothing but a sweep, which another one may take over."""
    run = RunDirectory.at(folder)
    if not (run.storage.exists(SPEC_FILE) and run.storage.exists(PROVENANCE_FILE)):
        return False
    sweep = SWEEP.of(spec_of(run).stages)
    return sweep is not None and sweep.estimators is not None


def sweep_of_spec(source: str, overrides: tuple[str, ...], request: SweepRequest) -> AuditSpec:
    """The spec, or preset, at ``source`` cut down to a sweep.

    The training images are as many as they were, for the same variance; the null audit's, which no
    sweep meets, are left out; the other groups are cut to
    the sample, and every image meets its own class only. Of simulated images there are as many as
    the sample asks for, whatever the spec says: the recommendation rests on them.

    Raises:
        SpecError: a spec that cannot be used, or estimates no densities.
    """
    spec = load_spec(source, overrides)
    if not all_estimators(spec.stages):
        raise SpecError(
            f"{source}: stages.likelihood: missing, and it names the estimator to sweep; add "
            "`likelihood: {}`"
        )
    settings = request.settings(spec)
    if LIKELIHOOD.of(spec.stages) is not None:
        estimators = estimates(spec.stages).values()
        settings["estimators"] = [each.model_dump(mode="json") for each in estimators]
    content = yaml.safe_load(dump_spec(spec))
    stages = content["stages"]
    needed = ["images", "variance"] + ["inversion"] * _inverts(spec)
    content["stages"] = {name: stages[name] for name in needed} | {"sweep": settings}
    content["groups"] = _sampled(content["groups"], settings)
    return parse_spec(dump_yaml(content), Path.cwd(), (), source)


def sweep_of_run(folder: Location, overrides: tuple[str, ...], request: SweepRequest) -> AuditSpec:
    """The spec of a finished run with the sweep added, which then is all that remains to compute.

    Raises:
        SpecError: when ``folder`` is no run directory, another stage is not complete, the run has
            no simulated images, or an override says more than where the sweep runs.
    """
    run = RunDirectory.at(folder)
    spec = spec_of(run)
    strange = [each for each in overrides if not each.startswith("cluster.")]
    if strange:
        raise SpecError(
            f"--set {strange[0]}: {folder} is an existing run, so only keys of cluster can be "
            "set (to sweep other settings, give a spec instead of a run)"
        )
    if not all_estimators(spec.stages):
        raise SpecError(
            f"{folder}: its spec has no likelihood stage, and so no estimator to sweep; give a "
            "spec that has one"
        )
    require_complete(replan(run), besides="sweep")
    content = yaml.safe_load(dump_spec(spec))
    content["stages"]["sweep"] = request.settings(spec)
    for override in overrides:
        apply_override(content, override)
    # The run's spec is resolved: nothing in it counts from a folder.
    return parse_spec(dump_yaml(content), Path.cwd(), (), run.storage.locate(SPEC_FILE))


def _inverts(spec: AuditSpec) -> bool:
    """Whether a sweep rests on reconstructions: for the variance, or as the modes of guided AIS."""
    inversion, variance = INVERSION.of(spec.stages), VARIANCE.of(spec.stages)
    if inversion is None or variance is None:
        return False
    guided = any(each.estimator == "guided" for each in all_estimators(spec.stages))
    return variance.value is None or (guided and inversion.distance == "mse")


def _sampled(groups: list[dict[str, Any]], settings: dict[str, Any]) -> list[dict[str, Any]]:
    default: int = SweepSpec.model_fields["images_per_group"].default
    images = settings.get("images_per_group", default)
    sampled = []
    for group in groups:
        if group["role"] == "null":
            continue
        count = group["count"]
        if group["role"] == "simulated":
            count = images
        elif group["role"] != "train":
            count = images if count is None else min(count, images)
        sampled.append({**group, "count": count, "conditions": "own"})
    if not any(group["role"] == "simulated" for group in groups):
        sampled.append({"name": "simulated", "role": "simulated", "count": images})
    return sampled
