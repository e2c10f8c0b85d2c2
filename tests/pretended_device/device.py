"""A device on a machine without one: tensors there have shapes, dtypes and a place, and no values.

The device has no kernels. A tensor on it is a FakeTensor, which computes what an operation would
return but for the numbers; one that takes tensors of two devices raises as a GPU does. Tensors on
the CPU stay real. What is read back from the device is made up: ones, halves, or true. Whatever
crosses from one to the other is counted, since on a GPU the host waits for it.
"""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "pretended"

_aten = torch.ops.aten
# What crossed so far, by what it was and the line of the package that it came from.
_CROSSINGS: Counter[str] = Counter()


def register_device() -> None:
    """Makes torch know the device: before the first backward pass, which counts the devices."""
    _setup_privateuseone_for_python_backend(rename=NAME)


def leave() -> NoReturn:
    """Ends the process, which succeeded, at once.

    A backward pass started a thread for the device. Torch does not always join it at the end of a
    process, which then aborts ("terminate called without an active exception").
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


@contextmanager
def pretended_device() -> Iterator[torch.device]:
    """The device, which has been registered, for as long as the context lasts."""
    # torch.tensor(..., device=NAME) makes a CPU tensor and moves it, which the mode then sees.
    torch._C._set_only_lift_cpu_tensors(True)
    numpy, tolist, to = Tensor.numpy, Tensor.tolist, nn.Module.to

    def numpy_of(tensor: Tensor, **options: bool) -> Any:
        if is_pretended(tensor):
            raise TypeError("numpy() of a tensor that is not on the CPU: call cpu() first")
        return numpy(tensor, **options)

    def list_of(tensor: Tensor) -> Any:
        if is_pretended(tensor):
            _count_crossing("read back")
        return tolist(_made_up(tensor) if is_pretended(tensor) else tensor)

    def moved(module: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
        there = bool(args) and isinstance(args[0], torch.device) and args[0].type == NAME
        return _moved(module) if there else to(module, *args, **kwargs)

    with (
        patch.object(Tensor, "numpy", numpy_of),
        patch.object(Tensor, "tolist", list_of),
        patch.object(nn.Module, "to", moved),
        _TwoPlaces(),
    ):
        yield torch.device(NAME)


def crossings_in(work: Callable[[], object]) -> Counter[str]:
    """What crosses between device and host in the course of some work."""
    before = Counter(_CROSSINGS)
    work()
    return _CROSSINGS - before


def is_pretended(value: object) -> bool:
    """Whether it is a tensor on the device."""
    return isinstance(value, FakeTensor) and value.fake_device.type == NAME


class _NoDeviceMode(FakeTensorMode):
    # It would else make real tensors on the device, which is registered but has no memory.
    avoid_device_init = True


class _TwoPlaces(TorchDispatchMode):
    """Runs an operation for real when all is on the CPU, and without numbers otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self._fake = _NoDeviceMode(allow_non_fake_inputs=True)

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        target = kwargs.get("device")
        involved = any(isinstance(leaf, FakeTensor) for leaf in tree_leaves((args, kwargs)))
        if not involved and (target is None or torch.device(target).type != NAME):
            return func(*args, **kwargs)
        _count_crossings(func, args, kwargs)
        if func is _aten._local_scalar_dense.default:
            return _made_up(args[0]).item()
        to_cpu = target is not None and torch.device(target).type == "cpu"
        if func is _aten._to_copy.default and to_cpu and is_pretended(args[0]):
            return _made_up(args[0]).to(kwargs.get("dtype") or args[0].dtype)
        if func is _aten.index.Tensor:
            args = (args[0], [_counted(index) for index in args[1]])
        with self._fake:
            result = func(*args, **kwargs)
        if _is_below_zero(func, args):
            result.is_below_zero = True
        return result


def _count_crossings(
    func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """Counts what on a GPU is a copy to it or from it, or would make the host wait."""
    if func is _aten._local_scalar_dense.default:
        _count_crossing("read back")
    elif func is _aten._to_copy.default:
        target = kwargs.get("device")
        if target is not None and torch.device(target).type != args[0].device.type:
            _count_crossing("read back" if is_pretended(args[0]) else "copied there")
    elif func is _aten.copy_.default:
        if is_pretended(args[0]) != is_pretended(args[1]):
            _count_crossing("copied there" if is_pretended(args[0]) else "read back")
    elif func in (_aten.index.Tensor, _aten.index_put_.default, _aten.index_put.default):
        indices = [index for index in args[1] if index is not None]
        if not all(is_pretended(index) for index in indices):
            _count_crossing("copied there, an index")
        if any(index.dtype == torch.bool for index in indices):
            _count_crossing("read back, a mask's number of entries")
    elif func in (_aten.nonzero.default, _aten.masked_select.default):
        _count_crossing("read back, a mask's number of entries")


def _count_crossing(kind: str) -> None:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not frame.f_globals["__name__"].startswith("offmanifold."):
        frame = frame.f_back
    line = "" if frame is None else f"{frame.f_globals['__name__']}:{frame.f_lineno}"
    _CROSSINGS[f"{kind}, {line}"] += 1


def _is_below_zero(func: Callable[..., Any], args: Sequence[Any]) -> bool:
    """Whether it asks if numbers are below zero, which no made up one is."""
    if func is _aten.any.default:
        return getattr(args[0], "is_below_zero", False)
    return func is _aten.lt.Scalar and args[1] == 0


def _made_up(tensor: Tensor) -> Tensor:
    """A CPU tensor in the place of one whose numbers nobody knows."""
    if tensor.dtype == torch.bool:
        return torch.full(tuple(tensor.shape), not getattr(tensor, "is_below_zero", False))
    number = 0.5 if tensor.dtype.is_floating_point else 1
    return torch.full(tuple(tensor.shape), number, dtype=tensor.dtype)


def _counted(index: Tensor | None) -> Tensor | None:
    """A mask as the indices of all its entries: how many are true, no FakeTensor can know."""
    if index is None or index.dtype != torch.bool:
        return index
    return torch.arange(len(index))


def _moved(module: nn.Module) -> nn.Module:
    """The module with its weights on the device; torch's own way fails where two modules share."""
    for each in module.modules():
        for name, weight in each._parameters.items():
            if weight is not None and not is_pretended(weight):
                there = weight.detach().to(NAME)
                each._parameters[name] = nn.Parameter(there, requires_grad=weight.requires_grad)
        for name, buffer in each._buffers.items():
            each._buffers[name] = None if buffer is None else buffer.to(NAME)
    return module
