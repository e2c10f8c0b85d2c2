"""What a shard's part says besides its rows."""

import json

import pyarrow as pa
from offmanifold.workers.json_file import MOST_NESTED, MOST_VALUES
from offmanifold.workers.shard_rows import TRACEBACKS_KEY, tracebacks_of


def part(text: str) -> pa.Table:
    return pa.table({"row": [0]}).replace_schema_metadata({TRACEBACKS_KEY: text})


def test_tracebacks_of_many_failures_are_read() -> None:
    lines = "images[0], labels[0], seeds[0] = call(a, b, {})\n" * 50
    tracebacks = dict.fromkeys(range(5000), lines)
    text = json.dumps(tracebacks)
    assert text.count(",") > MOST_VALUES
    assert text.count("[") > MOST_NESTED
    assert tracebacks_of(part(text)) == tracebacks


def test_tracebacks_of_any_other_form_are_none() -> None:
    for text in ("", "[]", "[" * 100_000, '{"a": "b"}', "1"):
        assert tracebacks_of(part(text)) == {}
    assert tracebacks_of(pa.table({"row": [0]})) == {}
