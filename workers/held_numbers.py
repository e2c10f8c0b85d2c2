"""What a user's own code made, by the numbers that it holds: one set of weights from another."""

import hashlib
import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def identity(source_sha256: str, made: object) -> str:
    """The SHA-256 of what a function's source and every number in what it made are.

    Of a network these are the tensors of its state, and the plain values of a module's
    ``get_extra_state``; of any other object there, its type. Of a plain object, the tensors, arrays
    and networks in its attributes, and in mappings, lists and tuples there.
    """
    digest = hashlib.sha256(source_sha256.encode())
    for key, value in _numbers(made):
        for part in _parts(key, value):
            digest.update(part)
    return digest.hexdigest()


def holds_numbers(made: object) -> bool:
    """Whether `identity` finds any."""
    return next(_numbers(made), None) is not None


def tensor_bytes(tensor: Tensor) -> bytes | memoryview:
    """A tensor's content on the CPU, in its order of rows."""
    if tensor.layout != torch.strided or tensor.is_quantized:
        content = io.BytesIO()
        torch.save(tensor.detach().cpu(), content)
        return content.getvalue()
    flat = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().flatten()
    # numpy has no bfloat16.
    return flat.view(torch.uint8).numpy().data if flat.numel() else b""


def _numbers(made: object) -> Iterator[tuple[str, Any]]:
    if isinstance(made, nn.Module):
        yield from sorted(made.state_dict().items())
    else:
        for name, value in sorted(getattr(made, "__dict__", {}).items()):
            yield from _held(name, value, ())


def _held(key: str, value: Any, inside: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    """The numbers in an attribute; ``inside`` are the containers around it."""
    if isinstance(value, nn.Module):
        for name, each in sorted(value.state_dict().items()):
            yield f"{key}.{name}", each
    elif isinstance(value, Tensor) or (isinstance(value, np.ndarray) and not value.dtype.hasobject):
        yield key, value
    elif isinstance(value, Mapping | list | tuple) and id(value) not in inside:
        entries = value.items() if isinstance(value, Mapping) else enumerate(value)
        for place, each in entries:
            yield from _held(f"{key}.{place}", each, (*inside, id(value)))


def _parts(key: str, value: Any) -> Iterator[bytes | memoryview]:
    """What there is to hash of an entry of a network's state."""
    if isinstance(value, Tensor):
        yield f"{key} {value.dtype} {tuple(value.shape)}".encode()
        yield tensor_bytes(value)
    elif isinstance(value, np.ndarray):
        yield f"{key} {value.dtype} {value.shape}".encode()
        yield value.tobytes()
    elif isinstance(value, Mapping):
        yield f"{key} {len(value)}".encode()
        for name, each in value.items():
            yield from _parts(f"{key}.{name}", each)
    elif isinstance(value, list | tuple):
        yield f"{key} {len(value)}".encode()
        for index, each in enumerate(value):
            yield from _parts(f"{key}.{index}", each)
    else:
        is_plain = value is None or isinstance(value, bool | int | float | str | bytes)
        yield f"{key} {value if is_plain else type(value)!r}".encode()
