"""Which images of its set a group takes."""

import numpy as np

from ...workers.shard import item_seed


def chosen_images(
    group: str, labels: tuple[int, ...] | None, length: int | None, count: int, seed: int
) -> list[int]:
    """Which images a group takes of its set, by the spec's ``seed``; see `balanced_choice`."""
    return balanced_choice(labels, length, count, item_seed(seed, "choice", group))


def balanced_choice(
    labels: tuple[int, ...] | None, length: int | None, count: int, seed: int
) -> list[int]:
    """``count`` positions without replacement, classes as even as the labels allow, sorted."""
    if length is None:
        return list(range(count))
    order = np.random.default_rng(seed).permutation(length)
    if labels is not None:
        order = order[np.argsort(label_ranks(np.asarray(labels)[order]), kind="stable")]
    return sorted(order[:count].tolist())


def label_ranks(labels: np.ndarray) -> np.ndarray:
    """How many of each label came before it."""
    seen: dict[int, int] = {}
    ranks = np.empty(len(labels), dtype=np.int64)
    for position, label in enumerate(labels.tolist()):
        ranks[position] = seen[label] = seen.get(label, -1) + 1
    return ranks
