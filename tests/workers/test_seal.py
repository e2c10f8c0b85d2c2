"""A part's seal: every bit of the file counts, and other readers of Parquet see nothing of it."""

import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from offmanifold.workers.seal import DamageError, End, proved_end, sealed_table, wanted_end

NAME = "images/part-0.parquet"
_RNG = np.random.default_rng(0)
TABLE = pa.table(
    {
        "image_id": [f"image-{row}" for row in range(5)],
        "status": ["ok"] * 5,
        "error": pa.nulls(5, pa.string()),
        "pixels": [_RNG.random(20, np.float32).tolist() for _ in range(4)] + [None],
    }
).replace_schema_metadata({"tracebacks": "t" * 100_000})


def proved(content: bytes) -> End:
    end = proved_end(content, len(content))
    end.prove_all(content)
    return end


@pytest.mark.parametrize("wide", [False, True])
def test_every_bit_of_the_file_counts(wide: bool) -> None:
    table = TABLE if wide else TABLE.replace_schema_metadata({})
    content = sealed_table(table, NAME)
    assert proved(content).sealed
    positions = range(0, len(content), 61 if wide else 1)
    for position in positions:
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(DamageError):
            proved(bytes(damaged))
    for length in range(0, len(content), 97 if wide else 7):
        with pytest.raises(DamageError):
            proved(content[:length])
        with pytest.raises(DamageError):
            proved(content[:length] + bytes(len(content) - length))


def test_other_readers_see_the_same_table() -> None:
    content = sealed_table(TABLE, NAME)
    assert pq.read_table(io.BytesIO(content)).equals(TABLE)
    assert pd.read_parquet(io.BytesIO(content))["image_id"].tolist()[4] == "image-4"


def test_the_end_is_found_in_as_many_bytes_as_it_has() -> None:
    content = sealed_table(TABLE, NAME)
    asked, tail = 0, content[-100:]
    while (wanted := wanted_end(tail, len(content))) > len(tail):
        tail, asked = content[-wanted:], asked + 1
    assert asked == 2
    end = proved_end(tail, len(content))
    assert end.content == tail
    assert end.metadata["offmanifold.name"] == NAME


def test_a_file_without_a_seal_is_known_as_such() -> None:
    sink = io.BytesIO()
    pq.write_table(TABLE, sink)
    end = proved_end(sink.getvalue(), len(sink.getvalue()))
    assert not end.sealed
    assert end.footer.num_rows == 5
    # What was read from a sealed file and written again by others is not as it was written.
    sink = io.BytesIO()
    pq.write_table(pq.read_table(io.BytesIO(sealed_table(TABLE, NAME))), sink)
    with pytest.raises(DamageError, match="seal is not where"):
        proved(sink.getvalue())
