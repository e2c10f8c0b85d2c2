"""What annealed chains cost, guided or classical."""

from typing import Literal

from ..calls import Calls, Kind, evaluations

# What the forces inside of a trajectory may be reduced to.
Forces = Literal["bfloat16"]
FORCES_KEY = (
    "the precision of the gradients inside of a trajectory, quicker where the processor has it; "
    "energies, and the gradients at its ends, are as they were, so that the weights' mean stays "
    "exact; fewer trajectories are accepted where the variance is small"
)


def chain_evaluations(chains: int, leapfrog_steps: int, transitions: int) -> int:
    """Gradients of the generator for an image's chains with so many increments of the weight."""
    return evaluations([chain_calls(chains, leapfrog_steps, transitions)])


def chain_calls(chains: int, leapfrog_steps: int, transitions: int) -> Calls:
    """These gradients, of all chains of an image at a time."""
    return Calls(Kind.CHAIN, leapfrog_steps * (transitions - 1) + 1, chains)
