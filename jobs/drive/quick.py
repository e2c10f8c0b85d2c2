"""Which quick form of an audit is run: the most that this machine does in minutes."""

from dataclasses import dataclass

from ...cluster.locations import Location
from ...cluster.storage import StorageError
from ..audits.quick import cuts, quick_forms
from ..audits.specs import gather_facts, spec_of
from ..plan.stage import AuditContext
from ..record.run_directory import PROVENANCE_FILE, SPEC_FILE, RunDirectory
from ..spec.audit import AuditSpec
from ..spec.facts import Facts
from ..spec.loading import SpecError
from .estimate import audit_seconds, local_workers, measured_speeds
from .foreseen import Speeds
from .jacobians import jacobian_problem

_SECONDS = 240


@dataclass(frozen=True)
class Chosen:
    """The spec to run, and what of it people should know; nothing of one that is not quick.

    ``speeds`` are those that it was chosen by, None where there was no choice. ``takes_over`` is
    whether the run directory holds a quick form of this audit, which is whole.
    """

    spec: AuditSpec
    told: tuple[str, ...] = ()
    speeds: Speeds | None = None
    takes_over: bool = False


def chosen_form(spec: AuditSpec, out: Location | None = None) -> Chosen:
    """The form of an audit to run in ``out``: the whole, or where it is ``quick`` a quick one.

    A run that exists is continued in its form. Else it is the first whose generator evaluations
    take this machine's workers four minutes, at the speed measured here, or the least of all.

    Raises:
        SpecError: the spec names what cannot be opened, or a quick form has nothing to shorten.
        ClusterError: the workers of this machine are to have GPUs, and there is none.
    """
    stored = None if out is None else _stored(spec, out)
    if not spec.quick and (stored is None or not stored.quick):
        return Chosen(spec)
    facts = gather_facts(spec)
    try:
        forms = quick_forms(spec, facts)
    except SpecError:
        if spec.quick:
            raise
        # It has no quick form, so the run that is there is of another audit.
        return Chosen(spec)
    same = [form for form in forms if stored is not None and _asks(form) == _asks(stored)]
    if not spec.quick:
        return Chosen(spec, takes_over=bool(same))
    form, speeds = (same[0], None) if same else _affordable(_possible(forms, facts), facts)
    return Chosen(form, tuple(f"quick: {each}" for each in cuts(spec, form)), speeds)


def _possible(forms: tuple[AuditSpec, ...], facts: Facts) -> tuple[AuditSpec, ...]:
    """Those whose stages the generators allow; all, where the run is to say that none is."""
    found = [form for form in forms if jacobian_problem(AuditContext(form, facts)) is None]
    return tuple(found) or forms[-1:]


def _affordable(forms: tuple[AuditSpec, ...], facts: Facts) -> tuple[AuditSpec, Speeds | None]:
    if len(forms) == 1:
        return forms[0], None
    speeds = measured_speeds(AuditContext(forms[0], facts))
    if speeds is None:
        return forms[0], None
    # Of all workers of this machine.
    seconds = local_workers(forms[0].cluster) * _SECONDS
    affordable = (form for form in forms if _takes(form, facts, speeds) <= seconds)
    return next(affordable, forms[-1]), speeds


def _takes(form: AuditSpec, facts: Facts, speeds: Speeds) -> float:
    return audit_seconds(AuditContext(form, facts, speeds.errors), speeds)


def _stored(spec: AuditSpec, out: Location) -> AuditSpec | None:
    """The spec of the run in ``out``, if there is one."""
    run = RunDirectory.at(out, spec.cluster.storage.settings)
    try:
        if run.storage.exists(SPEC_FILE) and run.storage.exists(PROVENANCE_FILE):
            return spec_of(run)
    except (SpecError, StorageError):
        # What is wrong with the directory, and whether it may be taken over all the same, is for
        # the run to say.
        pass
    return None


def _asks(spec: AuditSpec) -> dict[str, object]:
    return spec.model_dump(mode="json", exclude={"cluster", "quick"})
