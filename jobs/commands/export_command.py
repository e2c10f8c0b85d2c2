"""``offmanifold export``: a finished run for the tools that labs have."""

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..report.plain_text import say
from .exit_status import errors_explained
from .options import RunArgument
from .printing import aside


class Target(StrEnum):
    """What a run can be exported to."""

    JSONL = "jsonl"
    MODEL_CARD = "model-card"
    TENSORBOARD = "tensorboard"
    WANDB = "wandb"
    MLFLOW = "mlflow"


def export(
    directory: RunArgument,
    to: Annotated[Target, typer.Option(help="What to export to.")],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="jsonl, model-card: the file to write, by default the standard output. "
            "tensorboard: the folder, by default tensorboard/NAME.",
        ),
    ] = None,
) -> None:
    """Export the metrics and verdicts of a finished run; computes nothing.

    jsonl has one metric a line, as the StyleGAN repositories write them; model-card is Markdown.
    tensorboard, wandb and mlflow need these packages, and take their own environment variables.
    """
    with errors_explained():
        from ...cluster.locations import absolute
        from ..record.run_directory import RunDirectory
        from ..results.exported import exported_run
        from ..results.finished_run import replan
        from ..results.metric_lines import metric_lines
        from ..results.model_card import model_card

        if to in (Target.WANDB, Target.MLFLOW) and out is not None:
            variable = "WANDB_DIR" if to is Target.WANDB else "MLFLOW_TRACKING_URI"
            raise typer.BadParameter(f"--out is not for {to.value}: set {variable}")
        with aside(apart=out is None):
            run = exported_run(replan(RunDirectory.at(absolute(directory))))
        if to is Target.JSONL:
            _written("\n".join(metric_lines(run)) + "\n", out)
        elif to is Target.MODEL_CARD:
            _written(model_card(run), out)
        else:
            from ..results.trackers import to_mlflow, to_tensorboard, to_wandb

            if to is Target.TENSORBOARD:
                folder = out or Path("tensorboard") / run.name
                for each in to_tensorboard(run, folder):
                    say(f"written: {each} (tensorboard --logdir {shlex.quote(str(folder))})")
            else:
                logged = to_wandb(run) if to is Target.WANDB else to_mlflow(run)
                say(f"{to.value}: logged {', '.join(logged)}")


def _written(text: str, out: Path | None) -> None:
    if out is None:
        say(text, nl=False)
        return
    from ..spec.written_files import writing

    with writing("--out", out):
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    say(f"written: {out}")
