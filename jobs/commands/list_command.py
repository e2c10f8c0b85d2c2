"""``offmanifold list``: what there is to audit with."""

from enum import StrEnum
from typing import Annotated

import typer

from ..report.plain_text import say
from .exit_status import errors_explained
from .printing import print_rich


class Listing(StrEnum):
    """What can be listed."""

    GENERATORS = "generators"
    FAMILIES = "families"
    DATASETS = "datasets"
    STAGES = "stages"
    PRESETS = "presets"
    METRICS = "metrics"
    SCHEMA = "schema"


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
