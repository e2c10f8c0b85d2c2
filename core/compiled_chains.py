"""Transitions of chains by compiled graphs, a block of images of one shape at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import Tensor

from .compilation import Compilation
from .densities import ProposalToPosterior, TracedPair
from .row_limit import compilation_of, filled_up_to, limit_of
from .samplers import hmc
from .samplers.density_pair import DensityPair
from .samplers.hmc import ChainState, Move, TransitionInfo

Nested = TypeVar("Nested")


def move_of(pair: ProposalToPosterior) -> Move:
    """The transition of a pair's chains: as graphs where its generator is to be compiled.

    It is to be used for that pair alone. Forces of another precision are not compiled.
    """
    compilation = compilation_of(pair.generator)
    if compilation is None or not compilation.active or pair.forces is not None:
        return hmc.transition
    return CompiledTransition(pair, compilation)


@dataclass(frozen=True)
class _Block:
    """Some of the images, ``count`` of them and perhaps the last again, and what is theirs."""

    index: Tensor
    count: int
    pair: TracedPair


class _Last(NamedTuple):
    """What a transition gives, and the difference of the ends where its trajectory ended."""

    state: ChainState
    info: TransitionInfo
    difference: Tensor


class _Graphs(NamedTuple):
    """What moves so many images and chains by so many leapfrog steps."""

    blocks: list[_Block]
    inner: Callable[..., tuple[Tensor, Tensor]]
    last: Callable[..., _Last]


# Steps in one graph, which has the generator as often: compiling takes longer the more they are.
_STRIDE = 3


class CompiledTransition:
    """`hmc.transition` by two graphs, of some inner leapfrog steps and of the last ones.

    Trajectories of up to three steps are one graph. They take blocks of as many images as the rows
    that the generator is filled up to have room for, so that there is one shape, and an image's
    numbers are the same in any company. The inverse temperature, the step size, the variance and
    what the chart has of its images are arguments, so that one graph serves a whole path and every
    shard.
    """

    def __init__(self, pair: ProposalToPosterior, compilation: Compilation) -> None:
        self._pair = pair
        self._compilation = compilation
        self._graphs: dict[tuple[int, ...], _Graphs] = {}

    def __call__(
        self,
        pair: DensityPair,
        state: ChainState,
        momentum: Tensor,
        uniform: Tensor,
        beta: float,
        step_size: Tensor,
        steps: int,
    ) -> tuple[ChainState, TransitionInfo]:
        """As `hmc.transition`; nothing is compiled where memory has no room for a block."""
        images, chains = uniform.shape
        limit = limit_of(self._pair.generator)
        size = _block_size(self._pair, images, chains)
        if size * chains > limit.rows or not self._compilation.active:
            return hmc.transition(pair, state, momentum, uniform, beta, step_size, steps)
        graphs = self._graphs_of(images, chains, steps)
        kicked = hmc.half_kick(state.ends, momentum, beta, step_size)
        at = torch.tensor(beta, dtype=torch.float64, device=momentum.device)
        strides, rest = divmod(steps - 1, _STRIDE)
        parts = []
        for block in graphs.blocks:
            whole = (state, momentum, kicked, uniform, step_size)
            begun, drawn, moving, chance, step = _rows(whole, block.index)
            position = begun.position
            for _ in range(strides):
                limit.evaluating(_STRIDE * block.count * chains)
                position, moving = graphs.inner(block.pair, position, moving, at, step, _STRIDE)
            limit.evaluating((rest + 1) * block.count * chains)
            last = graphs.last(block.pair, begun, drawn, position, moving, chance, at, step, rest)
            parts.append((last.state, last.info))
        return _joined(parts, images)

    def _graphs_of(self, images: int, chains: int, steps: int) -> "_Graphs":
        if (images, chains, steps) not in self._graphs:
            self._graphs[images, chains, steps] = _Graphs(
                _blocks(self._pair, images, chains),
                self._compilation.compiled(_inner_steps, lambda result: result),
                self._compilation.compiled(_last_steps, lambda last: (last.difference,)),
            )
        return self._graphs[images, chains, steps]


def _inner_steps(
    pair: DensityPair,
    position: Tensor,
    momentum: Tensor,
    beta: Tensor,
    step_size: Tensor,
    number: int,
) -> tuple[Tensor, Tensor]:
    """So many steps of a trajectory, of which none is its last."""
    for _ in range(number):
        position, momentum = hmc.inner_step(pair, position, momentum, beta, step_size)
    return position, momentum


def _last_steps(
    pair: DensityPair,
    state: ChainState,
    drawn: Tensor,
    position: Tensor,
    momentum: Tensor,
    uniform: Tensor,
    beta: Tensor,
    step_size: Tensor,
    before: int,
) -> _Last:
    """The last step, and so many ``before``, of a transition from ``state`` and ``drawn``."""
    position, momentum = _inner_steps(pair, position, momentum, beta, step_size, before)
    proposal, momentum_after = hmc.last_step(pair, position, momentum, beta, step_size)
    chosen = hmc.metropolis(state, drawn, proposal, momentum_after, uniform, beta)
    return _Last(*chosen, proposal.ends.difference)


def _block_size(pair: ProposalToPosterior, images: int, chains: int) -> int:
    rows = filled_up_to(pair.generator)
    return images if rows == 1 else max(1, rows // chains)


def _blocks(pair: ProposalToPosterior, images: int, chains: int) -> list[_Block]:
    size = _block_size(pair, images, chains)
    blocks = []
    for start in range(0, images, size):
        index = torch.arange(start, start + size).clamp(max=images - 1)
        blocks.append(_Block(index, min(size, images - start), pair.traced(index, chains)))
    return blocks


def _rows(whole: Nested, index: Tensor) -> Nested:
    """Those of all tensors, in memory one after the other: a graph is of one layout."""
    return _over(lambda tensor: tensor[index], whole)


def _joined(parts: Sequence[Nested], images: int) -> Nested:
    """The rows of all blocks, without those that filled up the last."""
    return _over(lambda *each: (torch.cat(each) if len(each) > 1 else each[0])[:images], *parts)


def _over(combine: Callable[..., Tensor], *parts: Nested) -> Nested:
    """What ``combine`` makes of the tensors in each place of tuples that are alike."""
    if isinstance(parts[0], Tensor):
        return cast(Nested, combine(*parts))
    entries = [_over(combine, *each) for each in zip(*cast(Any, parts), strict=True)]
    return cast(Nested, getattr(parts[0], "_make", tuple)(entries))
