"""Jobs on a Ray cluster that is somewhere else, through the HTTP interface of its head.

A job is a command that the cluster runs, with folders of code that travel along. It goes on
whatever becomes of the process that submitted it.
"""

import asyncio
import logging
import os
import shlex
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import requests
from ray._private.authentication.authentication_token_setup import (
    maybe_enable_token_auth_if_token_available,
)
from ray.exceptions import AuthenticationError
from ray.job_submission import JobStatus, JobSubmissionClient

from .ray_errors import ClusterError, SubmissionError, TokenError

_CHATTY = ("ray", "ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk")
# To find the head, and to have an answer from it.
_TIMEOUT_SECONDS = (10.0, 120.0)
_POLL_SECONDS = 1.0
_EPOCH = datetime.fromtimestamp(0, UTC)
# The signal of a stop is SIGTERM; a run then ends its workers before it ends itself.
_STOP_SECONDS = 30


@dataclass(frozen=True)
class Code:
    """What travels with a job.

    Args:
        folder: its content is the working directory of the job and of its workers.
        excludes: patterns, as in a ``.gitignore``, of what stays behind. What a ``.gitignore`` or
            ``.rayignore`` in the folder names stays behind too.
        packages: folders of Python packages, each importable by its folder's name.
    """

    folder: Path
    excludes: Sequence[str]
    packages: Sequence[Path]


@dataclass(frozen=True)
class Job:
    """What the cluster says of a job.

    ``status`` is PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED; ``exit_code`` that of its
    command, once that has ended by itself.
    """

    id: str
    status: str
    exit_code: int | None
    message: str
    started: datetime | None
    ended: datetime | None
    metadata: Mapping[str, str]

    @property
    def finished(self) -> bool:
        """Whether it will change no more."""
        return JobStatus(self.status).is_terminal()


class JobClient:
    """The jobs of one cluster.

    Every method raises one of :mod:`offmanifold.cluster.ray_session`'s errors: ``ClusterError``
    when the head does not answer, ``TokenError`` when it refuses our token or we have none, and
    ``SubmissionError`` when it does not know the job or the folder is too large to travel.

    Args:
        address: where the head's dashboard listens, ``http://HEAD:8265``. A token (see
            :func:`~offmanifold.cluster.ray_session.ray_session`) is shown to a head that asks.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        _check_reachable(address)
        for module in _CHATTY:
            logging.getLogger(module).setLevel(logging.ERROR)
        with self._explained(), _without_other_addresses():
            self._client = _connect(address)

    def submit(
        self,
        command: Sequence[str],
        code: Code,
        environment: Mapping[str, str],
        metadata: Mapping[str, str],
    ) -> str:
        """Send the code, start the command; the job's id.

        Args:
            command: program and arguments, as the head's shell finds them.
            code: what it needs.
            environment: variables of the job and of its workers.
            metadata: kept with the job, see :attr:`Job.metadata`.
        """
        runtime_env = {
            "working_dir": str(code.folder),
            "excludes": list(code.excludes),
            "py_modules": [str(package) for package in code.packages],
            "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_SECONDS), **environment},
        }
        with self._explained():
            return str(
                self._client.submit_job(
                    entrypoint=shlex.join(command),
                    runtime_env=runtime_env,
                    metadata=dict(metadata),
                )
            )

    def job(self, job_id: str) -> Job:
        """How a job is."""
        with self._explained(job_id):
            details = self._client.get_job_info(job_id)
        return _job(job_id, details)

    def jobs(self) -> list[Job]:
        """All that were submitted, the latest first."""
        with self._explained():
            found = self._client.list_jobs()
        # Other drivers of the cluster were not submitted, and have no such id.
        jobs = [_job(each.submission_id, each) for each in found if each.submission_id]
        return sorted(jobs, key=lambda job: (job.started or _EPOCH, job.id), reverse=True)

    def logs(self, job_id: str) -> str:
        """All that a job has printed so far."""
        with self._explained(job_id):
            return str(self._client.get_job_logs(job_id))

    def stop(self, job_id: str) -> bool:
        """Ask a job to end; whether it was running."""
        with self._explained(job_id):
            return bool(self._client.stop_job(job_id))

    def follow(self, job_id: str, write: Callable[[str], None]) -> Job:
        """Hand what a job prints to ``write`` until it ends; how it ended.

        A connection that breaks is made again for as long as the head answers.
        """
        job = self.job(job_id)
        shown = 0
        while True:
            with self._explained(job_id):
                shown = asyncio.run(self._tail(job_id, shown, write))
            job = self.job(job_id)
            if job.finished:
                return job
            time.sleep(_POLL_SECONDS)

    async def _tail(self, job_id: str, shown: int, write: Callable[[str], None]) -> int:
        """Write what comes after the first ``shown`` characters; how many there are now."""
        position = 0
        try:
            async for text in self._client.tail_job_logs(job_id):
                new = text[max(0, shown - position) :]
                position += len(text)
                if new:
                    write(new)
        except (RuntimeError, aiohttp.ClientError):
            # Whether the head is gone too shows when it is asked how the job is.
            pass
        return max(shown, position)

    @contextmanager
    def _explained(self, job_id: str | None = None) -> Iterator[None]:
        """Turn what Ray's client raises into an error that says what to do."""
        # The id is a part of an address: an empty one would be that of the list of jobs.
        if job_id is not None and (not job_id.strip(".") or quote(job_id, safe="") != job_id):
            raise SubmissionError(
                f"{job_id!r} is no job's id: `offmanifold job list --address {self.address}` "
                "lists them"
            )
        try:
            yield
        except AuthenticationError as error:
            raise TokenError(_refusal(self.address, str(error))) from error
        except (ConnectionError, requests.RequestException) as error:
            raise ClusterError(
                f"no Ray dashboard answers at {self.address} ({type(error).__name__}). Check "
                "that `ray start --head` is running there with its dashboard, and that the port "
                "can be reached from here."
            ) from error
        except RuntimeError as error:
            raise _failure(self.address, job_id, str(error)) from error


class _Client(JobSubmissionClient):
    """Ray's client, which would wait forever for an answer."""

    def _do_request(self, *args: Any, **kwargs: Any) -> Any:
        return super()._do_request(*args, timeout=_TIMEOUT_SECONDS, **kwargs)


def _connect(address: str) -> _Client:
    """A client of the head, with our token where that asks for one."""
    try:
        return _Client(address)
    except AuthenticationError:
        if "RAY_AUTH_MODE" in os.environ:
            raise
        if not maybe_enable_token_auth_if_token_available(warn_if_disabled=False):
            raise
    return _Client(address)


def _host_and_port(address: str) -> tuple[str, int]:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
        # A connection to a name that cannot be encoded would fail with a bare ValueError.
        host.encode("idna")
        if parts.scheme in ("http", "https") and host:
            return host, port or (443 if parts.scheme == "https" else 80)
        reason = ""
    except ValueError as error:
        reason = f" ({error})"
    raise SubmissionError(
        f"--address {address}: expected the address of the head's dashboard, such as "
        f"http://HEAD:8265{reason}"
    )


def _check_reachable(address: str) -> None:
    host, port = _host_and_port(address)
    try:
        socket.create_connection((host, port), timeout=_TIMEOUT_SECONDS[0]).close()
    except OSError as error:
        raise ClusterError(
            f"nothing listens at {address}: {error.strerror or error}. Check that `ray start "
            "--head` is running there with its dashboard, and that the port can be reached from "
            "here (by default a dashboard listens only on the head's loopback: `ssh -L "
            "8265:localhost:8265 HEAD` forwards it)."
        ) from error


@contextmanager
def _without_other_addresses() -> Iterator[None]:
    """Ray's client would take an address in the environment for the one it is given."""
    names = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
    hidden = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _refusal(address: str, reason: str) -> str:
    remedy = (
        "Copy the head's ~/.ray/auth_token to the same place on this machine (or set "
        "RAY_AUTH_TOKEN_PATH to where it is), and leave RAY_AUTH_MODE unset or set it to token."
    )
    if reason.startswith("Authentication failed"):
        return (
            f"the Ray cluster at {address} rejects the token: it belongs to another cluster. "
            f"{remedy}"
        )
    return f"the Ray cluster at {address} requires a token, and none was sent. {remedy}"


def _failure(address: str, job_id: str | None, reason: str) -> ClusterError:
    if job_id is not None and "does not exist" in reason:
        return SubmissionError(f"the Ray cluster at {address} has no job {job_id}")
    if "status code 413" in reason or "exceeds" in reason:
        return SubmissionError(
            f"the folder with the spec's modules is too large to send to {address}. Keep weights "
            "and images on s3:// or on a disk that all nodes share, and list what not to send "
            "in a .rayignore in that folder."
        )
    return ClusterError(f"the Ray cluster at {address} failed: {' '.join(reason.split())}")


def _job(job_id: str, details: Any) -> Job:
    return Job(
        id=job_id,
        status=str(details.status.value),
        exit_code=details.driver_exit_code,
        message=details.message or "",
        started=_time(details.start_time),
        ended=_time(details.end_time),
        metadata=details.metadata or {},
    )


def _time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
