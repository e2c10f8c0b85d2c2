"""A connection to Ray: a local one that lives as long as the run, or a cluster that is joined."""

import logging
import os
import secrets
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import ray
import ray._private.worker
from ray._private.authentication.authentication_token_setup import (
    maybe_enable_token_auth_if_token_available,
)

from .local_ray import local_ray
from .ray_errors import ClusterError, TokenError
from .resources import WorkerResources

logger = logging.getLogger(__name__)

# A loaded machine needs a while to start the question alone.
_REACH_TIMEOUT_SECONDS = 60.0


@contextmanager
def ray_session(address: str | None, resources: WorkerResources) -> Iterator[None]:
    """Connect this process to Ray for the length of the ``with`` block.

    A local Ray is guarded by Ray's token authentication, whatever started it: the token lies in
    ``~/.ray/auth_token``, made where it does not exist, readable by its owner alone. Where such a
    token exists (or ``RAY_AUTH_TOKEN`` or ``RAY_AUTH_TOKEN_PATH`` says one) it is shown to a
    cluster that is joined and asks for one.

    Args:
        address: None starts a Ray on this machine, large enough for ``resources``, which ends
            with the block, or within seconds of this process being killed. Otherwise the cluster
            to join, which is left running: ``"auto"`` for the one started on this machine,
            ``host:port``, or ``ray://host:port``.
        resources: what the workers will need.

    Raises:
        ClusterError: the cluster cannot be reached, or refuses our token.
    """
    # Ray prints messages of its own on standard output, where a run's results go; the deaths of
    # workers that they tell of are logged by the executor.
    ray._private.worker._worker_logs_enabled = False
    logging.getLogger("ray").setLevel(logging.ERROR)
    _close_token()
    with ExitStack() as stack:
        with _keeping_our_handler():
            if address is None:
                _make_token()
                stack.enter_context(local_ray(resources))
            else:
                stack.callback(ray.shutdown)
                _join(address)
        yield


@contextmanager
def _keeping_our_handler() -> Iterator[None]:
    """Ray puts a handler of SIGTERM in place of ours, which ends the process as with an error."""
    ours = signal.getsignal(signal.SIGTERM)
    terminated = False
    try:
        yield
    except SystemExit as exit_by_ray:
        if exit_by_ray.code != signal.SIGTERM:
            raise
        terminated = True
    finally:
        if signal.getsignal(signal.SIGTERM) is not ours:
            signal.signal(signal.SIGTERM, ours)
    if terminated:
        signal.raise_signal(signal.SIGTERM)


def _make_token() -> None:
    """Make the token file where there is none: Ray itself would make it readable by all users."""
    if os.environ.keys() & {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}:
        return
    target = _token_file()
    if target.exists():
        return
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=target.parent) as file:
            file.write(secrets.token_hex(32))
            file.flush()
            # Another run may be making it at this moment; all of them must use one.
            with suppress(FileExistsError):
                os.link(file.name, target)
    except OSError as error:
        raise ClusterError(
            f"cannot write the token that protects the local Ray to {target}: {error.strerror}. "
            "Set RAY_AUTH_TOKEN_PATH to a token file elsewhere."
        ) from error


def _close_token() -> None:
    """Take a token file of ours away from all other users, and say that it was open to them.

    A file of someone else's, such as a mounted secret, is theirs to guard.
    """
    target = _token_file()
    try:
        found = target.stat()
        if found.st_uid != os.getuid() or not stat.S_IMODE(found.st_mode) & 0o077:
            return
        target.chmod(0o600)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ClusterError(
            f"other users can read the token in {target}, and its permissions cannot be changed: "
            f"{error.strerror}. Move it to a disk where they can be, and set RAY_AUTH_TOKEN_PATH "
            "to its new path."
        ) from error
    logger.warning(
        "other users could read the token in %s, which lets anyone run code on the cluster; it "
        "is private now. If others use this machine, create a new token and restart the cluster.",
        target,
    )


def _token_file() -> Path:
    """Where Ray looks for the token, unless the environment holds it itself."""
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    return Path(named) if named else Path.home() / ".ray" / "auth_token"


def _join(address: str) -> None:
    if address.startswith("ray://"):
        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
        authentication: dict[str, str] = {}
    else:
        authentication = _agree_on_authentication(address)
    os.environ.update(authentication)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    # Of any type: Ray raises bare ones where a cluster that was healthy ends meanwhile.
    except Exception as error:
        raise _refusal(address, str(error)) from error
    finally:
        for name in authentication:
            del os.environ[name]


def _agree_on_authentication(address: str) -> dict[str, str]:
    """Show our token only to a cluster that asks for one; what to set while joining it.

    A driver in token mode can connect to a cluster without, but would turn its workers away.
    """
    if "RAY_AUTH_MODE" not in os.environ:
        disabled = {"RAY_AUTH_MODE": "disabled"}
        problem = _health_problem(address, disabled)
        if problem is None:
            return disabled
        if not _is_about_the_token(problem):
            raise _refusal(address, problem)
        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    problem = _health_problem(address, {})
    if problem is not None:
        raise _refusal(address, problem)
    return {}


def _health_problem(address: str, environment: dict[str, str]) -> str | None:
    """Ask the cluster how it is; what is wrong with it, None if nothing is.

    In a process that can be ended when no answer comes: ``ray.init`` itself would wait minutes
    for a head that is not there.
    """
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        answer = subprocess.run(
            command,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=_REACH_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_REACH_TIMEOUT_SECONDS:g} seconds"
    return None if answer.returncode == 0 else answer.stderr or "it is not healthy"


def _is_about_the_token(problem: str) -> bool:
    return "InvalidAuthToken" in problem or "AuthenticationError" in problem


def _refusal(address: str, reason: str) -> ClusterError:
    if _is_about_the_token(reason):
        return TokenError(
            f"the Ray cluster at {address} rejects the token, or none was found. Copy the head's "
            "~/.ray/auth_token to the same place on this machine (or set RAY_AUTH_TOKEN_PATH to "
            "where it is), and leave RAY_AUTH_MODE unset or set it to token."
        )
    last_line = (reason.strip().splitlines() or ["no reason given"])[-1]
    return ClusterError(
        f"cannot join the Ray cluster at {address}: {last_line}. Check that `ray start --head` "
        "is running there and that its port can be reached from here, or leave out the address "
        "to use this machine alone."
    )
