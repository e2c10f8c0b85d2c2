"""What annealed chains cost, guided or classical."""


def chain_evaluations(chains: int, leapfrog_steps: int, transitions: int) -> int:
    """Gradients of the generator for an image's chains with so many increments of the weight."""
    return chains * (leapfrog_steps * (transitions - 1) + 1)
