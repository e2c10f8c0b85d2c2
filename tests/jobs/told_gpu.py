"""A run on a machine of two CPUs and a GPU that Ray is only told of.

    python -m tests.jobs.told_gpu SPEC RUN

Ray places workers by it; those that have it compute on the CPU.
"""

import functools
import sys
from unittest.mock import patch

import ray
from offmanifold.jobs.audits.specs import load_spec
from offmanifold.jobs.drive import execution
from offmanifold.jobs.drive.devices import Devices
from offmanifold.jobs.drive.driver import run_audit
from offmanifold.jobs.drive.progress import Progress


def main(spec: str, run: str) -> None:
    """Runs it; what is told goes to stderr."""
    make, on_cpu = execution.worker_factory, Devices(0, "")
    with (
        patch.object(ray, "init", functools.partial(ray.init, num_gpus=1, num_cpus=2)),
        patch.object(execution, "local_devices", lambda *_: Devices(1, "computing on a GPU")),
        patch.object(execution, "worker_factory", lambda context, _: make(context, on_cpu)),
    ):
        assert run_audit(load_spec(spec), run, Progress()).complete


if __name__ == "__main__":
    main(*sys.argv[1:])
