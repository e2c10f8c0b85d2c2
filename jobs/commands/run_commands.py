"""``offmanifold demo``, ``plan`` and ``run``: from a spec to its results."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..report.plain_text import say
from .exit_status import end, errors_explained
from .options import (
    AddressOption,
    ChangedOption,
    JsonOption,
    OutOption,
    QuickOption,
    RetryOption,
    SetOption,
    SpecArgument,
    located,
)
from .printing import aside, print_rich

if TYPE_CHECKING:
    from ..drive.driver import Outcome

_QUICK_ANSWER = """
A quick answer, of few images and a lean search: its intervals are as wide as that makes them. The
same command without --quick runs the whole audit, in the same directory."""

_OPENING = "opening what the spec names, and timing what a run asks of it"


def demo(out: OutOption = None) -> None:
    """Audit the shipped digits GAN: every stage that needs no training, in minutes, offline."""
    _run("digits", "demo-run" if out is None else out, (), address=None)


def plan(
    spec: SpecArgument,
    overrides: SetOption = None,
    quick: QuickOption = False,
    as_json: JsonOption = False,
) -> None:
    """Validate a spec and show its stages, shards, items and time, by a few timed batches."""
    with errors_explained():
        from ..audits.specs import load_spec
        from ..drive.quick import chosen_form
        from .plan_table import plan_json, plan_table, planned

        with aside(apart=as_json):
            loaded = load_spec(spec, _quickened(overrides, quick=quick))
            say(_OPENING, err=True)
            chosen = chosen_form(loaded)
            found = planned(chosen.spec, chosen.told, chosen.speeds)
        if as_json:
            say(plan_json(found))
        else:
            print_rich(plan_table(found))


def run(
    spec: SpecArgument,
    out: OutOption = None,
    address: AddressOption = None,
    overrides: SetOption = None,
    quick: QuickOption = False,
    changed: ChangedOption = False,
    retry_failed: RetryOption = False,
) -> None:
    """Run an audit, or resume it where it stopped, and print its verdict."""
    _run(
        spec,
        out,
        _quickened(overrides, quick=quick),
        address=address,
        allow_changed=changed,
        retry_failed=retry_failed,
    )


def finish(outcome: "Outcome", *, quick: bool = False) -> None:
    """Prints what came of a run and ends the command with its status."""
    from ..results.terminal import terminal_summary, unfinished_summary

    if outcome.unfinished:
        print_rich(unfinished_summary(outcome.unfinished))
    else:
        print_rich(terminal_summary(outcome.results.context, outcome.results.summary))
    if quick:
        say(_QUICK_ANSWER)
    end(outcome)


def _run(
    source: str,
    out: str | None,
    overrides: tuple[str, ...],
    *,
    address: str | None,
    allow_changed: bool = False,
    retry_failed: bool = False,
) -> None:
    with errors_explained():
        from ..audits.specs import load_spec
        from ..drive.driver import default_folder, run_audit, run_folder

        folder = run_folder(default_folder(source) if out is None else out)
        spec = load_spec(source, located(overrides, address))
        if out is None:
            say(f"run directory: {folder} (--out names another)", err=True)
        from ..drive.progress import Progress
        from ..drive.quick import chosen_form

        if spec.quick:
            say(_OPENING, err=True)
        chosen = chosen_form(spec, folder)
        for line in chosen.told:
            say(line, err=True)
        outcome = run_audit(
            chosen.spec,
            folder,
            Progress(),
            allow_changed=allow_changed or chosen.takes_over,
            retry_failed=retry_failed,
        )
        finish(outcome, quick=chosen.spec.quick)


def _quickened(overrides: Sequence[str] | None, *, quick: bool) -> tuple[str, ...]:
    return (*(overrides or ()), *(("quick=true",) if quick else ()))
