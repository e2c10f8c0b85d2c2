from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from offmanifold.cluster.executor import (
    MEMORY_DEATHS_PARDONED,
    PREEMPTIONS_PARDONED,
    AssembleStep,
    Schedule,
    Step,
    Task,
    WorkerDiedError,
)


def next_of(schedule):
    """The next step, of which there must be one."""
    step = schedule.next()
    assert step is not None
    return step


def report(task):
    return SimpleNamespace(task_id=task.id, rows=task.size, failed=0, seconds=0.0, published=True)


def run(schedule, poison, attempts_log=None):
    """Run a schedule on a worker that dies of any item in ``poison`` (by task); final reports."""
    done, assembled = [], {}
    while schedule.take_up(1):
        step = schedule.next()
        assert step is not None
        if isinstance(step, AssembleStep):
            assembled[step.task.id] = (step.spans, dict(step.lost))
        elif set(range(step.start, step.stop)) & poison.get(step.task.id, set()):
            if attempts_log is not None:
                attempts_log.append((step.task.id, step.start, step.stop))
            schedule.died(step, f"died in {step.start}:{step.stop}")
            continue
        final = schedule.completed(step, report(step.task))
        if final is not None:
            done.append(final.task_id)
    assert schedule.next() is None
    return done, assembled


def test_tasks_that_survive_are_run_whole_and_in_order():
    tasks = [Task(str(i), None, 4) for i in range(5)]
    done, assembled = run(Schedule(tasks, 2), {})
    assert done == ["0", "1", "2", "3", "4"]
    assert assembled == {}


def test_a_bad_item_is_narrowed_down_by_halving():
    log: list[Any] = []
    done, assembled = run(Schedule([Task("a", None, 8)], 2), {"a": {5}}, log)
    assert done == ["a"]
    assert assembled == {"a": (((0, 4), (4, 5), (6, 8)), {5: "died in 5:6"})}
    assert sorted(log) == sorted([("a", 0, 8), ("a", 4, 8), ("a", 4, 6), ("a", 5, 6)] * 2)


@given(
    size=st.integers(1, 40),
    poison=st.sets(st.integers(0, 39)),
    max_attempts=st.integers(1, 3),
)
def test_every_item_is_computed_once_or_lost(size, poison, max_attempts):
    poison = {item for item in poison if item < size}
    done, assembled = run(Schedule([Task("a", None, size)], max_attempts), {"a": poison})
    assert done == ["a"]
    if not poison:
        assert assembled == {}
        return
    spans, lost = assembled["a"]
    computed = [item for start, stop in spans for item in range(start, stop)]
    assert set(lost) == poison
    assert sorted(computed + list(lost)) == list(range(size))


def test_one_death_is_forgiven():
    schedule = Schedule([Task("a", None, 4)], 2)
    step = next_of(schedule)
    schedule.died(step, "killed")
    assert schedule.next() == step
    assert schedule.completed(step, report(step.task)) == report(step.task)
    assert schedule.unfinished == 0


@pytest.mark.parametrize("pardons", [PREEMPTIONS_PARDONED, MEMORY_DEATHS_PARDONED])
def test_a_pardoned_death_costs_no_attempt_but_they_do_not_go_on_forever(pardons):
    schedule = Schedule([Task("a", None, 1)], 1)
    for _ in range(pardons):
        step = schedule.next()
        assert isinstance(step, Step)
        schedule.died(step, "node gone", pardons=pardons)
    schedule.died(next_of(schedule), "node gone", pardons=pardons)
    assert schedule.next() == AssembleStep(Task("a", None, 1), (), {0: "node gone"})


def test_a_part_that_cannot_be_assembled_is_an_error():
    schedule = Schedule([Task("a", None, 1)], 2)
    for _ in range(3):
        schedule.died(next_of(schedule), "out of memory")
    with pytest.raises(WorkerDiedError, match=r"shard a, assembling: .* 2 times.*out of memory"):
        schedule.died(next_of(schedule), "out of memory")


def test_bad_arguments():
    with pytest.raises(ValueError, match="max_attempts must be at least 1"):
        Schedule([], 0)
    with pytest.raises(ValueError, match="0 items, expected at least 1"):
        Task("a", None, 0)
