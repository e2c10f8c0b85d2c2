"""Made-up speeds of generators."""

from offmanifold.core.calls import Kind
from offmanifold.core.row_limit import RowLimit
from offmanifold.workers.speed import Speed
from offmanifold.workers.timing import Seconds, Timing


def steady(least: float, most: float, products: int = 1) -> Speed:
    """Each row takes as long, in whatever batch, and a Jacobian so many times that."""
    row = Seconds(least, most)
    timings = {kind: Timing(1, row, 1, row) for kind in Kind}
    jacobian = row.times(products)
    timings[Kind.JACOBIAN] = Timing(1, jacobian, 1, jacobian)
    return Speed(
        timings,
        row,
        Seconds(0, 0),
        bytes_of_row=1000,
        limit=RowLimit(10**6),
        filled=1,
        latent_dim=products,
    )
