"""The ``offmanifold`` command. Heavy imports wait inside the commands that need them."""

from pathlib import Path
from typing import Annotated

import typer

from ..report.plain_text import say
from .check_commands import calibrate, converge
from .checkpoint_commands import convert, inspect
from .exit_status import errors_explained
from .export_command import export
from .init_command import init
from .job_commands import job_app, submit
from .list_command import list_
from .nearest_command import nearest
from .options import SpecArgument
from .report_commands import compare, report
from .run_commands import demo, plan, run
from .state_commands import errors, status

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


app.command()(demo)
app.command()(plan)
app.command()(run)
app.command()(init)
app.command()(submit)
app.add_typer(job_app)
app.command()(inspect)
app.command()(convert)
app.command()(status)
app.command()(errors)
app.command()(report)
app.command()(export)
app.command()(converge)
app.command()(calibrate)
app.command()(nearest)
app.command()(compare)
app.command(name="list")(list_)


@app.command()
def train(
    spec: SpecArgument,
    out: Annotated[Path | None, typer.Option(help="Folder for the weights.")] = None,
) -> None:
    """Train a small example generator from the training spec SPEC (train-digits, train-fashion)."""
    with errors_explained():
        from ..drive.training import train as train_generator
        from ..spec.written_files import require_folder

        folder = out or Path("generators") / Path(spec).stem
        require_folder("--out", folder)
        say(train_generator(spec, folder))
