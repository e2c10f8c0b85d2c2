from typing import Any

import pytest
from offmanifold.jobs.spec.loading import SpecError

from .conftest import small_spec
from .test_spec import parse


def cluster(settings: dict[str, Any]) -> Any:
    return parse({**small_spec(), "cluster": settings}).cluster


def test_a_size_of_memory_is_read_with_its_unit() -> None:
    assert cluster({"memory_per_worker": "8GiB"}).memory_per_worker == 8 * 2**30
    assert cluster({"memory_per_worker": 1000}).memory_per_worker == 1000


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"workers": 2, "max_workers": 4}, ["workers", "max_workers", "not both"]),
        ({"min_workers": 5, "max_workers": 4}, ["min_workers is 5", "4 allowed"]),
        ({"gpus_per_worker": 1.5}, ["gpus_per_worker", "fraction of one device", "1.5"]),
        ({"device": "gpu", "gpus_per_worker": 0}, ["device is gpu", "gpus_per_worker is 0"]),
        ({"device": "cpu", "gpus_per_worker": 1}, ["device is cpu", "gpus_per_worker is 1"]),
        ({"memory_per_worker": "much"}, ["memory_per_worker", "much"]),
        ({"resources_per_worker": {"GPU": 1}}, ["GPU cannot be set here"]),
        ({"resources_per_worker": {"a100": 0}}, ["resources_per_worker.a100", "greater than 0"]),
    ],
)
def test_a_cluster_that_cannot_be_is_refused(settings: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        cluster(settings)
    assert all(word in str(caught.value) for word in words)
