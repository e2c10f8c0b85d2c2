"""Pickles of StyleGAN networks: read for their tensors, and nothing in them runs."""

import builtins
import io
import os
import pickle
import resource
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dill
import numpy as np
import pytest
import torch
from offmanifold.workers.checkpoints.files import read_checkpoint
from offmanifold.workers.checkpoints.opening import open_checkpoint
from offmanifold.workers.checkpoints.pickled_objects import Array, Inert, PickleError
from offmanifold.workers.checkpoints.unpickler import read_pickle
from offmanifold.workers.generators import GeneratorError

from .pickles import dumps, network, write_network
from .recorded import recorded
from .rule import by_rule

CASE = "stylegan2-ada"


class Reduced:
    """Pickles as a call of ``function`` with ``arguments``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def weights() -> dict[str, torch.Tensor]:
    return by_rule(recorded(CASE)["shapes"])


def with_payload(payload: Any) -> bytes:
    """A whole snapshot with the payload among the generator's attributes."""
    content = recorded(CASE)
    generator = network(weights(), content["settings"], content["modules"])
    generator.state["hook"] = payload
    return dumps({"G_ema": generator, "augment_pipe": payload})


PAYLOADS: dict[str, Callable[[Path], Any]] = {
    "os.system": lambda trace: Reduced(os.system, f"touch '{trace}'"),
    "builtins.eval": lambda trace: Reduced(builtins.eval, f"open({str(trace)!r}, 'w')"),
    "exec": lambda trace: Reduced(builtins.exec, f"open({str(trace)!r}, 'w')"),
    "nested pickles": lambda trace: Reduced(
        pickle.loads, pickle.dumps(Reduced(pickle.loads, pickle.dumps(Reduced(os.mkdir, trace))))
    ),
    "a storage that is a pickle": lambda trace: Reduced(
        torch.storage._load_from_bytes, pickle.dumps(Reduced(os.mkdir, str(trace)))
    ),
}


@pytest.mark.parametrize("kind", PAYLOADS)
def test_a_payload_stays_inert(kind: str, tmp_path: Path) -> None:
    trace, path = tmp_path / "trace", tmp_path / "network.pkl"
    content = with_payload(PAYLOADS[kind](trace))
    path.write_bytes(content)
    if kind.startswith("a storage"):
        with pytest.raises(GeneratorError, match="nothing in it was run"):
            read_checkpoint(path)
    else:
        assert open_checkpoint(path).family == CASE
    assert not trace.exists()


def test_a_chain_of_calls_stays_inert(tmp_path: Path) -> None:
    """getattr(Path(trace), "touch")(), which makes a file when it is unpickled by the book."""
    trace = tmp_path / "trace"
    path = b"cpathlib\nPath\n(V%s\ntR" % str(trace).encode()
    content = b"cbuiltins\ngetattr\n(" + path + b"Vtouch\ntR(tR."
    assert isinstance(read_pickle(content), Inert)
    assert not trace.exists()
    pickle.loads(content)
    assert trace.exists()


def test_upstreams_own_source_is_not_run(tmp_path: Path) -> None:
    settings = recorded(CASE)["settings"]
    file = read_checkpoint(write_network(tmp_path / "n.pkl", weights(), settings))
    assert file.settings == settings
    assert file.average is True
    for name, tensor in weights().items():
        assert torch.equal(file.candidates[0].tensors[name], tensor)


def test_plain_values_arrays_and_numbers_are_read() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    content = {"a": array, "b": np.float64(1.5), "c": {1, 2}, "d": torch.arange(3)}
    read = read_pickle(pickle.dumps(content))
    assert isinstance(read["a"], Array)
    np.testing.assert_array_equal(read["a"].value, array)
    assert (read["b"], read["c"]) == (1.5, {1, 2})
    assert read["d"].tensor().tolist() == [0, 1, 2]
    path = read_pickle(pickle.dumps(Path("x")))
    assert isinstance(path, Inert)
    assert isinstance(path("anything"), Inert)


def test_arrays_that_dill_wrote_are_read() -> None:
    array = np.broadcast_to(np.asarray(36), [2])
    read = read_pickle(dill.dumps({"size": array}))["size"]
    assert isinstance(read, Array)
    np.testing.assert_array_equal(read.value, array)


def test_settings_that_repeat_themselves_without_end_are_refused(tmp_path: Path) -> None:
    """Lists of one list ten times over, ten deep, are short in a file."""
    nested: Any = [1]
    for _ in range(10):
        nested = [nested] * 10
    path = write_network(tmp_path / "n.pkl", weights(), {"nested": nested})
    assert path.stat().st_size < 1_000_000
    with pytest.raises(GeneratorError, match="more than 10,000 values"):
        read_checkpoint(path)


def test_modules_that_repeat_themselves_without_end_are_refused(tmp_path: Path) -> None:
    """Twenty modules, each twice in the next, are a million."""
    module = network({}, {})
    for _ in range(20):
        outer = network({}, {})
        outer.state["_modules"] = {"left": module, "right": module}
        module = outer
    path = tmp_path / "n.pkl"
    path.write_bytes(dumps({"G_ema": module}))
    with pytest.raises(GeneratorError, match="more than 10,000"):
        read_checkpoint(path)


def old_storage(length: int, numbers: bytes) -> bytes:
    """A storage in torch's old format that claims ``length`` floats."""
    stream = io.BytesIO()
    torch.save(torch.zeros(3).untyped_storage(), stream, _use_new_zipfile_serialization=False)
    content = stream.getvalue()
    claimed = content.replace(b"K\x0c", b"J" + struct.pack("<i", length))
    return claimed[: -3 * 4] + numbers


HOSTILE: dict[str, Callable[[], bytes]] = {
    "truncated": lambda: with_payload(None)[:-1000],
    "a storage larger than its numbers": lambda: pickle.dumps(
        Reduced(torch.storage._load_from_bytes, old_storage(1 << 30, bytes(12)))
    ),
    "a tensor larger than its storage": lambda: pickle.dumps(
        Reduced(
            torch._utils._rebuild_tensor_v2,
            torch.zeros(1).untyped_storage(),
            0,
            (1 << 20, 1 << 20),
            (0, 0),
            False,
            {},
        )
    ),
    "an outside object": lambda: b"\x80\x02U\x01aQ.",
    "a view with sizes beyond all": lambda: pickle.dumps(
        Reduced(
            torch._utils._rebuild_tensor_v2,
            torch.zeros(1).untyped_storage(),
            0,
            (0, 1 << 70),
            (1, 1),
            False,
            {},
        )
    ),
    "types without end": lambda: (
        b"\x80\x02(" + b"".join(b"ca\n%d\n" % n for n in range(20_000)) + b"t."
    ),
    "an array of objects": lambda: pickle.dumps(np.array([None, "a"], dtype=object)),
    "a tensor set to a larger storage": lambda: grown_tensor(),
    "an array of objects, set again": lambda: b"\x80\x04" + b"]" * 2_000_000 + b".",
    "a tuple of itself, as a key": lambda: doubled(b"}h\x01Ns."),
    "a tuple of itself, in a set": lambda: doubled(b"\x8f(h\x01\x90."),
    "a frozen set of itself": lambda: pickle.dumps({frozen_of_itself(): 1}),
    "operations without end": lambda: b"\x80\x02" + b"N0" * 2_000_000 + b"N.",
    "bytes that are not there": lambda: b"\x80\x05\x96" + struct.pack("<Q", 1 << 34) + b".",
    "a number of a megabyte": lambda: (
        b"\x80\x02\x8b" + struct.pack("<I", 10**6) + b"\x7f" * 10**6 + b"."
    ),
    "arguments without end": lambda: (
        b"\x80\x04cos\nsystem\n\x94(" + b"N" * 10**5 + b"t\x94" + b"h\x00h\x01R" * 10**4 + b"t."
    ),
    "an ordered dict of one list, again and again": lambda: (
        b"\x80\x04ccollections\nOrderedDict\n\x94]\x94("
        + b"NN\x86" * 10**5
        + b"e0"
        + b"h\x00h\x01\x85R" * 10**4
        + b"."
    ),
    "keys that collide": lambda: (
        b"\x80\x04}(" + b"".join(number_without_hash(n) + b"N" for n in range(10**5)) + b"u."
    ),
    "a changed constructor": lambda: b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}U\x01aU\x01bsb.",
}


def doubled(use: bytes) -> bytes:
    """A tuple of one tuple twice over, sixty deep, under the memo's index 1."""
    return b"\x80\x02)" + b"2\x86" * 60 + b"q\x010" + use


def frozen_of_itself() -> frozenset[Any]:
    """A frozen set that holds one twice over, sixty deep."""
    inner: frozenset[Any] = frozenset()
    for _ in range(60):
        inner = frozenset([(1, inner), (2, inner)])
    return inner


def number_without_hash(count: int) -> bytes:
    """A multiple of 2^61 - 1, which all have one hash."""
    return b"\x8a\x0a" + ((count << 61) - count).to_bytes(10, "little")


def grown_tensor() -> bytes:
    """A tensor of one number whose state says that it has a thousand million."""
    return pickle.dumps(Stateful(torch.zeros(1).untyped_storage(), (10**9,)))


class Stateful:
    """Pickles as a tensor of one number that is set to another shape of its storage."""

    def __init__(self, storage: Any, shape: tuple[int, ...]) -> None:
        arguments: tuple[Any, ...] = (storage, 0, (1,), (1,), False, {})
        self.call = (torch._utils._rebuild_tensor_v2, arguments, (storage, 0, shape, (1,)))

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_pickle_is_refused_soon(kind: str) -> None:
    content = HOSTILE[kind]()
    started, before = time.process_time(), peak_megabytes()
    with pytest.raises(PickleError) as refused:
        read_pickle(content)
    assert len(str(refused.value)) < 300
    assert time.process_time() - started < 5
    assert peak_megabytes() - before < 300


def peak_megabytes() -> float:
    """The most memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_a_large_index_of_the_memo_takes_no_memory() -> None:
    before = peak_megabytes()
    assert read_pickle(b"\x80\x02Nr\xff\xff\xff\x7f.") is None
    assert peak_megabytes() - before < 100


def test_an_array_of_a_thousand_million_rows_of_nothing_is_told_as_nothing(tmp_path: Path) -> None:
    path = write_network(tmp_path / "n.pkl", weights(), {"rows": np.zeros((10**9, 0), np.float32)})
    before = peak_megabytes()
    assert read_checkpoint(path).settings == {"rows": []}
    assert peak_megabytes() - before < 300


def test_storages_take_no_more_memory_than_the_file() -> None:
    """One text, remembered, and made into storages again and again."""
    stream = io.BytesIO()
    torch.save(torch.zeros(1000).untyped_storage(), stream, _use_new_zipfile_serialization=False)
    content = stream.getvalue()
    repeated = [Reduced(torch.storage._load_from_bytes, content) for _ in range(50)]
    assert len(pickle.dumps(repeated)) < 3 * len(content)
    with pytest.raises(PickleError, match="more bytes in storages than a file of its size"):
        read_pickle(pickle.dumps(repeated))


def test_what_a_pickle_holds_is_told_in_few_words(tmp_path: Path) -> None:
    """Lists of one list twice over, sixty deep, have no text that fits into memory."""
    nested: Any = []
    for _ in range(60):
        nested = [nested, nested]
    path = tmp_path / "other.pkl"
    for content in (nested, {(1, 2): 3}, {"G_ema": np.dtype("f4"), "a" * 10_000: 1}):
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(GeneratorError, match=r"\(it holds .{,80}\); nothing in it was run"):
            read_checkpoint(path)
    path.write_bytes(pickle.dumps(Reduced(np.dtype, nested)))
    with pytest.raises(GeneratorError, match="of type a list, not of numbers"):
        read_checkpoint(path)


def test_another_pickle_says_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "other.pkl"
    path.write_bytes(pickle.dumps({"G": 1, "weights": 2}))
    with pytest.raises(GeneratorError, match=r"without a network under 'G_ema' \(it holds G, we"):
        read_checkpoint(path)
