"""What annealed chains cost, guided or classical."""

from ..calls import Calls, Kind, evaluations


def chain_evaluations(chains: int, leapfrog_steps: int, transitions: int) -> int:
    """Gradients of the generator for an image's chains with so many increments of the weight."""
    return evaluations([chain_calls(chains, leapfrog_steps, transitions)])


def chain_calls(chains: int, leapfrog_steps: int, transitions: int) -> Calls:
    """These gradients, of all chains of an image at a time."""
    return Calls(Kind.CHAIN, leapfrog_steps * (transitions - 1) + 1, chains)
