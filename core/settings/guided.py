"""Settings of guided annealed importance sampling."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, doc

from .chains import FORCES_KEY, Forces
from .search import FINAL_ITERATIONS_KEY, FINALISTS_KEY, SearchMethod, SearchSettings

# What a chain that started from the prior has in the place of its mode.
PRIOR_COMPONENT = -1


@dataclass(frozen=True)
class GuidedMethod(SearchMethod):
    """What no audit sets: found once (`tests/benchmarks/bench_search.py`) and the same for all.

    Of the chains, ``step_size`` is a leapfrog step's where a chain starts, in its whitened
    coordinates; from there it shrinks as the path's highest frequency grows. Half an oscillation
    would leave the energy unmixed. At a given cost, short transitions in number gained more than
    long ones, and small steps of wide ``jitter`` (their relative half-width) more than large ones,
    where the posterior is not Gaussian. ``growth`` is the schedule's, see `geometric_schedule`.

    Of the search, see `SearchMethod`; the best ``modes`` of its points are kept and polished: Adam
    alone stops tens of nats short in a narrow valley.

    Of the proposal, ``temperature`` divides the log evidences that the weights come from, since
    Laplace's approximation errs by nats. ``wide_weight`` is the weight, over all modes, of second
    components with an inflation of ``wide_inflation``: a posterior that bends away from its mode
    has mass where a narrow Gaussian has none, and chains that reach it from the prior have far to
    go. ``defensive_weight`` is the weight of the prior.
    """

    growth: float = 20.0
    step_size: float = 0.5
    jitter: float = 0.6
    modes: int = 8
    temperature: float = 2.0
    wide_inflation: float = 10.0
    wide_weight: float = 0.1
    defensive_weight: float = 0.05


@dataclass(frozen=True)
class GuidedSettings(SearchSettings):
    """Settings of guided annealed importance sampling: of its chains, search and proposal.

    With a ``tolerance``, the chains that decide are those that agree, by selection, and their mean
    weight is no longer p(x): they are thrown away, and fresh ones at the same settings and modes
    are reported.
    """

    transitions: Annotated[int, Ge(1), doc("T, the number of increments of a chain's weight")] = 500
    chains: Annotated[int, Ge(1), doc("chains of each image")] = 4
    leapfrog_steps: Annotated[int, Ge(1), doc("leapfrog steps of each transition")] = 3
    forces: Annotated[Forces | None, doc(FORCES_KEY)] = None
    restarts: Annotated[int, Ge(1), doc("searches for modes of each image")] = 75
    candidates: Annotated[int, Ge(1), doc("starts of which a search takes the best")] = 8
    bank: Annotated[
        int,
        Ge(0),
        doc(
            "latents that are drawn and decoded once for a class, and of which every image's "
            "searches start at the best; at least 8 times `restarts`, and at most 1,000,000 of all "
            "classes together; with 0, each search takes the best of its own `candidates`, which "
            "are otherwise those of searches that a tolerance adds"
        ),
    ] = 100_000
    iterations: Annotated[int, Ge(1), doc("steps of Adam of each search")] = 100
    finalists: Annotated[int, Ge(1), doc(FINALISTS_KEY)] = 10
    final_iterations: Annotated[int, Ge(0), doc(FINAL_ITERATIONS_KEY)] = 200
    polish: Annotated[
        int,
        Ge(0),
        doc("Jacobians that each of the best modes is polished with, four steps of each"),
    ] = 8
    inflation: Annotated[
        float,
        Ge(1),
        doc(
            "widens the Gaussians' standard deviations where the likelihood determines them: the "
            "more the generator curves, the more the posterior spreads around its modes, and the "
            "wider they must be"
        ),
    ] = 3.0
    tolerance: Annotated[
        float | None,
        Gt(0),
        doc(
            "nats: an image's transitions and restarts are doubled until its estimate changes by "
            "no more, and the chains' own standard error is no larger; none are without it"
        ),
    ] = None
    doublings: Annotated[int, Ge(1), doc("the most doublings that a tolerance asks for")] = 3
    method: GuidedMethod = GuidedMethod()
