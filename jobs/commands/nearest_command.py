"""``offmanifold nearest``: which training images are nearest to given ones."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ..report.plain_text import say
from .exit_status import errors_explained
from .options import JsonOption, SetOption
from .printing import aside, print_rich


def nearest(
    images: Annotated[
        str,
        typer.Argument(
            metavar="IMAGES", help="A folder, a .zip or .npz archive, or a single picture."
        ),
    ],
    spec: Annotated[
        str,
        typer.Option(metavar="SPEC", help="A YAML file, or a preset: it names training images."),
    ],
    space: Annotated[
        str,
        typer.Option(
            help="What images are compared in: views, pixels, annotator, or a name under the "
            "spec's extractors."
        ),
    ] = "views",
    resize: Annotated[
        str | None,
        typer.Option(metavar="METHOD", help="Resize the images to the generator's: lanczos."),
    ] = None,
    as_json: JsonOption = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="PAGE.html",
            help="Also write a page with panels, and the table of all images as CSV and Parquet.",
        ),
    ] = None,
    overrides: SetOption = None,
) -> None:
    """Show the training images that IMAGES are nearest to: does this person exist?

    With the stage `copies`, whose held-out images nobody can have copied, each image has a
    p-value: how often a held-out image comes as near to a training image. Keeps nothing.
    """
    with errors_explained():
        from ..audits.specs import load_spec
        from ..compare.page import check_page
        from .nearest import find_nearest, nearest_json, nearest_text, write_nearest

        if out is not None:
            check_page(out)
        with aside(apart=as_json):
            found = find_nearest(load_spec(spec, tuple(overrides or ())), images, space, resize)
        written = [] if out is None else write_nearest(found, out)
        if as_json:
            say(json.dumps(nearest_json(found), indent=2))
            return
        print_rich(nearest_text(found))
        if written:
            say("\nwritten: " + ", ".join(str(path) for path in written))
