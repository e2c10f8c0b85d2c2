"""Options that several commands share."""

from collections.abc import Sequence
from typing import Annotated

import typer

SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a key of the spec, such as groups.train.count=8. May be repeated.",
    ),
]
SpecArgument = Annotated[str, typer.Argument(metavar="SPEC", help="A YAML file, or a preset.")]
ChangedOption = Annotated[
    bool,
    typer.Option(
        "--changed", help="Reuse the run directory of another spec, and recompute what changed."
    ),
]
QuickOption = Annotated[
    bool,
    typer.Option(
        "--quick",
        help="A first answer in minutes, with wide intervals: fewer images, a lean search.",
    ),
]
RetryOption = Annotated[bool, typer.Option("--retry-failed", help="Compute failed items again.")]
RunArgument = Annotated[
    str, typer.Argument(metavar="DIR", help="A run directory: a path, or s3://BUCKET/PREFIX.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
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


def located(overrides: Sequence[str] | None, address: str | None) -> tuple[str, ...]:
    """The overrides, and where the run is to happen as one of them."""
    where = () if address is None else (f"cluster.address={address}",)
    return (*(overrides or ()), *where)
