"""The quick form of an audit: what it cuts, which is chosen, and what a whole run makes of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pytest
import yaml
from offmanifold.jobs.audits.quick import quick_forms
from offmanifold.jobs.audits.specs import gather_facts, load_spec
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.drive.quick import chosen_form
from offmanifold.jobs.spec.audit import AuditSpec
from offmanifold.jobs.spec.loading import SpecError, spec_digest
from typer.testing import CliRunner

from .conftest import small_spec, write_spec
from .speeds import steady


def test_a_form_is_a_form_of_itself_and_only_has_less() -> None:
    full = load_spec("digits")
    forms = quick_forms(full, gather_facts(full))
    assert len(forms) == 4
    for form in forms:
        facts = gather_facts(form)
        assert form in quick_forms(form, facts)
        for group in form.groups:
            count, most = group.count, full.group(group.name).count
            assert count is not None
            assert most is not None
            # The fewest of which a mean has an interval; of a half too.
            assert 16 <= count <= most
            assert group.conditions == "own"
        for name in type(full.stages).model_fields:
            mine, theirs = getattr(form.stages, name), getattr(full.stages, name)
            assert mine is None or theirs is not None
            for key, value in () if mine is None else mine:
                assert not isinstance(value, int) or value <= getattr(theirs, key)
    assert [form.stages.model_dump()["likelihood"] is None for form in forms] == [0, 1, 1, 1]


def test_the_most_that_takes_four_minutes_is_chosen() -> None:
    spec = load_spec("digits", ("quick=true", "cluster.executor=serial"))
    chosen = [_at(rate, spec) for rate in (10_000, 500, 150, 10)]
    facts = gather_facts(spec)
    assert [each.model_dump() for each in chosen] == [
        each.model_dump() for each in quick_forms(spec, facts)
    ]


def _at(rate: float, spec: AuditSpec) -> AuditSpec:
    """The form chosen where a generator has so many evaluations a second."""
    estimate = "offmanifold.jobs.drive.estimate"
    with (
        patch(f"{estimate}.source_speed", lambda *_: steady(1 / rate, 1 / rate, 16)),
        patch(f"{estimate}.part_seconds", lambda *_: {}),
    ):
        return chosen_form(spec).spec


def test_nothing_to_shorten_is_an_error_and_the_digest_is_of_what_is_asked() -> None:
    spec = load_spec("digits")
    bare = spec.model_copy(update={"stages": type(spec.stages)()})
    with pytest.raises(SpecError, match="leave quick out"):
        quick_forms(bare, gather_facts(spec))
    assert spec_digest(spec) == spec_digest(load_spec("digits", ("quick=true",)))


@pytest.fixture
def invoke(audit_folder: Path) -> Callable[..., Any]:
    spec = small_spec()
    keep = ("inversion", "neighbours", "local_variation")
    spec["stages"] = {name: spec["stages"][name] for name in keep}
    spec["groups"] = [group for group in spec["groups"] if group["role"] != "simulated"]
    spec["groups"][2]["count"] = 20
    write_spec(audit_folder, spec)
    run = str(audit_folder.parent / "run")

    def called(command: str, *options: str) -> Any:
        where = ["--out", run] if command == "run" else []
        arguments = [command, str(audit_folder / "audit.yaml"), *where, *options]
        return CliRunner().invoke(app, arguments)

    return called


def test_a_whole_run_takes_over_a_quick_one(invoke: Callable[..., Any], audit_folder: Path) -> None:
    planned = invoke("plan", "--quick")
    assert planned.exit_code == 0, planned.output
    assert "generated 20 \N{RIGHTWARDS ARROW} 16" in planned.stdout
    assert "without the stages neighbours" in planned.stdout
    run = audit_folder.parent / "run"
    done = invoke("run", "--quick")
    assert done.exit_code == 0, done.output
    assert "intervals up to 1.1 times as wide" in done.stderr
    assert "A quick answer" in done.stdout
    assert "Quick audit." in (run / "report.html").read_text()
    assert yaml.safe_load((run / "audit.yaml").read_text())["quick"] is True
    quick = set((run / "images").iterdir())
    assert len(pd.read_parquet(run / "images").query("group == 'generated'")) == 16
    # It is continued in its form, at whatever speed the machine is now.
    with patch("offmanifold.jobs.drive.estimate.source_speed", lambda *_: steady(1e6, 1e6)):
        again = chosen_form(load_spec(str(audit_folder / "audit.yaml"), ("quick=true",)), run)
    assert again.spec == load_spec(str(run / "audit.yaml"))
    whole = invoke("run")
    assert whole.exit_code == 0, whole.output
    assert "A quick answer" not in whole.stdout
    assert "Quick audit." not in (run / "report.html").read_text()
    kept = quick & set((run / "images").iterdir())
    # Of groups that were small enough; the generated images were cut.
    assert len(kept) == 3
    assert len(pd.read_parquet(run / "images").query("group == 'generated'")) == 20
