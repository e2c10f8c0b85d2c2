"""A row that says ok has its numbers; one that has not is written as a failed one."""

import math
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pytest
from offmanifold.core.settings.inversion import InversionSettings
from offmanifold.workers.annotations import ANNOTATIONS_TABLE
from offmanifold.workers.inversion import INVERSION_TABLE
from offmanifold.workers.likelihood import LIKELIHOOD_TABLE
from offmanifold.workers.outcome import Failure, Outcome
from offmanifold.workers.schema import TableSchema
from offmanifold.workers.shard import Item
from offmanifold.workers.shard_rows import ShardRows
from offmanifold.workers.soundness import Sizes, unsound_length, unsound_numbers

ITEM = Item("gan", None, "test", "test/0", None, 0)
ANSWER = {"predicted": 1, "confidence": 0.5, "logits": [0.0, 0.0]}
ESTIMATE = {
    "variance": 1.0,
    "log_likelihood": -3.0,
    "bits_per_dim": -1.0,
    "transitions": 4,
    "chain_log_weights": [-3.0, -math.inf],
    "acceptance": [0.5, 0.5],
    "step_size": [0.1, 0.1],
}


def written(table: TableSchema, *outcomes: Outcome) -> pa.Table:
    found = ShardRows.of(table, [ITEM] * len(outcomes), outcomes, 3, {}, 0.0)
    return pa.Table.from_pylist(list(found.rows.values()), schema=table.arrow)


def rows(table: TableSchema, *outcomes: Outcome) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = written(table, *outcomes).to_pylist()
    return found


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"logits": [0.0, math.nan]}, "logits holds nan"),
        ({"logits": [math.inf, 0.0]}, "logits holds inf"),
        ({"logits": None}, "logits is None"),
        ({"confidence": math.nan}, "confidence is nan"),
    ],
)
def test_a_row_without_its_numbers_is_a_failed_one(changed: dict[str, Any], problem: str) -> None:
    good, bad, failed = rows(
        ANNOTATIONS_TABLE, ANSWER, {**ANSWER, **changed}, Failure("it is no image")
    )
    assert (good["status"], good["logits"]) == ("ok", [0.0, 0.0])
    assert (bad["status"], bad["logits"]) == ("failed", None)
    assert bad["error"] == f"{problem}; is the generator's output finite?"
    assert failed["error"] == "it is no image"


def test_a_chain_may_weigh_nothing_and_one_without_transitions_accepts_nothing() -> None:
    nothing = [math.nan, math.nan]
    (found,) = rows(LIKELIHOOD_TABLE, ESTIMATE)
    assert found["status"] == "ok"
    (found,) = rows(
        LIKELIHOOD_TABLE,
        {**ESTIMATE, "transitions": 1, "acceptance": nothing, "step_size": nothing},
    )
    assert found["status"] == "ok"
    for changed in ({"acceptance": nothing}, {"chain_log_weights": [-3.0, math.nan]}):
        (found,) = rows(LIKELIHOOD_TABLE, {**ESTIMATE, **changed})
        assert found["status"] == "failed"


def test_lists_are_as_long_as_was_planned() -> None:
    sizes = Sizes(values=64, residual=64, latent={"gan": 3})
    found = written(LIKELIHOOD_TABLE, ESTIMATE)
    assert unsound_length(LIKELIHOOD_TABLE, found, {"chains": 2}, sizes) is None
    problem = unsound_length(LIKELIHOOD_TABLE, found, {"chains": 4}, sizes)
    assert problem == "chain_log_weights has 2 values, expected 4"
    empty = pa.Table.from_pylist([], schema=LIKELIHOOD_TABLE.arrow)
    assert not unsound_numbers(LIKELIHOOD_TABLE, empty)
    assert unsound_length(LIKELIHOOD_TABLE, empty, {"chains": 2}, sizes) is None
    one_longer = written(ANNOTATIONS_TABLE, ANSWER, {**ANSWER, "logits": [0.0]})
    problem = unsound_length(ANNOTATIONS_TABLE, one_longer, {}, sizes)
    assert problem == "logits has 1 values, expected 2"


def test_an_inversion_has_as_many_ends_as_its_search_keeps() -> None:
    values = {"mse": 0.1, "distance": 0.1, "latent_square": 1.0, "latent": [0.0, 0.0]}
    sizes = Sizes(3, 3, {"gan": 2})
    for restarts, kept in ((32, 4), (2, 2)):
        settings = asdict(InversionSettings(restarts=restarts))
        ends = {"restart_distance": [0.1] * kept, "restart_latent": [0.0] * 2 * kept}
        found = written(INVERSION_TABLE, {**values, **ends})
        assert unsound_length(INVERSION_TABLE, found, settings, sizes) is None
        short = written(INVERSION_TABLE, {**values, **ends, "restart_distance": [0.1]})
        problem = unsound_length(INVERSION_TABLE, short, settings, sizes)
        assert problem == f"restart_distance has 1 values, expected {kept}"
