"""``offmanifold init``: a spec to begin with."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ..report.plain_text import say
from .checkpoint_commands import ClassesOption, FamilyOption, KeyOption, MixedPrecisionOption
from .exit_status import errors_explained
from .options import QuickOption


def init(
    weights: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A published checkpoint, or a network in a file."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="In place of --weights: module:function, shipped:NAME or a folder."),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="The images that it was trained on, or an archive."),
    ] = None,
    out: Annotated[Path, typer.Option(help="The spec to write; none is overwritten.")] = Path(
        "audit.yaml"
    ),
    quick: QuickOption = False,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Run a TorchScript or torch.export file, which is a program."),
    ] = False,
    family: FamilyOption = None,
    key: KeyOption = None,
    classes: ClassesOption = None,
    mixed_precision: MixedPrecisionOption = None,
) -> None:
    """Write a commented spec for a generator of yours: family, classes, range, groups as found.

    What the files do not say stands in it as a comment, with the choices.
    """
    with errors_explained():
        from ...cluster.locations import is_remote

        if (weights is None) == (source is None):
            raise typer.BadParameter("give one of --weights FILE and --source MODULE:FUNCTION")
        if source is not None and (family, key, classes, mixed_precision) != (None,) * 4:
            raise typer.BadParameter(
                "--family, --key, --classes and --mixed-precision are of files"
            )
        if os.path.lexists(out):
            raise typer.BadParameter(
                f"--out {out}: exists already; name another file, or remove it"
            )
        if weights is not None and is_remote(weights):
            raise typer.BadParameter(
                f"--weights {weights}: init looks at files of this machine; download this one "
                "first. The spec may name its address all the same, as `weights`"
            )
        from ...workers.command_lines import command
        from ..spec.written_files import require_folder, writing
        from .init_request import Request
        from .init_spec import starting_spec

        require_folder("--out", out.parent)
        # It may take a while: torch starts, and the network is called.
        say(f"looking at {weights or source}{f' and {images}' if images else ''}", err=True)
        request = Request(
            out,
            None if weights is None else Path(weights),
            source,
            images,
            family,
            key,
            classes,
            mixed_precision,
            trust,
            quick,
        )
        started = starting_spec(request)
        with writing("--out", out):
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(started.text, encoding="utf-8")
        say(f"written: {out}")
        if started.missing is None:
            say(f"next: {command('plan', out)}, then {command('run', out)}")
        else:
            say(f"to fill in first: {started.missing}")
        if started.untrusted:
            say(
                f"{weights} is a program and was not run. If you trust its author, remove {out} "
                "and give the same command --trust: it then runs the file and fills in the rest"
            )
