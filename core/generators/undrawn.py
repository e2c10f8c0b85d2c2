"""Modules that are made only to be given a file's weights."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


@contextmanager
def undrawn() -> Iterator[None]:
    """Modules that are made inside of the block have no memory of their own and no weights drawn.

    They are on the meta device: what their arguments ask for is only ever the file's tensors.
    """
    with torch.device("meta"), _Unfilled():
        yield


class _Unfilled(TorchFunctionMode):
    """Leaves out what only fills weights with numbers.

    On the meta device normal draws and products import torch's compiler, which takes two seconds.
    """

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        del types
        named = kwargs or {}
        if func in (torch.nn.init.normal_, Tensor.normal_):
            return args[0] if args else named["tensor"]
        scaled = func in (Tensor.mul, Tensor.div) and isinstance(args[1], int | float)
        if scaled and args[0].is_floating_point():
            return args[0]
        return (torch.empty if func is torch.randn else func)(*args, **named)
