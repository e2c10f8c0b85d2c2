"""Settings of the search for latents: of inversion, restoration and the guided estimator alike."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, doc

# Memory for derivatives.
JACOBIAN_BYTES = 2**28
# The fewest latents of a bank for each restart: a search judges half of them.
BANKED = 8
BANK_KEY = (
    "latents that are drawn and decoded once for a class, and of which every image's "
    "searches start at the best; at least 8 times `restarts`, and at most 1,000,000 of all "
    "classes together; with 0, each search takes the best of its own `candidates`"
)
FINALISTS_KEY = "the best searches, which descend further"
FINAL_ITERATIONS_KEY = "further steps of Adam of each finalist; with 0 there is no such round"


@dataclass(frozen=True)
class SearchMethod:
    """What no audit sets of a search: found once (`tests/benchmarks/bench_search.py`).

    The restarts begin at the best distinct latents of a bank, drawn from N(0, s^2 I) with s from 1
    to ``bank_widest``. Without a bank, each begins at the best of its own candidates, and s grows
    from 1 to ``widest`` from the first restart to the last: an outlier's modes lie far out. Each
    descends by Adam, its rate falling to 0 as a cosine. From the first restart to the last, or from
    the best start to the worst, the first rate grows from ``learning_rate`` to ``fastest``: the
    model's own images want careful descents. The variance begins at a third of ``heat`` to ``heat``
    times its value, which smooths the objective, and falls to it as a power over the first 60% of
    the iterations. Points ``separation`` posterior standard deviations apart are distinct.
    Derivatives take up to ``jacobian_bytes``.
    """

    learning_rate: float = 0.1
    fastest: float = 0.4
    widest: float = 3.5
    bank_widest: float = 5.0
    heat: float = 30.0
    separation: float = 2.0
    jacobian_bytes: int = JACOBIAN_BYTES


@dataclass(frozen=True)
class SearchSettings:
    """How far an image is searched: many short descents, the best of which go on."""

    restarts: Annotated[int, Ge(1), doc("searches of each image")] = 32
    candidates: Annotated[
        int, Ge(1), doc("starts of which a search takes the best, where there is no bank")
    ] = 8
    bank: Annotated[int, Ge(0), doc(BANK_KEY)] = 20_000
    iterations: Annotated[int, Ge(1), doc("steps of Adam of each search")] = 100
    finalists: Annotated[int, Ge(1), doc(FINALISTS_KEY)] = 4
    final_iterations: Annotated[int, Ge(0), doc(FINAL_ITERATIONS_KEY)] = 200
    polish: Annotated[
        int,
        Ge(0),
        doc("Jacobians that each finalist is polished with, four steps of each"),
    ] = 6
    method: SearchMethod = SearchMethod()
