"""A stage's shards are made when they are needed, and are the same ones each time."""

from collections.abc import Iterator
from typing import Any

import pytest
from offmanifold.cluster.serial_executor import SerialExecutor
from offmanifold.jobs.drive.pending import PendingTasks
from offmanifold.jobs.plan.places import Places
from offmanifold.jobs.plan.shards import Shards
from offmanifold.workers.inversion import COMPUTATION, INVERSION_TABLE
from offmanifold.workers.shard import Item, Shard, chunk


class Maker:
    """Makes shards of so many items, and counts how many it has made."""

    def __init__(self, items: int, seed: int = 0) -> None:
        self.items, self.seed, self.made = items, seed, 0

    def __call__(self) -> Iterator[Shard]:
        items = (
            Item("g", None, "train", f"train-{index:06d}", None, seed=self.seed)
            for index in range(self.items)
        )
        for shard in chunk(INVERSION_TABLE, COMPUTATION, {"a": 1}, items, 4):
            self.made += 1
            yield shard


def test_ids_and_sizes_are_those_of_the_shards() -> None:
    shards = Shards(Maker(10))
    assert list(shards.ids) == [shard.id for shard in shards]
    assert [size for _, size in shards.sizes] == [4, 4, 2]
    assert (len(shards), shards.items) == (3, 10)
    assert all(shard_id == shard.id for shard_id, shard in shards.with_ids())


def test_a_stage_may_be_empty_and_has_no_shard_twice() -> None:
    nothing = Shards(Maker(0))
    assert (len(nothing), nothing.items, list(nothing.ids), list(nothing)) == (0, 0, [], [])
    with pytest.raises(ValueError, match="two shards have the same id"):
        Shards(lambda: [*Maker(4)(), *Maker(4)()])


def test_places_are_found_by_their_keys_alone() -> None:
    keys = [("g", condition, f"train-{image}") for image in range(50) for condition in (None, 0, 1)]
    found = [(key, index % 7, index) for index, key in enumerate(keys)]
    places = Places(iter(found), [f"part {part}" for part in range(7)])
    for key, part, row in found:
        assert places.get(key) == (f"part {part}", row)
    assert places.get(("g", 2, "train-0")) is None
    assert Places([], []).get(keys[0]) is None
    with pytest.raises(ValueError, match="twice"):
        Places([found[0], found[0]], ["part 0"])


def test_an_executor_has_the_pending_shards_made_one_after_the_other() -> None:
    maker = Maker(40)
    shards = Shards(maker)
    ids = list(shards.ids)
    pending = PendingTasks("inversion", shards, {ids[0], ids[5], "of another plan"})
    assert (len(pending), pending.items) == (8, 32)
    maker.made = 0
    seen: list[tuple[str, int]] = []

    class Worker:
        done = 0.0

        def compute(self, payload: Any, *_span: int) -> Any:
            # This shard, and those before it, but no later one.
            seen.append((payload.id, maker.made))

        def assemble(self, *_: Any) -> Any:
            raise AssertionError

    SerialExecutor().run(pending, Worker, lambda _: None)
    assert seen == [(ids[i], i + 1) for i in range(10) if i not in (0, 5)]
