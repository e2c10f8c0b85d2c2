"""Culprits whose fault is the shares of classes, or of what is within a class; and the honest one.

Each is what its name says of images that are a sample of the real distribution.
"""

import numpy as np
import torch
from jaxtyping import Float, Int64
from sklearn.cluster import KMeans
from torch import Tensor

from .culprit import Culprit, OneClassError

# Uneven classes: the commonest is so many times as common as the rarest, in even steps of ln.
_UNEVENNESS = 4.0
# Halves of a class are made of so many clusters, and a collapsed class has so many images.
_SUB_CLUSTERS = 10
_PROTOTYPES = 10
# Clusters of a class are found in so many values an image at most.
_PIXELS = 256

_Images = Float[Tensor, "n channels height width"]
_Labels = Int64[Tensor, " n"]
_Made = tuple[Float[Tensor, "made channels height width"], Int64[Tensor, " made"]]


def _real(images: _Images, labels: _Labels, seed: int) -> _Made:
    """All of the images, in another order."""
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(images)))
    return images[order], labels[order]


def _without_a_class(images: _Images, labels: _Labels, seed: int) -> _Made:
    """All but those of one class, which the seed chooses."""
    _check_classes(labels)
    classes = torch.unique(labels).numpy()
    dropped = int(np.random.default_rng(seed).choice(classes))
    kept = labels != dropped
    return images[kept], labels[kept]


def _uneven(images: _Images, labels: _Labels, seed: int) -> _Made:
    """A part of each class: of the commonest all, of the rarest a quarter; the seed says which."""
    _check_classes(labels)
    rng = np.random.default_rng(seed)
    classes = rng.permutation(torch.unique(labels).numpy())
    parts = np.geomspace(1.0, 1 / _UNEVENNESS, len(classes))
    known, kept = labels.numpy(), []
    for each, part in zip(classes, parts, strict=True):
        mine = rng.permutation(np.flatnonzero(known == each))
        kept.append(mine[: max(1, round(part * len(mine)))])
    chosen = torch.from_numpy(np.sort(np.concatenate(kept)))
    return images[chosen], labels[chosen]


def _half_of_each_class(images: _Images, labels: _Labels, seed: int) -> _Made:
    """Of each class those in half of its ten clusters by pixels: no class is missing, or rarer.

    Classes keep their shares: each gives as many images as the one that keeps the smallest part.
    """
    rng = np.random.default_rng(seed)
    kept: list[np.ndarray] = []
    whole: list[int] = []
    for mine in _of_each_class(labels):
        cluster, count = _clusters(images[mine], _SUB_CLUSTERS, seed)
        stay = rng.permutation(count)[: max(1, count // 2)]
        kept.append(rng.permutation(mine[np.isin(cluster, stay)]))
        whole.append(len(mine))
    part = min(len(left) / total for left, total in zip(kept, whole, strict=True))
    chosen = [left[: max(1, round(part * total))] for left, total in zip(kept, whole, strict=True)]
    rows = torch.from_numpy(np.sort(np.concatenate(chosen)))
    return images[rows], labels[rows]


def _prototypes(images: _Images, labels: _Labels, seed: int) -> _Made:
    """Every image replaced by the mean of its cluster, of which each class has ten."""
    made = images.clone()
    for mine in _of_each_class(labels):
        rows = torch.from_numpy(mine)
        cluster, count = _clusters(images[rows], _PROTOTYPES, seed)
        for each in range(count):
            members = rows[torch.from_numpy(cluster == each)]
            made[members] = images[members].mean(dim=0)
    return made, labels


def _of_each_class(labels: Tensor) -> list[np.ndarray]:
    known = labels.numpy()
    return [np.flatnonzero(known == each) for each in np.unique(known)]


def _clusters(images: Tensor, clusters: int, seed: int) -> tuple[np.ndarray, int]:
    """k-means of the images, made smaller where they are large; fewer clusters of few images."""
    side = images.shape[2:]
    factor = max(1, int(np.sqrt(side[0] * side[1] / _PIXELS)))
    small = torch.nn.functional.avg_pool2d(images, factor, ceil_mode=True)
    points = small.flatten(1).numpy()
    count = min(clusters, len(np.unique(points, axis=0)))
    found = KMeans(count, n_init=1, random_state=seed % 2**32).fit(points)
    return np.asarray(found.labels_), count


def _check_classes(labels: Tensor) -> None:
    if len(torch.unique(labels)) < 2:
        raise OneClassError("images of one class: their shares cannot be wrong; take two classes")


HONEST = Culprit("honest", "", _real)
DROPS_A_CLASS = Culprit("drops-a-class", "makes no image of one class", _without_a_class)
UNEVEN_CLASSES = Culprit(
    "uneven-classes", f"makes some classes up to {_UNEVENNESS:g} times too rarely", _uneven
)
HALF_OF_EACH_CLASS = Culprit(
    "half-of-each-class",
    f"makes half of the {_SUB_CLUSTERS} kinds of image that each class has",
    _half_of_each_class,
)
PROTOTYPES = Culprit("prototypes", f"makes {_PROTOTYPES} images of each class", _prototypes)
