"""The reference of a spec's keys, made from its JSON schema.

``python -m tests.documents.spec_reference`` writes ``docs/spec.md``; a test holds it to the models.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from offmanifold.jobs.audits import AUDITS
from offmanifold.jobs.audits.specs import Spec

FILE = Path(__file__).parents[2] / "docs" / "spec.md"
COMMAND = "python -m tests.documents.spec_reference"

_HEAD = """\
# The keys of a spec

What an audit's YAML file may say. Keys that are not listed here are refused.
`offmanifold plan SPEC` shows what was understood, and `--set KEY=VALUE` on the command
line overrides a key (`--set groups.train.count=8`). For completion and checks in an editor, write
`offmanifold list schema > audit.schema.json` and begin the spec with
`# yaml-language-server: $schema=audit.schema.json`.

This page is made from the models (`{command}`).

## What a file takes from elsewhere

`extends: PATH`, or the name of a preset, bases a spec on another, which may be based on a third.
Mappings are merged key by key, but one with another `estimator` takes the whole mapping's place. A
list takes the whole list's place, unless it is written as a mapping: that changes the entries of
these names. `null` takes a value away, where one may be left out, and a named entry:
`groups: {{plain: null}}`, `extractors: {{dino: null}}`. Relative paths, that of `extends` too,
count from the file that they are written in.

```yaml
extends: fashion             # a preset, or ../base.yaml
name: mine
generators:                  # a list: in the place of the preset's generators
  - {{name: mine, source: mygan:load}}
groups: {{train: {{count: 64}}}}  # a mapping: the group `train`, with another count
stages: {{sweep: null}}        # without this stage
```

`${{NAME}}` in a value is the environment's variable of that name, and `${{NAME:-default}}` has
another value where that is unset or empty: `path: ${{DATA}}/cats`, `count: ${{COUNT:-64}}`. Without
a default, an unset variable is an error. A value that is one variable alone may be a number,
`true`, `false` or `null`. Keys take no variables, and neither do `--set` (the shell does that) and
dictionaries given to `offmanifold.audit`.

A run's `audit.yaml` and its report have what came of it: the merged spec, with the variables'
values, since that is what its rows are of, and it is read as it is written: neither of the two is
looked for in it again. So write no secret into a spec by a variable; the keys
of a bucket are read from the environment, never from a spec ([storage](storage.md)). The schema
knows `extends`, but not the variables and mappings in the place of numbers and lists, nor null in
the place of an entry.
"""

Schema = dict[str, Any]


def reference() -> str:
    """The whole page, as Markdown."""
    schema = Spec.model_json_schema()
    models: dict[str, Schema] = schema["$defs"]
    parts = [_HEAD.format(command=COMMAND), "\n".join(_model("The spec", schema, models))]
    parts += [
        "\n".join(_model(title, models[name], models))
        for title, name in (
            ("`generators`: a list", "GeneratorSpec"),
            ("`generators.….per_class.…`", "SourceSpec"),
            ("`generators.….checkpoints`: a list", "CheckpointSpec"),
            ("`generators.….network`", "NetworkSpec"),
            ("`generators.….samples`", "SamplesSpec"),
            ("`groups`: a list", "GroupSpec"),
            ("`extractors.…`", "ExtractorSpec"),
            ("`stages`", "Stages"),
        )
    ]
    for audit in AUDITS:
        for key in audit.settings:
            for name in _named(models["Stages"]["properties"][key.name]):
                variant = models[name]["properties"].get("estimator", {}).get("const")
                suffix = "" if variant is None else f" with `estimator: {variant}`"
                if key.name == "comparison":
                    continue
                parts.append(
                    "\n".join(_model(f"`stages.{key.name}`{suffix}", models[name], models))
                )
                parts += [
                    "\n".join(_model(f"`stages.{key.name}.{inner}`", models[each], models))
                    for inner, field in models[name]["properties"].items()
                    for each in _named(field)
                ]
    parts += [
        "\n".join(_model(f"`{key}`", models[name], models))
        for key in ("perceptual", "statistics", "cluster")
        for name in _named(schema["properties"][key])
    ]
    parts.append("\n".join(_model("`cluster.storage`", models["StorageSpec"], models)))
    return "\n\n".join(parts) + "\n"


def _model(title: str, model: Schema, models: dict[str, Schema]) -> Iterator[str]:
    yield f"## {title}\n"
    yield _prose(model["description"]) + "\n"
    yield "| key | value | default |"
    yield "|---|---|---|"
    for key, field in model["properties"].items():
        default = _default(field) if key not in model.get("required", []) else "must be given"
        meaning = field.get("description")
        value = _values(field, models) + (f": {_prose(meaning)}" if meaning else "")
        yield f"| `{key}` | {value} | {default} |"


def _prose(text: str) -> str:
    """A docstring as Markdown: roles and double backticks become code."""
    plain = re.sub(r":\w+:`~?([^`]+)`", lambda match: f"`{match[1].rpartition('.')[2]}`", text)
    return plain.replace("``", "`").strip()


def _default(field: Schema) -> str:
    default = field.get("default")
    if default is None:
        return "left out"
    return f"`{json.dumps(default)}`" if not isinstance(default, dict) else "as below"


def _named(field: Schema) -> list[str]:
    """The models that a field may hold."""
    inner = [field, *field.get("anyOf", []), *field.get("oneOf", [])]
    found = [each["$ref"].rpartition("/")[2] for each in inner if "$ref" in each]
    deeper = [name for each in inner[1:] for name in _named(each) if "$ref" not in each]
    return list(dict.fromkeys(found + deeper))


def _values(field: Schema, models: dict[str, Schema]) -> str:
    if "$ref" in field:
        return "keys as below"
    if "anyOf" in field or "oneOf" in field:
        kinds = [
            each
            for each in (*field.get("anyOf", ()), *field.get("oneOf", ()))
            if each.get("type") != "null"
        ]
        return " or ".join(dict.fromkeys(_values(each, models) for each in kinds))
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"] if value is not None)
    if "prefixItems" in field:
        items = field["prefixItems"]
        return f"a list of {len(items)}, each {_values(items[0], models)}"
    if field.get("type") == "array":
        return f"a list, each {_values(field['items'], models)}"
    if field.get("type") == "object":
        patterns = field.get("patternProperties", {})
        inner = next(iter(patterns.values()), field.get("additionalProperties", {}))
        return "names, each with keys as below" if "$ref" in inner else "names and numbers"
    words = {
        "boolean": "`true` or `false`",
        "integer": "a whole number",
        "number": "a number",
        "string": "text",
    }
    return words.get(field.get("type", ""), "text") + _bounds(field)


def _bounds(field: Schema) -> str:
    bounds = [
        f"{words} {field[key]:.10g}"
        for key, words in (
            ("minimum", "at least"),
            ("exclusiveMinimum", "above"),
            ("maximum", "at most"),
            ("exclusiveMaximum", "below"),
        )
        if key in field
    ]
    return f", {' and '.join(bounds)}" if bounds else ""


if __name__ == "__main__":
    FILE.write_text(reference())
