"""Set-up that every test shares."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from . import torchvision_operators  # noqa: F401
from .ceph import ceph_store, missing_programs
from .object_store import ObjectStore, object_store

if TYPE_CHECKING:
    from offmanifold.jobs.plan.stage import PlanContext


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share what their module makes once follow one another in one process.

    Each of several processes would else make it for itself.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") or not isinstance(item, pytest.Function):
            continue
        used = [fixtures[-1] for fixtures in item._fixtureinfo.name2fixturedefs.values()]
        if any(fixture.scope == "module" for fixture in used):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def pytest_configure(config: pytest.Config) -> None:
    """Ends where pytest-xdist cannot group tests, which it does by an attribute of each."""
    if config.getoption("dist", default="no") == "loadgroup" and not _groups():
        raise pytest.UsageError(
            f"this pytest-xdist groups no tests with pytest {pytest.__version__}: what a module "
            "makes once would be made in each process, and two Rays would run at once. Install "
            "the versions that constraints.txt names"
        )


def _groups() -> bool:
    return any("_nodeid" in getattr(kind, "__slots__", ()) for kind in pytest.Item.__mro__)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A real S3 service, started once for all tests that need it."""
    with object_store(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A second real S3 service, of another make, where its Debian packages are installed."""
    if missing := missing_programs():
        pytest.skip(
            f"no {', '.join(missing)} here: apt-get install ceph-mon ceph-osd radosgw "
            "brings Ceph, the second S3 service"
        )
    with ceph_store(tmp_path_factory.mktemp("ceph")) as running:
        yield running


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tiny runs lie."""
    return tmp_path_factory.mktemp("tiny")


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> "list[PlanContext]":
    """The tiny runs, made once: whoever uses them is in the group `tiny`, and leaves them whole."""
    # Most tests need nothing of it.
    from .jobs.tiny_run import tiny_runs

    return list(tiny_runs(tiny_folder))
