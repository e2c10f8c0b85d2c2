import os

import pytest
from offmanifold.cluster.resources import WorkerResources, available_cpus


@pytest.mark.parametrize(
    ("resources", "cpus", "gpus", "fit"),
    [
        (WorkerResources(), 2, 0, 2),
        (WorkerResources(cpus_per_worker=0.1), 2, 0, 20),
        (WorkerResources(cpus_per_worker=3), 8, 0, 2),
        (WorkerResources(gpus_per_worker=1), 16, 2, 2),
        (WorkerResources(cpus_per_worker=4, gpus_per_worker=0.25), 8, 4, 2),
        (WorkerResources(gpus_per_worker=1), 16, 0, 0),
    ],
)
def test_capacity(resources, cpus, gpus, fit):
    assert resources.capacity({"CPU": cpus, "GPU": gpus}) == fit


def test_memory_and_custom_resources_limit_a_node_too():
    resources = WorkerResources(memory_per_worker=4 * 2**30, custom_per_worker={"a100": 0.5})
    node = {"CPU": 16, "memory": 34 * 2**30, "a100": 2}
    assert resources.capacity(node) == 4
    assert resources.capacity(node | {"memory": 9 * 2**30}) == 2
    assert resources.capacity({"CPU": 16, "memory": 34 * 2**30}) == 0


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({}, 6),
        ({"workers": 3}, 3),
        ({"max_workers": 4}, 4),
        ({"max_workers": 100}, 6),
        ({"max_workers": 100, "autoscaling": True}, 100),
        ({"gpus_per_worker": 1}, 0),
        ({"gpus_per_worker": 1, "max_workers": 8, "autoscaling": True}, 8),
    ],
)
def test_how_many_workers_a_cluster_is_asked_for(settings, count):
    assert WorkerResources(**settings).worker_count([{"CPU": 2}, {"CPU": 4}]) == count


@pytest.mark.parametrize(
    "bad",
    [
        {"workers": 0},
        {"cpus_per_worker": 0},
        {"gpus_per_worker": -1},
        {"max_workers": 2, "min_workers": 3},
    ],
)
def test_impossible_resources_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        WorkerResources(**bad)


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "150000 100000\n"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
    ],
)
def test_cpus_within_the_container(tmp_path, files, quota):
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    assert available_cpus(tmp_path) == (quota or len(os.sched_getaffinity(0)))
