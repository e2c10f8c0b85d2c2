"""A connection to Ray: a local one that lives as long as the run, or a cluster that is joined."""

import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from .resources import Resources, available_cpus

# Only ids, paths and counts travel through Ray, so its shared memory can stay small.
_OBJECT_STORE_BYTES = 128 * 2**20


class ClusterError(Exception):
    """A cluster could not be joined or started; the message says why and what to do."""


@contextmanager
def ray_session(address: str | None, resources: Resources) -> Iterator[None]:
    """Connect this process to Ray for the length of the ``with`` block.

    Args:
        address: None starts a Ray on this machine, large enough for ``resources``, which ends
            with the block. Otherwise the cluster to join, which is left running: ``"auto"`` for
            the one started on this machine, ``host:port``, or ``ray://host:port``.
        resources: what the workers will need.

    Raises:
        ClusterError: the cluster cannot be reached, or refuses our token.
    """
    if address is None:
        _start_local(resources)
    else:
        _join(address)
    try:
        yield
    finally:
        ray.shutdown()


def _start_local(resources: Resources) -> None:
    cpus = max(available_cpus(), math.ceil((resources.workers or 1) * resources.cpus_per_worker))
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # "local" and not None: an address in the environment must not send the run to a cluster.
    ray.init(
        address="local",
        num_cpus=cpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=_OBJECT_STORE_BYTES,
    )


def _join(address: str) -> None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        raise ClusterError(f"cannot join the Ray cluster at {address}: {error}") from error
