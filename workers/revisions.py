"""The revision of every computation: what makes numbers of two algorithms two sets of parts.

A shard's id hashes its settings, items and table version. None of these changes when the algorithm
does, and old parts would be taken for new ones. So the revision is part of the id as well: a run
that is resumed after one was raised computes that computation's shards again, and what depends on
their results, and nothing else.

Raise a computation's revision by one in the change that makes its numbers differ by more than
floating-point noise for the same settings, items and seeds: another formula, another random stream,
another default inside the code, a mended fault. Leave it where numbers stay: speed, memory, names,
messages. A new optional setting whose absence means what was always done is no reason either: None
leaves the hash. Recorded numbers in ``tests/jobs/recorded`` notice what was forgotten.
"""

from collections.abc import Mapping
from typing import Any

REVISIONS: dict[str, int] = {
    "images.dataset": 1,
    "images.generated": 1,
    "inversion": 1,
    "likelihood.classical": 1,
    "likelihood.guided": 1,
    "local_variation": 1,
    "neighbours": 1,
    "patch_fit": 1,
    "patch_gmm": 1,
    "perceptual": 1,
    "ppca": 1,
    "sensing": 1,
    "tuning": 1,
    "variance": 1,
    "variance.marginal": 1,
    "variance.profile": 1,
    "variance_fit": 1,
    "variance_fit.null": 1,
}

_WORKERS = "offmanifold.workers."
# Computations that bear their table's name, and not their module's.
_OTHER_NAMES = {"reconstruction": "perceptual"}


def computation_of(compute: str, settings: Mapping[str, Any]) -> str:
    """The computation that a shard's rows come from, by its name in :data:`REVISIONS`.

    That is the module's name; with the function's where it says more than ``compute``
    (``images.generated``) and with the estimator where the settings name one
    (``likelihood.guided``), whichever the stage.

    Args:
        compute: the shard's ``module:function``.
        settings: the shard's settings.

    Raises:
        ValueError: it has no revision.
    """
    module, _, function = compute.partition(":")
    own = module.removeprefix(_WORKERS)
    variant = settings.get("estimator") or function.removeprefix("compute").removeprefix("_")
    name = ".".join(part for part in (_OTHER_NAMES.get(own, own), variant) if part)
    if name not in REVISIONS:
        raise ValueError(
            f"computation {name} (of {compute}) has no revision: "
            "add it to REVISIONS in workers/revisions.py, beginning at 1"
        )
    return name


def revision_of(compute: str, settings: Mapping[str, Any]) -> int:
    """The revision of a shard's computation; arguments and errors as :func:`computation_of`."""
    return REVISIONS[computation_of(compute, settings)]
