"""Does a generator dwell at training images along paths of its latent? Steps, switches, a test.

A generator that has memorised its training images does not pass from one to the next evenly: its
image stays near one of them, then moves on in a step. Uneven paths alone prove nothing, for an
honest generator may hurry from one kind of image to another as well. So what is asked is whether it
is slow where it is near *training* images, and the same of held-out images is the control: for a
generator that has copied nothing the labels "training" and "held out" could be exchanged.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import stats

from ..settings.statistics import MINIMUM_RESAMPLES
from .interval import check_sample

# Of two steps that follow each other, one over so many times the other is a jump: where a path is
# smooth at the length of its steps, neighbours are alike.
_JUMP = 10.0


@dataclass(frozen=True)
class PathNeighbours:
    """What lies nearest along paths of S steps, in a pool whose labels are not looked at.

    ``step`` is the distance between images that follow each other. ``place`` and ``distance`` are
    the K nearest of the pool, nearest first: of the S + 1 images, then of the S images half-way
    between two of them (their mean).
    """

    step: Float64[np.ndarray, "paths steps"]
    place: Int64[np.ndarray, "paths points nearest"]
    distance: Float64[np.ndarray, "paths points nearest"]

    @property
    def images(self) -> int:
        """How many points of a path are its images."""
        return int(self.step.shape[1]) + 1

    def unseen(self, label: Bool[np.ndarray, " pool"]) -> float:
        """The share of points of which none of the K nearest has the label, in [0, 1]."""
        return float(np.mean(~label[self.place].any(axis=2)))

    def blind(self, training: int, held_out: int) -> float:
        """The share of exchanges of labels that leave all nearest of the pool training images.

        In these a generator that is nearest to training images alone is as near to them as it is:
        where they are many, a memoriser can be missed.
        """
        places = len(np.unique(self.place[:, :, 0]))
        return float(stats.hypergeom.pmf(0, training + held_out, held_out, places))

    def labelled(
        self, label: Bool[np.ndarray, " pool"]
    ) -> tuple[Int64[np.ndarray, "paths points"], Float64[np.ndarray, "paths points"]]:
        """The nearest of those of the pool that have the label, and how far it is.

        Where none of the K has it, -1, and the distance of the last of them: it is farther.
        """
        has = label[self.place]
        first = np.where(has.any(axis=2), has.argmax(axis=2), -1)
        place, distance = (
            np.take_along_axis(values, first[..., None], axis=2)[..., 0]
            for values in (self.place, self.distance)
        )
        return np.where(first < 0, -1, place), distance


@dataclass(frozen=True)
class DwellTest:
    """How much more paths dwell at training than at held-out images, and by chance how often so.

    ``value`` is the mean over paths of the difference of :func:`dwell`, between -2 and 2;
    ``p_value`` is one-sided, of exchanging the labels of the pool, and exact.
    """

    value: float
    p_value: float


def jump_share(step: Float64[np.ndarray, "paths steps"]) -> Float64[np.ndarray, " paths"]:
    """The share of each path's length that lies in jumps, in [0, 1]; nan of one without length.

    The path is cut into pairs of steps (an odd last one is left out); a pair of which one is more
    than ten times the other is a jump.

    Raises:
        ValueError: fewer than two steps.
    """
    pairs = step.shape[1] // 2
    if not pairs:
        raise ValueError(f"{step.shape[1]} steps: a jump is told from two")
    halves = step[:, : 2 * pairs].reshape(len(step), pairs, 2)
    length = halves.sum(axis=2)
    jumps = halves.max(axis=2) > _JUMP * halves.min(axis=2)
    total = length.sum(axis=1)
    share = np.divide(
        (length * jumps).sum(axis=1), total, out=np.full(len(step), np.nan), where=total > 0
    )
    return np.asarray(share)


def largest_step(step: Float64[np.ndarray, "paths steps"]) -> Float64[np.ndarray, " paths"]:
    """Each path's largest step over its mean one, at least 1; nan of one without length."""
    mean = step.mean(axis=1)
    return np.asarray(
        np.divide(step.max(axis=1), mean, out=np.full(len(step), np.nan), where=mean > 0)
    )


def switches(nearest: Int64[np.ndarray, "paths images"]) -> Int64[np.ndarray, " paths"]:
    """How often the nearest image is another than that of the image before."""
    return np.asarray((nearest[:, 1:] != nearest[:, :-1]).sum(axis=1))


def dwell(
    step: Float64[np.ndarray, "paths steps"], distance: Float64[np.ndarray, "paths points"]
) -> Float64[np.ndarray, " paths"]:
    """How much nearer the images are while little happens than while they move, in [-1, 1].

    ``distance`` is that to the nearest image of some set, of each path's images and of the images
    half-way between. B is its mean over the images, which are evenly spread over the latent; A its
    mean over the half-way images, weighted by the steps they lie in, and so evenly spread over the
    way that the image goes. (A - B) / (A + B) is 1 where the image stands still on images of the
    set and jumps between them, and around 0 where it does not matter how fast it goes. 0 for a path
    without length, of which nothing can be said.
    """
    images = step.shape[1] + 1
    total = step.sum(axis=1)
    moving = np.divide(
        (step * distance[:, images:]).sum(axis=1), total, out=np.zeros(len(step)), where=total > 0
    )
    still = distance[:, :images].mean(axis=1)
    both = moving + still
    found = np.divide(moving - still, both, out=np.zeros(len(step)), where=(both > 0) & (total > 0))
    return np.asarray(found)


def dwell_test(
    paths: PathNeighbours,
    training: Bool[np.ndarray, " pool"],
    seed: int,
    *,
    sets: int = MINIMUM_RESAMPLES,
) -> DwellTest:
    """Exchange the labels of a pool of training and held-out images, ``sets`` times.

    The paths and what lies near them in the whole pool do not depend on the labels, so the test is
    exact whatever the generator makes, if both kinds were drawn alike.

    Args:
        paths: of one generator.
        training: which images of the pool are training images.
        seed: of the permutations.
        sets: how many.

    Raises:
        ValueError: no paths, or a pool of one kind alone.
    """
    check_sample("paths", paths.step.sum(axis=1))
    held = int(np.sum(~training))
    if held in (0, len(training)):
        raise ValueError(
            f"{len(training) - held} training and {held} held-out images: the labels of one kind "
            "alone cannot be exchanged"
        )

    def difference(labels: np.ndarray) -> float:
        both = (paths.labelled(each)[1] for each in (labels, ~labels))
        of_training, of_held_out = (dwell(paths.step, distance) for distance in both)
        return float(np.mean(of_training - of_held_out))

    observed = difference(training)
    rng = np.random.default_rng(seed)
    as_large = sum(difference(rng.permutation(training)) >= observed - 1e-12 for _ in range(sets))
    return DwellTest(observed, (1 + as_large) / (1 + sets))
