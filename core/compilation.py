"""Functions of one generator as compiled graphs, or as they are where they cannot be compiled."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result")

# The relative difference, of the largest number, that is still rounding: a wrong graph is far off.
_ROUNDING = 1e-2
# A graph of each kind of chains, of which a worker has a few; torch's own limit is 8.
_MOST_GRAPHS = 256


class Compilation:
    """Whether functions of a generator are compiled; on a CPU, by torch's C++ compiler.

    ``declined`` is told once, in words, why they are not, and from then on they never are: no
    compiler, a generator that has no graph, or one whose graph does not compute what it computes.
    """

    def __init__(self, declined: Callable[[str], None]) -> None:
        self._declined = declined
        self._active = True
        # One of each for as long as the generator is open: torch keeps what it made by them.
        self._graphs: dict[Callable[..., Any], Callable[..., Any]] = {}

    @property
    def active(self) -> bool:
        """Whether nothing has been declined so far."""
        return self._active

    def decline(self, why: str) -> None:
        """Compiles nothing any more."""
        if self._active:
            self._active = False
            self._declined(why)

    def compiled(
        self,
        function: Callable[..., Result],
        checked: Callable[[Result], tuple[Tensor, ...]],
    ) -> Callable[..., Result]:
        """The function as one graph for each shape of its arguments, made when it is first called.

        The first call of what is returned also computes the function as it is. Where that differs
        in what is ``checked`` of a result, or the graph cannot be made, nothing is compiled any
        more; nor where it would have to be made again for the same shapes, as of a generator that
        counts its calls. The function must therefore change no argument.
        """
        if function not in self._graphs:
            self._graphs[function] = torch.compile(function, fullgraph=True, dynamic=False)
        graph: Callable[..., Result] = self._graphs[function]
        used = False

        def call(*arguments: object) -> Result:
            nonlocal used
            if not self._active:
                return function(*arguments)
            if used:
                result = self._again(graph, *arguments)
                return function(*arguments) if result is None else result
            used = True
            result = self._first(graph, *arguments)
            expected = function(*arguments)
            if result is None:
                return expected
            if not all(map(_agree, checked(result), checked(expected))):
                self.decline("the graph does not compute what the generator does")
                return expected
            return result

        return call

    def _first(self, graph: Callable[..., Result], *arguments: object) -> Result | None:
        """What the graph gives, which has to be made; None where it cannot be."""
        from torch._dynamo import config as tracing
        from torch._inductor import config as compiling

        # In this process and thread alone: a worker has its part of the machine, and ends alone.
        with tracing.patch(recompile_limit=_MOST_GRAPHS), compiling.patch(compile_threads=1):
            try:
                return graph(*arguments)
            except Exception as error:  # noqa: BLE001 - the function is called as it is
                # What is not the compiler's fault, the function raises again.
                self.decline(_first_line(error))
                return None

    def _again(self, graph: Callable[..., Result], *arguments: object) -> Result | None:
        """What the graph gives; None where it would have to be made once more, perhaps always."""
        try:
            with torch.compiler.set_stance("fail_on_recompile"):
                return graph(*arguments)
        except Exception as error:  # noqa: BLE001 - as above
            self.decline(_first_line(error))
            return None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _agree(found: Tensor, expected: Tensor) -> bool:
    """Whether they are equal but for rounding, where both are finite."""
    finite = torch.isfinite(expected) & torch.isfinite(found)
    found, expected = found[finite], expected[finite]
    if not len(expected):
        return True
    return bool((found - expected).abs().amax() <= _ROUNDING * expected.abs().amax())
