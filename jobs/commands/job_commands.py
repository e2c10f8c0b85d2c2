"""``offmanifold submit`` and ``offmanifold job``: audits as jobs of a remote Ray cluster."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ..report.plain_text import printable, say
from ..spec.stored import NAME_KEY, RUN_KEY
from .exit_status import EXIT_INTERRUPTED, EXIT_QUARANTINED, EXIT_STOPPED, errors_explained
from .options import ChangedOption, JsonOption, RetryOption, SetOption, SpecArgument
from .printing import print_rich

if TYPE_CHECKING:
    from datetime import datetime

    from ...cluster.job_client import Job, JobClient

HeadOption = Annotated[
    str,
    typer.Option(
        "--address",
        metavar="http://HEAD:8265",
        envvar="OFFMANIFOLD_ADDRESS",
        help="Address of the dashboard on the cluster's head.",
    ),
]
JobArgument = Annotated[str, typer.Argument(metavar="ID", help="A job's id, from `submit`.")]

job_app = typer.Typer(
    name="job",
    no_args_is_help=True,
    help="List the audits submitted to a Ray cluster, show one's status or log, or stop it.",
)


def submit(
    spec: SpecArgument,
    address: HeadOption,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Run directory that every node of the cluster can reach: on a shared disk, or "
            "s3://BUCKET/PREFIX. An existing run is resumed.",
        ),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the job's id and do not wait for the job.")
    ] = False,
    overrides: SetOption = None,
    changed: ChangedOption = False,
    retry_failed: RetryOption = False,
) -> None:
    """Run an audit as a job of a remote Ray cluster, and follow it to its end.

    The spec is validated here first; it travels with this package and the folder of the user's own
    generator modules. The job goes on when this command ends: by --detach, Ctrl-C or a lost
    connection. Exit status: that of the run, or of `run --address` where no job was submitted.
    """
    with errors_explained():
        from ...cluster.job_client import JobClient
        from ...cluster.locations import absolute
        from ..drive.submission import absent_paths, submit, submitted_spec

        checked = submitted_spec(spec, overrides or ())
        for path in absent_paths(checked):
            say(f"{path}: not on this machine; the cluster will look for it", err=True)
        run = absolute(out or str(Path("runs") / Path(spec).stem))
        if out is None:
            say(f"run directory: {run} (--out names another)", err=True)
        flags = {"--changed": changed, "--retry-failed": retry_failed}
        client = JobClient(address)
        job_id = submit(client, checked, run, [flag for flag, given in flags.items() if given])
        say(f"submitted; {_how_to_return(job_id, address)}", err=True)
        if detach:
            say(job_id)
        else:
            _follow(client, job_id)


@job_app.command(name="list")
def list_(address: HeadOption, as_json: JsonOption = False) -> None:
    """List the audits that were submitted to a cluster, the latest first."""
    with errors_explained():
        from ...cluster.job_client import JobClient

        jobs = [job for job in JobClient(address).jobs() if RUN_KEY in job.metadata]
        if as_json:
            say(json.dumps([_as_json(job) for job in jobs], indent=2))
            return
        table = Table("job", "status", "started (UTC)", box=None)
        for heading in ("audit", "run directory"):
            # A run directory that is cut short is none.
            table.add_column(heading, overflow="fold")
        for job in jobs:
            started = "" if job.started is None else f"{job.started:%Y-%m-%d %H:%M:%S}"
            said = (job.id, job.status, started, job.metadata.get(NAME_KEY, ""))
            table.add_row(*map(printable, (*said, job.metadata[RUN_KEY])))
        print_rich(table if jobs else "no audits were submitted to this cluster")


def _as_json(job: "Job") -> dict[str, Any]:
    return {
        **asdict(job),
        **{name: time and time.isoformat() for name, time in _times(job)},
    }


def _times(job: "Job") -> tuple[tuple[str, "datetime | None"], ...]:
    return ("started", job.started), ("ended", job.ended)


@job_app.command()
def status(job_id: JobArgument, address: HeadOption) -> None:
    """Whether a job is pending, running or how it ended, and where its run directory is."""
    with errors_explained():
        from ...cluster.job_client import JobClient

        job = JobClient(address).job(job_id)
        code = "" if job.exit_code is None else f" with exit status {job.exit_code}"
        quarantined = job.exit_code == EXIT_QUARANTINED
        say(f"{job.status}{code}{': complete but for quarantined items' * quarantined}")
        for name, time in _times(job):
            if time is not None:
                say(f"{name}: {time.isoformat(sep=' ', timespec='seconds')}")
        if RUN_KEY in job.metadata:
            say(f"run directory: {job.metadata[RUN_KEY]}")
        if job.finished and job.exit_code is None and job.message:
            say(job.message)


@job_app.command()
def logs(
    job_id: JobArgument,
    address: HeadOption,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", help="Follow the log until the job ends, and exit with its run's status."
        ),
    ] = False,
) -> None:
    """Print the output of a job."""
    with errors_explained():
        from ...cluster.job_client import JobClient

        client = JobClient(address)
        if follow:
            _follow(client, job_id)
        else:
            say(client.logs(job_id), nl=False)


@job_app.command()
def stop(job_id: JobArgument, address: HeadOption) -> None:
    """Stop a job within seconds; submitting the same audit again resumes it."""
    with errors_explained():
        from ...cluster.job_client import JobClient

        stopped = JobClient(address).stop(job_id)
        say(f"{job_id} {'is stopping' if stopped else 'was not running'}")


def _follow(client: "JobClient", job_id: str) -> None:
    """Print a job's log to its end, and end with the exit status of its run."""
    try:
        job = client.follow(job_id, lambda text: say(text, nl=False))
    except KeyboardInterrupt:
        say(f"\nthe job continues; {_how_to_return(job_id, client.address)}", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if job.exit_code is None:
        say(f"job {job_id}: {job.status}: {job.message}", err=True)
    raise typer.Exit(_exit_status(job))


def _exit_status(job: "Job") -> int:
    """The run's own status; a driver that was killed by a signal stopped without one."""
    if job.exit_code is not None and job.exit_code >= 0:
        return job.exit_code
    return EXIT_INTERRUPTED if job.status == "STOPPED" else EXIT_STOPPED


def _how_to_return(job_id: str, address: str) -> str:
    return f"`offmanifold job logs|status|stop {job_id} --address {address}`"
