"""Set-up that every test shares."""

from collections.abc import Iterator

import pytest

from . import torchvision_operators  # noqa: F401
from .object_store import ObjectStore, object_store


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A real S3 service, started once for all tests that need it."""
    with object_store(tmp_path_factory.mktemp("store")) as running:
        yield running
