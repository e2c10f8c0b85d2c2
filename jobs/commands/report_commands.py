"""``offmanifold report`` and ``compare``: results of runs, written again or side by side."""

from pathlib import Path
from typing import Annotated

import typer

from ..report.plain_text import say
from .exit_status import errors_explained
from .options import RunArgument
from .printing import print_rich
from .run_commands import finish


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
        from ..spec.written_files import writing

        outcome = rebuild(absolute(directory))
        if figures is not None:
            with writing("--figures", figures):
                files = export_figures(outcome.results.content, figures, as_png=png)
            say(f"figures: {len(files)} files in {figures}")
        if tables is not None:
            with writing("--tables", tables):
                files = export_tables(outcome.results.content, tables)
            say(f"tables: {len(files)} files in {tables}")
        finish(outcome)


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


def _check_export(figures: Path | None, tables: Path | None, *, png: bool) -> None:
    if png and figures is None:
        raise typer.BadParameter("--png is for figures: add --figures FOLDER")
    from ..spec.written_files import require_folder

    for name, folder in (("--figures", figures), ("--tables", tables)):
        if folder is not None:
            require_folder(name, folder)
