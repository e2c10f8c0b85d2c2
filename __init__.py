"""offmanifold: audits of whether an image generator has learned its data.

The map:

* :mod:`offmanifold.core`: numerics on tensors and arrays (generators, samplers, inversion,
  statistics). No Ray, no files, no network.
* :mod:`offmanifold.workers`: what runs on a node: opening models and image sets, turning a shard
  into rows, the schemas of the tables.
* :mod:`offmanifold.cluster`: where it runs and where bytes go: executors and storage.
* :mod:`offmanifold.jobs`: what a user sees: spec, plan, driver, reducers, report, command line.

For programs and notebooks (`docs/python.md`): :func:`audit` runs one, :func:`open` reads a run,
:func:`generator` makes a network one that can be audited, and :class:`Run` is what the first two
return. What they need is imported when they are first named.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .jobs.api.audit import audit
    from .jobs.api.network import generator
    from .jobs.api.run import Run
    from .jobs.api.run import open_run as open

__version__ = "0.1.0"
__all__ = ["Run", "__version__", "audit", "generator", "open"]

_WHERE = {
    "Run": ("jobs.api.run", "Run"),
    "audit": ("jobs.api.audit", "audit"),
    "generator": ("jobs.api.network", "generator"),
    "open": ("jobs.api.run", "open_run"),
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _WHERE[name]
    return getattr(import_module(f".{module}", __name__), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
