"""What becomes of workers at places that are out of use, by a Ray that is only pretended."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from offmanifold.cluster import actor_pool
from offmanifold.cluster.actor_pool import ActorPool
from offmanifold.cluster.executor import Schedule, Step, Task, WorkerDiedError
from offmanifold.cluster.heartbeats import Watch
from offmanifold.cluster.idle_actors import IdleActors, Running
from offmanifold.cluster.memory_pressure import MemoryPressure
from offmanifold.cluster.observer import Observers
from offmanifold.cluster.patience import Patience
from offmanifold.cluster.places import Place, Places

BAD, GOOD = Place("n", "host", ("0",)), Place("n", "host", ("1",))
# Ray's ids of nodes have 56 digits.
ONE, OTHER, GONE = "a" * 56, "b" * 56, "c" * 56
TASKS = [Task(name, None, 1) for name in "abcdefgh"]


class Actor:
    """Answers nothing by itself; notes what it was asked for, and whether it was killed."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def remote(*_: Any) -> object:
            self.asked.append(name)
            return object()

        return SimpleNamespace(remote=remote)


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[Actor]:
    ended: list[Actor] = []
    nodes = [{"NodeID": "n", "Alive": True}]
    pretended = SimpleNamespace(kill=ended.append, nodes=lambda: nodes)
    monkeypatch.setattr(actor_pool, "ray", pretended)
    return ended


def pool_of(places: Places, count: Callable[[], int] = lambda: 2) -> ActorPool:
    schedule = Schedule(TASKS, 2)
    schedule.take_up(len(TASKS))
    return ActorPool(
        schedule,
        count,
        SimpleNamespace(remote=Actor),
        None,
        (),
        IdleActors(0, 60.0),
        Watch(Patience()),
        MemoryPressure(5.0),
        places,
        Observers([]),
    )


class ActorClass:
    """Notes the nodes that actors are asked for at; None where Ray is to choose."""

    def __init__(self) -> None:
        self.nodes: list[str | None] = []

    def options(self, scheduling_strategy: Any) -> Any:
        return SimpleNamespace(remote=lambda: self._made(scheduling_strategy.node_id))

    def remote(self) -> Actor:
        return self._made(None)

    def _made(self, node: str | None) -> Actor:
        self.nodes.append(node)
        return Actor()


@pytest.mark.parametrize(
    ("room", "nodes"),
    [
        (None, [None] * 4),
        ({ONE: 1, OTHER: 3}, [OTHER, OTHER, ONE, OTHER]),
        # No more than there is room for, and none at a node that is gone.
        ({ONE: 2, GONE: 4}, [ONE, ONE]),
        ({GONE: 4}, [None] * 4),
    ],
)
def test_workers_are_put_where_there_is_room_for_them(
    killed: list[Actor],  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
    room: dict[str, int] | None,
    nodes: list[str | None],
) -> None:
    monkeypatch.setattr(actor_pool, "_living_nodes", lambda: {ONE, OTHER})
    actors = ActorClass()
    pool = pool_of(Places(), lambda: 4)
    pool._actor_class, pool._room = actors, room
    pool._replace_dead()
    assert sorted(map(str, actors.nodes)) == sorted(map(str, nodes))


def broken(places: Places) -> Places:
    for shard in "xyz":
        places.died(BAD, shard, "ECC")
    return places


@pytest.mark.usefixtures("killed")
def test_nodes_that_join_get_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    now, count = [0.0], [2]
    monkeypatch.setattr(actor_pool, "time", SimpleNamespace(monotonic=lambda: now[0]))
    pool = pool_of(Places(), lambda: count[0])
    wanted = []
    for seconds, count[0] in ((0.0, 2), (10.0, 5), (31.0, 5), (62.0, 3)):
        now[0] = seconds
        pool._count_again()
        pool._replace_dead()
        wanted.append(len(pool._running))
    # Those that have no place yet are not waited for where there is none any more.
    assert wanted == [2, 2, 5, 3]


@pytest.mark.usefixtures("killed")
def test_a_death_may_be_a_places_fault_though_the_other_place_has_no_worker_just_now() -> None:
    places = Places()
    places.seen(GOOD)
    pool = pool_of(places)
    step = Step(TASKS[0], 0, 1)
    assert pool._blamed_on_place(Running(Actor(), step, BAD), step, "ECC") > 0
    alone = pool_of(Places())
    assert alone._blamed_on_place(Running(Actor(), step, BAD), step, "ECC") == 0


@pytest.mark.usefixtures("killed")
def test_the_only_worker_at_a_place_out_of_use_is_parked_where_others_live() -> None:
    pool, newcomer = pool_of(broken(Places())), Running(Actor(), None)
    pool._running[object()] = Running(Actor(), Step(TASKS[0], 0, 1), GOOD)
    pool._finished(newcomer, (BAD, "host:1"), lambda _: None)
    assert pool._parked == [newcomer]
    assert newcomer.actor.asked == []
    pool._close_and_open_places()
    assert pool._parked == [newcomer]
    alone, newcomer = pool_of(broken(Places())), Running(Actor(), None)
    alone._finished(newcomer, (BAD, "host:1"), lambda _: None)
    assert alone._parked == []
    assert newcomer.actor.asked == ["start"]


@pytest.mark.usefixtures("killed")
def test_workers_that_die_while_starting_are_replaced_after_a_pause_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [90_000.0]
    monkeypatch.setattr(actor_pool, "time", SimpleNamespace(monotonic=lambda: now[0]))
    places = Places()
    places.seen(GOOD)
    pool = pool_of(places)

    def die() -> None:
        pool._died_starting(Running(Actor(), None, BAD), "fallen off the bus", 2, None)

    for deaths in range(1, 9):
        die()
        pool._replace_dead()
        assert not pool._running
        now[0] += deaths
    pool._replace_dead()
    assert len(pool._running) == 2
    # While there is work elsewhere it is no reason to end.
    working = object()
    pool._running[working] = Running(Actor(), Step(TASKS[0], 0, 1), GOOD)
    die()
    del pool._running[working]
    with pytest.raises(WorkerDiedError, match="died 10 times while starting"):
        die()
