"""Set-up that every test shares."""

from collections.abc import Iterator

import pytest
import torch

from .object_store import ObjectStore, object_store

try:
    import torchvision  # noqa: F401
except RuntimeError as error:
    # A torchvision built against another torch cannot load its own operators, and its import stops
    # where it registers these two. LPIPS needs its network definitions alone.
    if "torchvision::nms" not in str(error):
        raise
    torchvision_operators = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        torchvision_operators.define(
            f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A real S3 service, started once for all tests that need it."""
    with object_store(tmp_path_factory.mktemp("store")) as running:
        yield running
