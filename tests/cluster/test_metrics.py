"""What is exported for Prometheus, and that the dashboard asks for nothing else."""

import json
import re
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import ray
from offmanifold.cluster.local_storage import LocalStorage
from offmanifold.cluster.observer import Attempt
from offmanifold.cluster.ray_executor import RayExecutor
from offmanifold.cluster.resources import WorkerResources

# Each starts a Ray, and two cores are too few for two at once.
pytestmark = pytest.mark.xdist_group("ray")

HERE = Path(__file__).parent
DASHBOARD = HERE.parents[1] / "cluster" / "manifests" / "grafana.json"


@pytest.fixture(autouse=True)
def shards_importable(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(HERE), *sys.path])


class Recorder:
    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.counts: set[tuple[int, int, int]] = set()

    def attempted(self, attempt):
        self.attempts.append(attempt)

    def workers(self, busy, idle, starting):
        self.counts.add((busy, idle, starting))

    def out_of_use(self, places):
        raise AssertionError(f"{places} are out of use")


def exported() -> str:
    (node,) = ray.nodes()
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def queries(dashboard: dict[str, Any]) -> list[str]:
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    variables = dashboard["templating"]["list"]
    found += [v["query"]["query"] for v in variables if v["type"] == "query"]
    return [query.replace("ray_job", "") for query in found]


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.usefixtures("local_ray")
def test_all_that_the_dashboard_asks_for_is_exported(tmp_path):
    from shards import Factory, task

    storage = LocalStorage.create(tmp_path / "run")
    tasks = [task("a", 0, 2, killers=(1,)), task("b", 2, 3)]
    observer = Recorder()
    executor = RayExecutor(WorkerResources(workers=2), import_paths=[HERE])
    executor.run(tasks, Factory(storage.root), lambda _: None, observer)

    died = [attempt for attempt in observer.attempts if attempt.error is not None]
    assert [attempt.number for attempt in died if attempt.span == (0, 2)] == [1, 2]
    assert [attempt.number for attempt in died if attempt.span == (1, 2)] == [1, 2]
    (whole,) = [attempt for attempt in observer.attempts if attempt.task_id == "b"]
    assert whole.report.rows == 3
    assert whole.node == ray.nodes()[0]["NodeID"]
    host, _, pid = whole.worker.rpartition(":")
    assert host
    assert pid in storage.list_names("workers")
    assert [attempt.task_id for attempt in observer.attempts if attempt.span is None] == ["a"]
    assert any(busy for busy, _, _ in observer.counts)

    asked = set(re.findall(r"\bray_\w+", " ".join(queries(json.loads(DASHBOARD.read_text())))))
    assert len(asked) == 6
    deadline = time.monotonic() + 60
    # Ray's processes hand their metrics on from time to time.
    while missing := {name for name in asked if not re.search(rf"^{name}\{{", exported(), re.M)}:
        assert time.monotonic() < deadline, missing
        time.sleep(1)
    rows = re.findall(r'^ray_offmanifold_rows_total\{.*ray_job="\w+".*\} (\S+)', exported(), re.M)
    assert sum(map(float, rows)) == 5
