"""Which workers are taken to hang."""

from types import SimpleNamespace
from typing import Any

import pytest
from offmanifold.cluster import heartbeats
from offmanifold.cluster.heartbeats import Watch
from offmanifold.cluster.idle_actors import Running
from offmanifold.cluster.patience import Patience
from offmanifold.cluster.pulse import Pulse


def test_a_starting_worker_has_its_time_from_its_start_on(monkeypatch: pytest.MonkeyPatch) -> None:
    # The machine has been up for longer than a shard may take.
    now = [90_000.0]
    watch = Watch(Patience(), lambda: now[0])
    nothing_ends = SimpleNamespace(wait=lambda keys, **_: ([], keys))
    monkeypatch.setattr(heartbeats, "ray", nothing_ends)
    actor: Any = SimpleNamespace(heartbeat=SimpleNamespace(remote=object))
    starting = {"start": Running(actor, None, pulse=Pulse(alive=now[0]))}
    for seconds in (2.0, Patience.shard_seconds):
        now[0] += seconds
        assert watch.hung(starting) == []
    now[0] += 2.0
    ((key, reason),) = watch.hung(starting)
    assert key == "start"
    assert "did not finish within 86400 s" in reason
