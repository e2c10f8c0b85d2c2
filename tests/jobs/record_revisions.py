"""Records numbers of every computation, for the test that notices when they change.

    python -m tests.jobs.record_revisions

Says what changed against what was recorded before. Where numbers changed, raise the revision first:
it is recorded with them.
"""

import tempfile
from pathlib import Path

from .. import torchvision_operators  # noqa: F401
from ..registered import COMPUTATIONS
from .recorded_revisions import RECORDED, complaints, computations_of, read, write
from .tiny_run import tiny_runs


def main() -> None:
    """Runs, compares, writes."""
    with tempfile.TemporaryDirectory() as folder:
        found = computations_of(tiny_runs(Path(folder)))
    before = read() if RECORDED.exists() else {}
    for complaint in complaints(before, found, COMPUTATIONS):
        print(complaint)
    write(found)
    print(f"{len(found)} computations recorded in {RECORDED}")


if __name__ == "__main__":
    main()
