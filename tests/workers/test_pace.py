"""How many items are computed at once: by how long they take, whatever a span costs besides."""

import pytest
from offmanifold.workers.pace import Pace, TooLongError

CALLS = 50


class Machine:
    """A clock that computing moves on: a span takes so long, and each item so much more.

    Items are filled up to a multiple of ``block``.
    """

    def __init__(
        self, fixed: float, per_item: float, planned: float = CALLS, block: int = 1
    ) -> None:
        self.now = 0.0
        self.fixed, self.per_item, self.block = fixed, per_item, block
        self.pace = Pace({"stage": planned}, lambda: self.now)
        self.begun_again = 0

    def seconds(self, items: int) -> float:
        """What so many items take at once."""
        return self.fixed + self.per_item * -(-items // self.block) * self.block

    def shard(self, items: int) -> list[tuple[int, float]]:
        """Computes a shard: the items of each span, and its seconds."""
        spans = []
        done = 0
        while done < items:
            size = self.pace.items("kind", items - done)
            began = self.now
            try:
                with self.pace.span("stage", "kind", done, size):
                    for _ in range(CALLS):
                        self.pace.evaluating(size)
                        self.now += self.seconds(size) / CALLS
            except TooLongError:
                self.begun_again += 1
                call = self.seconds(size) / CALLS
                # The prelude is over after one long call, and another one tells.
                assert self.now - began <= max(30, 2 * call) + 1e-6
                continue
            spans.append((size, self.now - began))
            done += size
        assert done == items
        return spans


def test_what_is_short_is_computed_whole() -> None:
    machine = Machine(fixed=1.0, per_item=2.0)
    ((items, seconds),) = machine.shard(32)
    assert items == 32
    assert seconds == pytest.approx(65.0)
    assert machine.begun_again == 0


@pytest.mark.parametrize("per_item", [4.0, 11.0, 49.0, 130.0])
def test_no_more_than_two_minutes_are_lost_unless_an_item_takes_longer(per_item: float) -> None:
    machine = Machine(fixed=0.0, per_item=per_item)
    spans = machine.shard(32)
    # Two items are tried once where one takes longer than that.
    assert max(seconds for _, seconds in spans) <= max(100, 2 * per_item)
    for _ in range(2):
        spans = machine.shard(32)
        assert all(seconds <= 100 or size == 1 for size, seconds in spans)
    # Only the first span of its kind is begun again, and its pieces are worth it.
    assert machine.begun_again == 1
    assert all(seconds >= 24 for _, seconds in spans[:-1])


@pytest.mark.parametrize("planned", [CALLS / 5, CALLS * 5])
def test_a_plan_that_is_wrong_is_corrected(planned: float) -> None:
    machine = Machine(fixed=0.0, per_item=10.0, planned=planned)
    machine.shard(32)
    spans = machine.shard(32)
    assert all(24 <= seconds <= 100 for _, seconds in spans[:-1])


def test_without_a_plan_a_long_shard_teaches_the_next() -> None:
    machine = Machine(fixed=0.0, per_item=10.0, planned=0)
    assert [size for size, _ in machine.shard(32)] == [32]
    assert all(seconds <= 100 for _, seconds in machine.shard(32))


@pytest.mark.parametrize("planned", [CALLS, 0, CALLS / 3, CALLS * 5])
@pytest.mark.parametrize(("fixed", "per_item"), [(150.0, 0.5), (960.0, 1e-4)])
def test_where_few_items_take_as_long_as_many_they_are_not_parted(
    fixed: float, per_item: float, planned: float
) -> None:
    """A GPU that is not busy: in parts it would take many times as long."""
    machine = Machine(fixed, per_item, planned)
    for _ in range(3):
        machine.shard(32)
    assert [size for size, _ in machine.shard(32)] == [32]


@pytest.mark.parametrize("block", [1, 4, 8, 16])
@pytest.mark.parametrize(("fixed", "per_item"), [(0.0, 10.0), (40.0, 4.0), (10.0, 8.0)])
def test_what_spans_cost_is_bounded(fixed: float, per_item: float, block: int) -> None:
    """Rows that fill up a block, and what a span costs besides, are paid for by few spans."""
    machine = Machine(fixed, per_item, block=block)
    for _ in range(3):
        machine.shard(32)
    spans = machine.shard(32)
    assert sum(seconds for _, seconds in spans) <= 2 * machine.seconds(32)
    # Of 16 items to a block, one takes as long as 16.
    longest = 120 if block < 16 else machine.seconds(2 * block)
    assert all(seconds <= longest + 1e-6 for _, seconds in spans)


def test_how_far_a_shard_is() -> None:
    pace = Pace({"stage": 10.0})
    assert pace.done == 0
    with pace.span("stage", "kind", 4, 2):
        assert pace.done == 4
        pace.evaluating(5)
        assert pace.done == 4.5
        # More than planned is no more than all.
        pace.evaluating(100)
        assert pace.done == 6
    assert pace.done == 0
    with pace.span("stage", "kind", 0, 2):
        # By what the last one took.
        pace.evaluating(21)
        assert pace.done == pytest.approx(2 * 21 / 105)
    with pace.span("other", "kind of other", 3, 2):
        pace.evaluating(5)
        assert pace.done == 3


def test_an_error_leaves_nothing_running() -> None:
    pace = Pace({"stage": 10.0})

    def fail() -> None:
        with pace.span("stage", "kind", 0, 2):
            pace.evaluating(1)
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        fail()
    assert pace.done == 0
    # A generator that is called outside of a shard, as by `plan`, is nobody's progress.
    pace.evaluating(1)
    assert pace.done == 0


def test_what_is_kept_for_many_shards_is_of_no_shard() -> None:
    """Neither the rows nor the seconds of a bank that is decoded in the middle of one."""
    machine = Machine(fixed=0.0, per_item=2.0)
    with machine.pace.span("stage", "kind", 0, 32):
        for call in range(CALLS):
            machine.pace.evaluating(32)
            machine.now += machine.seconds(32) / CALLS
            if call == 5:
                with machine.pace.aside():
                    machine.pace.evaluating(100_000)
                    machine.now += 500.0
        assert machine.pace.done == 32
    assert machine.pace.items("kind", 32) == 32
    ((items, seconds),) = machine.shard(32)
    assert items == 32
    assert seconds == pytest.approx(64.0)
