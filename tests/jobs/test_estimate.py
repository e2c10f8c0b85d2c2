"""What ``plan`` says of time: counted work over a measured speed, and what saves the most."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pytest
import torch
from offmanifold.core.calls import Kind
from offmanifold.core.generators.class_set import ClassSetGenerator
from offmanifold.core.row_limit import RowLimit
from offmanifold.jobs.audits import stages_of
from offmanifold.jobs.audits.inversion.plan import inversion_work
from offmanifold.jobs.audits.inversion.settings import InversionSpec
from offmanifold.jobs.audits.specs import gather_facts, load_spec
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.commands.plan_table import Plan, plan_table
from offmanifold.jobs.drive.estimate import Estimate, estimate
from offmanifold.jobs.drive.foreseen import Foreseen, needs
from offmanifold.jobs.plan.stage import AuditContext, Cost
from offmanifold.workers.generators import GeneratorError, open_generator
from offmanifold.workers.speed import Batch, Needs, generator_speed
from offmanifold.workers.timed_parts import (
    BATCHES,
    COMPONENTS,
    PATCHES,
    LpipsPart,
    NearestPart,
    Part,
    PatchPart,
    ReadingPart,
    TrainingPart,
    part_seconds,
)
from offmanifold.workers.timing import Seconds, Timing
from offmanifold.workers.tried_errors import TriedErrors
from rich.console import Console
from torchvision.models import alexnet
from typer.testing import CliRunner

from .conftest import small_spec, write_spec
from .speeds import steady

SERIAL = "cluster.executor=serial"
# Of the digits' generator.
LATENT = 16
FEW = Needs(
    {kind: [Batch(2, 1), Batch(2, 2)] for kind in Kind},
    bank=32,
)


def estimated(speed: Any, *overrides: str, parts: Any = None) -> Estimate:
    """The digits' at a made-up speed, where a part of other work takes no time."""
    spec = load_spec("digits", (SERIAL, *overrides))
    idle = parts or (lambda asked, *_: dict.fromkeys(asked, Seconds(0.0, 0.0)))
    with (
        patch("offmanifold.jobs.drive.estimate.source_speed", speed),
        patch("offmanifold.jobs.drive.estimate.part_seconds", idle),
        # What this process holds is the other tests'.
        patch("offmanifold.jobs.drive.estimate._resident_bytes", lambda: 2**20),
    ):
        return estimate(AuditContext(spec, gather_facts(spec)))


def test_the_range_is_the_work_at_both_speeds_and_half_of_a_key_saves_what_it_says() -> None:
    found = estimated(lambda *_: steady(0.01, 0.02, LATENT))
    total = found.total
    assert found.workers == 1
    assert total.seconds is not None
    # Banks that stages share are decoded once; a tolerance or a grid may want more than the least.
    assert total.seconds.least <= total.evaluations / 100
    assert total.seconds.most >= 2 * total.seconds.least
    assert total.evaluations == sum(stage.evaluations for stage in found.stages)
    for stage in found.stages:
        if stage.stage in ("tuning", "images"):
            assert stage.seconds == pytest.approx((stage.evaluations / 100, stage.evaluations / 50))
    assert [each.share for each in found.lower_first] == sorted(
        (each.share for each in found.lower_first), reverse=True
    )
    first = found.lower_first[0]
    halved = estimated(lambda *_: steady(0.01, 0.02, LATENT), f"{first.key}={first.half}")
    assert halved.total.seconds is not None
    saved = 1 - sum(halved.total.seconds) / sum(total.seconds)
    assert saved == pytest.approx(first.share)


def test_a_trial_of_the_inversion_says_how_long_the_grids_of_variances_are() -> None:
    unknown = estimated(lambda *_: steady(0.01, 0.01, LATENT))
    errors = TriedErrors(data=0.05, own=0.0005, lean=False)
    known = estimated(lambda *_: replace(steady(0.01, 0.01, LATENT), errors=errors))
    for name in ("variance_fit", "null_fit"):
        wide, narrow = (
            next(stage.seconds for stage in found.stages if stage.stage == name)
            for found in (unknown, known)
        )
        assert wide is not None
        assert narrow is not None
        assert wide.least <= narrow.least <= narrow.most < wide.most
        assert narrow.most <= 1.1 * narrow.least
    assert known.lower_first


def test_only_calls_that_are_made_are_timed() -> None:
    """A generator without a Jacobian is audited without one, as a plan's refusal of it says."""
    (generator,) = gather_facts(load_spec("digits", (SERIAL,))).generators.values()
    for polish, expected in ((0, False), (1, True)):
        work, banks = inversion_work(generator, InversionSpec(polish=polish), 4, 2)
        (timed,) = needs([Cost.of(4, 1, work, banks)], [generator.name]).values()
        assert (Kind.JACOBIAN in timed.batches) is expected


def test_what_is_not_timed_makes_a_lower_bound() -> None:
    found = estimated(lambda *_: steady(0.01, 0.02, LATENT))
    stages = {each.stage: each for each in found.stages}
    assert stages["inversion"].untimed is None
    assert stages["images"].untimed is None
    assert stages["variance"].untimed is None
    assert stages["ppca"].untimed == "all of it"
    assert stages["annotations"].untimed == "all but the drawing of images"
    assert found.total.untimed is not None
    assert "ppca: all of it" in found.total.untimed
    assert "rounds of training after the first 3" in found.total.untimed


def test_work_without_a_generator_is_counted_in_parts_of_it() -> None:
    """Each part takes a second here."""
    idle = {each.stage: each for each in estimated(lambda *_: steady(0.01, 0.02, LATENT)).stages}
    found = estimated(
        lambda *_: steady(0.01, 0.02, LATENT),
        parts=lambda asked, *_: dict.fromkeys(asked, Seconds(1.0, 1.0)),
    )
    stages = {each.stage: each for each in found.stages}

    def beside(stage: str) -> tuple[float, float]:
        more, less = stages[stage].seconds, idle[stage].seconds
        assert more is not None
        assert less is not None
        return more.least - less.least, more.most - less.most

    # 128, 32, 32 and 32 images of data, of which eight are read at once.
    assert beside("images") == pytest.approx((28, 28))
    # The mixtures of ten classes: one patch an image, two passes a step, from 2 steps to 100.
    spec = load_spec("digits", (SERIAL,))
    length = gather_facts(spec).references["patch_gmm"].length
    assert length is not None
    read, passes = length / 8, 2 * length * 2 / (PATCHES * COMPONENTS)
    assert beside("patch_fit") == pytest.approx((read + 2 * passes, read + 100 * passes))
    # Three rounds of a hundred batches or more.
    pass_batches = -(-length // 128)
    batches = -(-100 // pass_batches) * pass_batches
    assert beside("annotator")[0] >= 3 * batches / BATCHES
    assert beside("inversion") == (0, 0)


def test_parts_that_fail_are_not_timed_and_make_a_lower_bound() -> None:
    found = estimated(lambda *_: steady(0.01, 0.02, LATENT), parts=lambda *_: {})
    stages = {each.stage: each for each in found.stages}
    assert stages["images"].untimed == "the reading of images"
    assert stages["neighbours"].untimed == "neighbours; the reading of images"


def test_every_part_can_be_timed(tmp_path: Path) -> None:
    """And what is wrong with a set of images is left to the stage that reads it."""
    shape = (3, 32, 32)
    missing = ReadingPart("gone", _empty(tmp_path))
    spec = load_spec("digits", (SERIAL,))
    context = AuditContext(spec, gather_facts(spec))
    reading = {
        chore.part
        for stage in stages_of(spec)
        for chore in stage.cost(context).chores
        if isinstance(chore.part, ReadingPart)
    }
    others: list[Part] = [NearestPart(48, 0), NearestPart(48, 3), PatchPart(1), PatchPart(3)]
    others += [TrainingPart(each, shape, 3, 8) for each in ("linear", "resnet32")]
    with patch("offmanifold.workers.timed_parts.in_rounds", _once):
        found = part_seconds([*others, *reading, missing], torch.device("cpu"))
    assert set(found) == {*others, *reading}
    assert all(each.least > 0 for each in found.values())


def _empty(folder: Path) -> dict[str, Any]:
    place = {"dataset": "folder", "split": None, "path": str(folder)}
    return {**place, "image_shape": [1, 8, 8], "seed": 0}


def _once(timings: dict[Any, Any]) -> dict[Any, Seconds]:
    taken = {key: timing() for key, timing in timings.items()}
    return {key: Seconds(each, each) for key, each in taken.items()}


def test_a_plan_shows_lower_bounds_as_such() -> None:
    spec = load_spec("digits", (SERIAL,))
    found = estimated(
        lambda *_: steady(0.01, 0.02, LATENT),
        parts=lambda asked, *_: dict.fromkeys(asked, Seconds(10.0, 10.0)),
    )
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(plan_table(Plan(spec, found, ())))
    rows = {line.split()[0]: line for line in console.export_text().splitlines() if line.strip()}
    assert "not timed" in rows["ppca"]
    assert "\N{GREATER-THAN OR EQUAL TO}" in rows["annotator"]
    assert "\N{GREATER-THAN OR EQUAL TO}" in rows["total"]
    assert "\N{GREATER-THAN OR EQUAL TO}" not in rows["inversion"]


def test_memory_is_of_the_rows_that_are_differentiated_together_and_of_banks() -> None:
    whole = estimated(lambda *_: steady(1, 1, LATENT))
    first = whole.leaner[0]
    less = estimated(lambda *_: steady(1, 1, LATENT), f"{first.key}={first.half}")
    largest = max(stage.memory or 0 for stage in whole.stages)
    assert whole.total.memory == largest
    assert largest - (less.total.memory or 0) > 0
    limited = replace(steady(1, 1, LATENT), bytes_of_row=10**9, limit=RowLimit(4))
    bounded = estimated(lambda *_: limited)
    assert max(stage.memory or 0 for stage in bounded.stages) < 4 * 10**9 + 2**30


def test_lpips_in_a_plan_is_timed(tmp_path: Path) -> None:
    backbone = tmp_path / "alexnet.pth"
    torch.save(alexnet(weights=None).features.state_dict(prefix="features."), backbone)
    parts = [LpipsPart("alex", str(backbone), (1, 8, 8), each) for each in (False, True)]
    with patch("offmanifold.workers.timed_parts.in_rounds", _once):
        found = part_seconds(parts, torch.device("cpu"))
    assert set(found) == set(parts)


def test_a_stage_of_few_shards_may_keep_some_workers_idle() -> None:
    found = Foreseen(Seconds(5.0, 10.0), Seconds(1.0, 1.0))
    assert found.alone == (6.0, 11.0)
    # Three rounds of five shards: one worker computes three of them, unless other stages come.
    assert found.shared(5, 2) == (3.5, 7.0)
    assert found.shared(1, 4) == (2.25, 11.0)
    assert found.shared(1, 1) == found.alone


def test_a_call_takes_what_lies_between_the_batches_that_were_timed() -> None:
    timing = Timing(8, Seconds(1, 2), 32, Seconds(4, 5))
    assert timing.seconds(8) == (1, 2)
    assert timing.seconds(20) == (2.5, 3.5)
    assert timing.seconds(56) == (7, 8)
    # What a worker fills up costs as much as the whole.
    assert timing.seconds(2) == (1, 2)
    assert Timing(8, Seconds(1, 2), 8, Seconds(1, 2)).seconds(24) == (3, 6)


def test_progress_knows_nothing_of_a_bank() -> None:
    spec = load_spec("digits", (SERIAL,))
    context = AuditContext(spec, gather_facts(spec))
    costs = {stage.name: stage.cost(context) for stage in stages_of(spec)}
    inversion = costs["inversion"]
    assert inversion.banks
    banked = sum(bank.evaluations for bank in inversion.banks)
    assert inversion.item_evaluations * inversion.items == inversion.evaluations - banked


@pytest.mark.parametrize("count", [1, 2])
def test_a_plan_decodes_a_bank_for_the_classes_that_a_run_meets(
    audit_folder: Path, count: int
) -> None:
    images = {"dataset": "folder", "path": "images", "count": count}
    spec = small_spec()
    spec["groups"] = [
        {"name": "train", "role": "train", **images},
        {"name": "generated", "role": "generated", "count": 4},
    ]
    spec["stages"] = {"inversion": spec["stages"]["inversion"]}
    file = write_spec(audit_folder, spec)
    done = CliRunner().invoke(app, ["run", str(file), "--out", str(audit_folder / "run")])
    assert done.exit_code == 0, done.output
    met = pd.read_parquet(audit_folder / "run" / "inversion")["condition"].nunique()
    known = load_spec(str(file))
    context = AuditContext(known, gather_facts(known))
    costs = {stage.name: stage.cost(context) for stage in stages_of(known)}
    [bank] = costs["inversion"].banks
    assert bank.classes == met == count


def test_a_generator_that_fails_in_large_batches_leaves_a_plan_without_times(
    audit_folder: Path,
) -> None:
    module = audit_folder / "decoder.py"
    check = "if len(latent) > 8:\n            raise RuntimeError('too many')\n        values ="
    module.write_text(module.read_text().replace("values =", check, 1))
    done = CliRunner().invoke(app, ["plan", str(audit_folder / "audit.yaml"), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["total"]["seconds"] is None
    assert "RuntimeError: too many" in found["untimed"]
    assert found["total"]["evaluations"] > 0
    assert {stage["stage"] for stage in found["stages"]} >= {"inversion", "likelihood"}


def test_only_the_classes_that_a_set_has_are_timed() -> None:
    member = open_generator("shipped:digits").generator

    class One:
        latent_dim, num_classes, image_shape = member.latent_dim, 0, member.image_shape

        def __call__(self, latent: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
            assert condition is None
            return member(latent, torch.zeros(len(latent), dtype=torch.long))

        def to(self, _: torch.device) -> "One":
            return self

    speed = generator_speed(ClassSetGenerator({2: One(), 5: One()}), torch.device("cpu"), FEW)
    assert all(speed.seconds(kind, 4).least > 0 for kind in Kind)
    assert speed.decoding.least > 0


def test_what_a_generator_raises_is_told() -> None:
    class Broken:
        latent_dim, num_classes, image_shape = 2, 0, (1, 2, 2)

        def __call__(self, latent: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
            del latent, condition
            raise ValueError("never")

        def to(self, _: torch.device) -> "Broken":
            return self

    with pytest.raises(GeneratorError, match="ValueError: never"):
        generator_speed(Broken(), torch.device("cpu"), FEW)
