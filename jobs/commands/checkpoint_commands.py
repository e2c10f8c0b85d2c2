"""``offmanifold inspect`` and ``offmanifold convert``: published checkpoints."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ..report.plain_text import say
from .exit_status import errors_explained
from .options import JsonOption
from .printing import print_rich

CheckpointArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A checkpoint file, as published.")
]
FamilyOption = Annotated[
    str | None,
    typer.Option(help="Its family (`list families`). Default: recognised from the file."),
]
KeyOption = Annotated[
    str | None,
    typer.Option(help="Where in the file the generator lies, if there are several: `g_ema`."),
]
ClassesOption = Annotated[
    int | None,
    typer.Option(
        min=1, help="How many inputs are one-hot classes, for families whose files do not say."
    ),
]
MixedPrecisionOption = Annotated[
    bool | None,
    typer.Option(
        "--mixed-precision/--no-mixed-precision",
        help="Whether training used half precision too, for families whose files do not say.",
    ),
]


def inspect(
    file: CheckpointArgument,
    family: FamilyOption = None,
    key: KeyOption = None,
    classes: ClassesOption = None,
    mixed_precision: MixedPrecisionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Describe a published checkpoint: family, resolution, classes, latent, size, hash.

    Nothing in the file is run. With --family, lists the tensors that do not fit that family.
    """
    with errors_explained():
        from ...workers.checkpoints.opening import Reading
        from .checkpoints import checkpoint_facts, facts_table

        reading = Reading(key, classes=classes, mixed_precision=mixed_precision)
        facts = checkpoint_facts(file, family, reading)
        if as_json:
            say(json.dumps(facts, indent=2))
        else:
            print_rich(facts_table(facts))


def convert(
    file: CheckpointArgument,
    family: FamilyOption = None,
    key: KeyOption = None,
    classes: ClassesOption = None,
    mixed_precision: MixedPrecisionOption = None,
    truncation: Annotated[
        float | None,
        typer.Option(help="Truncation of the latents, for families that have one."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the weights; default: generators/FILE.")
    ] = None,
) -> None:
    """Turn a published checkpoint into a folder with safetensors and a config, for `source`."""
    with errors_explained():
        from ...workers.checkpoints.opening import Reading
        from ..spec.written_files import require_folder
        from .checkpoints import convert as convert_checkpoint

        folder = out or Path("generators") / file.stem
        require_folder("--out", folder)
        reading = Reading(key, truncation, classes, mixed_precision)
        say(convert_checkpoint(file, family, reading, folder))
