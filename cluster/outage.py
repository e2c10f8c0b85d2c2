"""Waiting for a store that is away for a while: restarted, or behind a link that broke."""

import logging
import time
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from .storage import AwayError

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 2.0

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


class Patient(Protocol):
    """Who waits, and for how many seconds at most."""

    @property
    def patience(self) -> float:
        """Seconds."""
        ...


Self = TypeVar("Self", bound=Patient)


def wait_out(patience: float, call: Callable[[], Result]) -> Result:
    """Makes a call again and again for as long as it finds the store away.

    Args:
        patience: seconds since it was first found away after which that is an error.
        call: may be made any number of times.

    Raises:
        AwayError: the first one, once the patience is at an end.
    """
    first: AwayError | None = None
    began = time.monotonic()
    while True:
        try:
            return call()
        except AwayError as error:
            if first is None:
                first, began = error, time.monotonic()
            waited = time.monotonic() - began
            if waited >= patience:
                raise first from None
            logger.warning(
                "%s Trying again; waited %.0f s so far, %.0f s at most (cluster.storage.patience)",
                error,
                waited,
                patience,
            )
        time.sleep(min(_PAUSE_SECONDS, patience))


def patiently(
    method: Callable[Concatenate[Self, Arguments], Result],
) -> Callable[Concatenate[Self, Arguments], Result]:
    """A method that waits while the store is away; see :func:`wait_out`."""

    @wraps(method)
    def waiting(self: Self, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        return wait_out(self.patience, lambda: method(self, *args, **kwargs))

    return waiting
