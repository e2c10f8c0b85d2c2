"""Numbers that change without a raised revision are noticed: every computation's are recorded."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from offmanifold.jobs.audits import stages_of
from offmanifold.jobs.drive.lanes import all_needs
from offmanifold.jobs.plan.stage import PlanContext

from ..registered import COMPUTATIONS
from .recorded_revisions import TOLERANCE, Recorded, complaints, computations_of, read


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.xdist_group("tiny")
def test_a_stage_is_planned_from_what_it_says_it_needs(tiny: list[PlanContext]) -> None:
    for context in tiny:
        for stage in stages_of(context.spec):
            alone = PlanContext(context.spec, context.facts, context.run)
            needed = all_needs(stage)
            alone.plans = {name: plan for name, plan in context.plans.items() if name in needed}
            assert list(stage.shards(alone).ids) == list(context.plans[stage.name].ids), stage.name


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.xdist_group("tiny")
def test_no_shard_of_workers_on_cpus_calls_a_generator(tiny: list[PlanContext]) -> None:
    """Nor is an image rendered on the CPU that other stages render on the GPU."""
    shards = [shard for context in tiny for plan in context.plans.values() for shard in plan]
    on_cpus = [shard for shard in shards if not shard.calls_networks]
    assert {"patch_gmm", "local_variation", "code_lengths"} <= {each.stage for each in on_cpus}
    assert not {each.stage for each in on_cpus if "weights" in each.settings}
    assert not {each.stage for each in on_cpus if each.items[0].image_seed is not None}


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.xdist_group("tiny")
def test_every_computation_has_its_recorded_numbers(tiny: list[PlanContext]) -> None:
    found = computations_of(tiny)
    assert {"tuning", "inversion"} <= found["likelihood.classical"].rests_on
    assert not {"likelihood.classical", "likelihood.guided"} & found["likelihood.guided"].rests_on
    problems = complaints(read(), found, COMPUTATIONS)
    assert not problems, "\n".join(problems)


def moved(computations: Mapping[str, Recorded], name: str, share: float) -> dict[str, Recorded]:
    """The last number of each of a computation's columns moved by a share of the column's size."""
    numbers = {
        column: [*values[:-1], values[-1] + share * values[1]]
        for column, values in computations[name].numbers.items()
    }
    return {**computations, name: replace(computations[name], numbers=numbers)}


@pytest.mark.parametrize("name", sorted(COMPUTATIONS))
def test_changed_numbers_ask_for_a_raised_revision(name: str) -> None:
    recorded = read()
    assert not complaints(recorded, recorded, COMPUTATIONS)
    assert not complaints(recorded, moved(recorded, name, 0.9 * TOLERANCE), COMPUTATIONS)
    (found,) = complaints(recorded, moved(recorded, name, 1.1 * TOLERANCE), COMPUTATIONS)
    assert found.startswith(
        f"the numbers of {name} changed: raise the revision of {name} in workers/ and "
        "record them anew with `python -m tests.jobs.record_revisions`"
    )


def test_a_change_that_may_come_from_another_computation_says_so() -> None:
    recorded = read()
    now = moved(moved(recorded, "tuning", 1.0), "likelihood.classical", 1.0)
    rests_on = frozenset({"tuning", "inversion"})
    now["likelihood.classical"] = replace(now["likelihood.classical"], rests_on=rests_on)
    classical, tuning = complaints(recorded, now, COMPUTATIONS)
    assert "as did those of tuning, which it rests on" in classical
    assert tuning.startswith("the numbers of tuning changed: raise the revision of tuning")
    now["tuning"] = recorded["tuning"]
    (classical,) = complaints(recorded, now, COMPUTATIONS)
    assert "changed: raise the revision of likelihood.classical" in classical


def test_a_number_that_is_none_any_more_is_a_change() -> None:
    recorded = read()
    (found,) = complaints(recorded, moved(recorded, "inversion", float("nan")), COMPUTATIONS)
    assert "the numbers of inversion changed" in found


def with_numbers(name: str, numbers: dict[str, list[float]]) -> dict[str, Recorded]:
    recorded = read()
    return {**recorded, name: replace(recorded[name], numbers=numbers)}


def test_more_or_fewer_numbers_are_a_change() -> None:
    numbers = dict(read()["inversion"].numbers)
    count, *rest = numbers["inversion.mse"]
    longer = with_numbers("inversion", {**numbers, "inversion.mse": [count + 1, *rest]})
    (found,) = complaints(read(), longer, COMPUTATIONS)
    assert "the numbers of inversion changed" in found
    assert f"inversion.mse has {count + 1:.0f} numbers, not {count:.0f}" in found


def test_other_columns_ask_for_the_version_of_their_table() -> None:
    numbers = dict(read()["inversion"].numbers)
    moved_column = {**numbers, "inversion.other": numbers.pop("inversion.mse")}
    del moved_column["inversion.mse"]
    (found,) = complaints(read(), with_numbers("inversion", moved_column), COMPUTATIONS)
    assert found.startswith("inversion has other columns: inversion.mse, inversion.other: raise")
    assert "raise the version of their table" in found


def test_a_raised_revision_asks_to_be_recorded_whatever_the_numbers() -> None:
    recorded = read()
    for share in (0.0, 1.0):
        now = moved(recorded, "sensing", share)
        now["sensing"] = replace(now["sensing"], revision=now["sensing"].revision + 1)
        (found,) = complaints(recorded, now, COMPUTATIONS)
        assert "record its numbers anew with `python -m tests.jobs.record_revisions`" in found


def test_missing_and_extra_computations_are_complaints() -> None:
    recorded = read()
    without = {name: found for name, found in recorded.items() if name != "ppca"}
    (missing,) = complaints(recorded, without, COMPUTATIONS)
    assert "ppca is not computed by the tiny run" in missing
    (extra,) = complaints(without, recorded, COMPUTATIONS)
    assert "ppca was never recorded" in extra
    (registered,) = complaints(recorded, recorded, [*COMPUTATIONS, "astrology"])
    assert "astrology is not computed by the tiny run" in registered
    (unnamed,) = complaints(recorded, recorded, COMPUTATIONS.keys() - {"ppca"})
    assert "ppca is computed for a stage that does not name it" in unnamed
