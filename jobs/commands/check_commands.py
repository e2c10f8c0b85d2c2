"""``offmanifold converge`` and ``calibrate``: what an audit's numbers and verdicts are worth."""

from typing import Annotated

import typer

from .exit_status import end, errors_explained
from .options import AddressOption, OutOption, SetOption, SpecArgument, located
from .printing import print_rich


def converge(
    source: Annotated[
        str, typer.Argument(metavar="SPEC|RUN", help="A YAML file, a preset, or a finished run.")
    ],
    tolerance: Annotated[float, typer.Option(help="Largest sandwich gap to accept, in nats.")],
    transitions: Annotated[
        str | None, typer.Option(metavar="T,T,…", help="Numbers of transitions to try.")
    ] = None,
    images: Annotated[int | None, typer.Option(help="Images per group.")] = None,
    out: OutOption = None,
    address: AddressOption = None,
    overrides: SetOption = None,
) -> None:
    """How many AIS transitions are enough? Tries several numbers T on a sample, and recommends one.

    For a SPEC, only what the sweep needs is computed, in its own run directory. A finished RUN
    gets a sweep that uses its results. The recommendation is the smallest T whose sandwich gap,
    including its interval, is under the tolerance.
    """
    with errors_explained():
        from ..drive.driver import run_audit, run_folder
        from ..drive.progress import Progress
        from ..results.terminal import sweep_summary
        from .converge import is_run, is_sweep, sweep_folder, sweep_request, sweep_spec

        request = sweep_request(tolerance, transitions, images)
        folder = run_folder(sweep_folder(source, out))
        spec = sweep_spec(source, located(overrides, address), request)
        known = is_run(source) or is_sweep(folder)
        outcome = run_audit(spec, folder, Progress(), allow_changed=known)
        print_rich(sweep_summary(outcome.results.context, outcome.results.summary))
        end(outcome)


def calibrate(
    spec: SpecArgument,
    repeats: Annotated[
        int, typer.Option(min=20, help="Audits of each generator, behind each share.")
    ] = 100,
    overrides: SetOption = None,
) -> None:
    """Try a spec's verdicts on generators wrong by construction, made from its own images.

    Prints how often each verdict speaks up against each of them, with intervals: false alarms for
    the one that is right, power for the others. Keeps nothing; the annotator is trained for it.
    """
    with errors_explained():
        from ..audits.specs import load_spec
        from .calibrate import calibrate as tried
        from .calibrate import calibration_table

        found = tried(load_spec(spec, tuple(overrides or ())), repeats)
        print_rich(calibration_table(found))
