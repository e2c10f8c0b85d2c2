"""The references in docs are those of the code, and the JSON schema accepts what ships."""

import json
from types import ModuleType

import jsonschema
import pytest
import yaml
from offmanifold.jobs.audits import AUDITS, METRICS
from offmanifold.jobs.audits.specs import Spec
from offmanifold.jobs.commands.cli import app
from offmanifold.jobs.spec.loading import preset_names, preset_text
from typer.testing import CliRunner

from . import audits_reference, spec_reference


@pytest.mark.parametrize("page", [audits_reference, spec_reference])
def test_a_reference_is_that_of_the_code(page: ModuleType) -> None:
    assert page.FILE.read_text() == page.reference(), f"run `{page.COMMAND}`"


def test_every_key_of_a_stage_is_in_the_reference() -> None:
    text = spec_reference.reference()
    for audit in AUDITS:
        for key in audit.settings:
            assert f"| `{key.name}` |" in text


def test_every_metric_has_a_meaning_and_a_unit() -> None:
    assert sum(len(audit.metrics) for audit in AUDITS) == len(
        {name for audit in AUDITS for name in audit.metrics}
    ), "two audits write one metric"
    for name, metric in METRICS.items():
        assert metric.meaning, name
        assert metric.unit, name


def test_the_schema_accepts_the_presets_and_refuses_unknown_keys() -> None:
    printed = CliRunner().invoke(app, ["list", "schema"])
    assert printed.exit_code == 0
    schema = json.loads(printed.stdout)
    assert schema["$defs"] == Spec.model_json_schema()["$defs"]
    # `jsonschema.validate` would check the schema itself each time, which takes a second.
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)
    validate = validator(schema).validate
    for name in preset_names():
        content = yaml.safe_load(preset_text(name))
        validate(content)
        with pytest.raises(jsonschema.ValidationError, match="likelyhood"):
            validate({**content, "likelyhood": {}})
    based = {"extends": "digits", "name": "mine"}
    validate(based)
    for wrong in ({"name": "mine"}, {**based, "likelyhood": {}}, {"extends": 3}):
        with pytest.raises(jsonschema.ValidationError):
            validate(wrong)
