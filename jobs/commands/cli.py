"""The ``offmanifold`` command. Heavy imports wait inside the commands that need them."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..report.plain_text import say
from .checkpoint_commands import convert, inspect
from .exit_status import end, errors_explained
from .export_command import export
from .init_command import init
from .job_commands import job_app, submit
from .nearest_command import nearest
from .options import (
    ChangedOption,
    JsonOption,
    QuickOption,
    RetryOption,
    RunArgument,
    SetOption,
    SpecArgument,
)
from .printing import print_rich
from .state_commands import errors, status

if TYPE_CHECKING:
    from ..drive.driver import Outcome

app = typer.Typer(
    name="offmanifold",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help=(
        "Has an image generator learned its data? Audits image generators by inversion and "
        "annealed importance sampling, and writes a Parquet row for every image.\n\nStart with "
        "`offmanifold demo`; then `offmanifold list presets`, copy one with `offmanifold list "
        "presets --show digits > audit.yaml`, edit it, `offmanifold plan audit.yaml`, and "
        "`offmanifold run audit.yaml --out RUN`.\n\nExit status: 0 complete; 1 an error stopped "
        "the run (run again to resume); 2 bad spec or usage, before any work; 3 finished, but "
        "some items are quarantined; 4 storage is full; 5 it is read-only or forbidden; 6 its "
        "credentials are missing, wrong or expired; 7 the cluster cannot be reached, or does "
        "not accept the job; 8 it rejects the token; 9 the report is of an unfinished run; "
        "130 interrupted (run again to resume)."
    ),
)

OutOption = Annotated[
    str | None,
    typer.Option(help="Run directory: a path, or s3://BUCKET/PREFIX. An existing run is resumed."),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        help="Ray cluster to join: `auto` or HOST:PORT. Default: a local Ray for this run."
    ),
]


_QUICK_ANSWER = """
A quick answer, of few images and a lean search: its intervals are as wide as that makes them. The
same command without --quick runs the whole audit, in the same directory."""


def _print_version(asked: bool) -> None:
    if asked:
        from ... import __version__

        say(f"offmanifold {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    """What the commands have in common."""


class Listing(StrEnum):
    """What can be listed."""

    GENERATORS = "generators"
    FAMILIES = "families"
    DATASETS = "datasets"
    STAGES = "stages"
    PRESETS = "presets"
    METRICS = "metrics"
    SCHEMA = "schema"


@app.command()
def demo(out: OutOption = None) -> None:
    """Audit the shipped digits GAN: every stage that needs no training, in minutes, offline."""
    _run("digits", out or "demo-run", (), address=None)


@app.command()
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

        chosen = chosen_form(load_spec(spec, _quickened(overrides, quick=quick)))
        found = planned(chosen.spec, chosen.told)
        if as_json:
            say(plan_json(found))
        else:
            print_rich(plan_table(found))


@app.command()
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


app.command()(init)
app.command()(submit)
app.add_typer(job_app)
app.command()(inspect)
app.command()(convert)


app.command()(status)
app.command()(errors)


@app.command()
def report(
    directory: RunArgument,
    figures: Annotated[
        Path | None,
        typer.Option(help="Also write the report's figures to this folder, as SVG and PNG."),
    ] = None,
    tables: Annotated[
        Path | None,
        typer.Option(help="Also write the report's tables to this folder, as CSV and Parquet."),
    ] = None,
    png: Annotated[bool, typer.Option("--png", help="Write every figure as PNG.")] = False,
) -> None:
    """Rebuild summary.parquet and report.html of a run from its parts.

    Of an unfinished run, write report-partial.html: complete stages, no verdicts; exit status 9.
    """
    with errors_explained():
        _check_export(figures, tables, png=png)
        from ...cluster.locations import absolute
        from ..drive.driver import rebuild
        from ..results.export import export_figures, export_tables

        outcome = rebuild(absolute(directory))
        if figures is not None:
            files = export_figures(outcome.results.content, figures, as_png=png)
            say(f"figures: {len(files)} files in {figures}")
        if tables is not None:
            files = export_tables(outcome.results.content, tables)
            say(f"tables: {len(files)} files in {tables}")
        _finish(outcome)


app.command()(export)


@app.command()
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
        from ...cluster.locations import absolute
        from ..drive.driver import run_audit
        from ..drive.progress import Progress
        from ..results.terminal import sweep_summary
        from .converge import is_run, is_sweep, sweep_folder, sweep_request, sweep_spec

        request = sweep_request(tolerance, transitions, images)
        folder = absolute(sweep_folder(source, out))
        spec = sweep_spec(source, _located(overrides, address), request)
        known = is_run(source) or is_sweep(folder)
        outcome = run_audit(spec, folder, Progress(), allow_changed=known)
        print_rich(sweep_summary(outcome.results.context, outcome.results.summary))
        end(outcome)


@app.command()
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


app.command()(nearest)


@app.command()
def compare(
    directories: Annotated[
        list[str], typer.Argument(metavar="DIR DIR…", help="Run directories with a summary.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="PAGE.html",
            help="Also write a page with every metric, and its tables as CSV and Parquet.",
        ),
    ] = None,
) -> None:
    """Compare finished runs: each metric with its interval, and the differences.

    Differences are paired, image by image, where two runs have the same images.
    """
    with errors_explained():
        from ..compare.page import check_page, write_page
        from ..compare.runs import compare_runs
        from ..compare.terminal import compare_summary

        if out is not None:
            check_page(out)
        comparison = compare_runs(directories)
        print_rich(compare_summary(comparison))
        if out is None:
            say("\nevery metric: --out PAGE.html")
        else:
            say("\nwritten: " + ", ".join(str(path) for path in write_page(comparison, out)))


@app.command(name="list")
def list_(
    what: Annotated[Listing, typer.Argument(help="What to list.")],
    show: Annotated[
        str | None, typer.Option(help="Print this preset's spec instead, ready to copy.")
    ] = None,
) -> None:
    """List generators, families, datasets, stages, presets or metrics; or print the spec's schema.

    The schema is JSON, for editors: `offmanifold list schema > audit.schema.json`.
    """
    with errors_explained():
        from .list_table import listing_table, preset, schema

        if show is not None:
            say(preset(show), nl=False)
        elif what is Listing.SCHEMA:
            say(schema())
        else:
            print_rich(listing_table(what.value))


@app.command()
def train(
    spec: SpecArgument,
    out: Annotated[Path | None, typer.Option(help="Folder for the weights.")] = None,
) -> None:
    """Train a small example generator from the training spec SPEC (train-digits, train-fashion)."""
    with errors_explained():
        from ..drive.training import train as train_generator

        folder = train_generator(spec, out or Path("generators") / Path(spec).stem)
        say(folder)


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
        from ...cluster.locations import absolute
        from ..audits.specs import load_spec
        from ..drive.driver import default_folder, run_audit

        folder = absolute(out or default_folder(source))
        spec = load_spec(source, _located(overrides, address))
        if out is None:
            say(f"run directory: {folder} (--out names another)", err=True)
        from ..drive.progress import Progress
        from ..drive.quick import chosen_form

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
        _finish(outcome, quick=chosen.spec.quick)


def _check_export(figures: Path | None, tables: Path | None, *, png: bool) -> None:
    if png and figures is None:
        raise typer.BadParameter("--png is for figures: add --figures FOLDER")
    for name, folder in (("--figures", figures), ("--tables", tables)):
        if folder is not None and folder.exists() and not folder.is_dir():
            raise typer.BadParameter(f"{name} {folder}: this is a file, expected a folder")


def _located(overrides: Sequence[str] | None, address: str | None) -> tuple[str, ...]:
    """The overrides, and where the run is to happen as one of them."""
    where = () if address is None else (f"cluster.address={address}",)
    return (*(overrides or ()), *where)


def _quickened(overrides: Sequence[str] | None, *, quick: bool) -> tuple[str, ...]:
    return (*(overrides or ()), *(("quick=true",) if quick else ()))


def _finish(outcome: "Outcome", *, quick: bool = False) -> None:
    from ..results.terminal import terminal_summary, unfinished_summary

    if outcome.unfinished:
        print_rich(unfinished_summary(outcome.unfinished))
    else:
        print_rich(terminal_summary(outcome.results.context, outcome.results.summary))
    if quick:
        say(_QUICK_ANSWER)
    end(outcome)
