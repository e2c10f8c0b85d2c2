"""What ``plan`` says of time: counted work over a measured speed, and what saves the most."""

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from offmanifold.core.generators.class_set import ClassSetGenerator
from offmanifold.jobs.audits.specs import gather_facts, load_spec
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.drive.estimate import Estimate, estimate
from offmanifold.jobs.plan.stage import AuditContext
from offmanifold.workers.generators import GeneratorError, open_generator
from offmanifold.workers.speed import Speed, generator_speed
from typer.testing import CliRunner

SERIAL = "cluster.executor=serial"


def estimated(speed: Any, *overrides: str) -> Estimate:
    spec = load_spec("digits", (SERIAL, *overrides))
    with patch("offmanifold.jobs.drive.estimate.source_speed", speed):
        return estimate(AuditContext(spec, gather_facts(spec)))


def test_the_range_is_the_work_at_both_speeds_and_half_of_a_key_saves_what_it_says() -> None:
    found = estimated(lambda *_: Speed(100, 400))
    assert found.workers == 1
    assert found.total.seconds == (found.total.evaluations / 400, found.total.evaluations / 100)
    assert found.total.evaluations == sum(stage.evaluations for stage in found.stages)
    assert [each.share for each in found.lower_first] == sorted(
        (each.share for each in found.lower_first), reverse=True
    )
    first = found.lower_first[0]
    halved = estimated(lambda *_: Speed(400, 100), f"{first.key}={first.half}")
    saved = 1 - halved.total.evaluations / found.total.evaluations
    assert saved == pytest.approx(first.share)
    # Whichever kind of batch is the faster one.
    assert halved.total.seconds is not None
    assert halved.total.seconds[0] < halved.total.seconds[1]


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

    speed = generator_speed(ClassSetGenerator({2: One(), 5: One()}), torch.device("cpu"))
    assert min(speed.few, speed.many) > 0


def test_what_a_generator_raises_is_told() -> None:
    class Broken:
        latent_dim, num_classes, image_shape = 2, 0, (1, 2, 2)

        def __call__(self, latent: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
            del latent, condition
            raise ValueError("never")

        def to(self, _: torch.device) -> "Broken":
            return self

    with pytest.raises(GeneratorError, match="ValueError: never"):
        generator_speed(Broken(), torch.device("cpu"))
