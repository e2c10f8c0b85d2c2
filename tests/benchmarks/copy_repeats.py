"""How often the answers on copies are right, asked again and again of real images.

    python -m tests.benchmarks.copy_repeats [--repeats 200]

In every repeat 600 of scikit-learn's digits are the training images. Some of the others are held
out, in two halves, and as many are what an honest generator makes, or a generator of which a share
are copies of training images, of one kind in turn. The training images are others each time: with
the same ones what one split has by chance would count in all repeats. All of the audit's numbers
are computed, controls included, and its rule answers. Then `offmanifold nearest` is asked about
some of the same images, and its rule answers for each.
"""

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from offmanifold.core.culprits.copies import REPLAYS, SHARES, copying_culprits
from offmanifold.core.statistics.copies import (
    NEAREST,
    detectable_share,
    nearness,
    share_of_copies,
)
from offmanifold.core.statistics.label_permutation import permute_labels
from offmanifold.core.statistics.neighbour_lists import NeighbourLists, nearest_lists
from offmanifold.core.statistics.proportions import proportion_interval
from offmanifold.core.statistics.views import nearest_view, pixel_views, view_nearness
from offmanifold.jobs.audits.copies.answer import SEEN, Evidence, answer_on_copies
from offmanifold.jobs.audits.copies.query import ranked
from offmanifold.jobs.report.summary import Estimate
from offmanifold.jobs.report.verdict import ERROR_RATE
from offmanifold.workers.datasets import open_dataset
from offmanifold.workers.held_out import pool_lists
from offmanifold.workers.nearest_training import TrainingLists

TRAINING, IMAGES, REPLAYED = 600, 500, 50
# Images that `nearest` is asked about, and how many of them are copies.
ASKED, ASKED_COPIES = 20, (0, 1, 5)
PIXELS = pixel_views()[0]


@dataclass(frozen=True)
class Known:
    """Images with their least nearness among the training images, and their lists in pixels."""

    images: torch.Tensor
    near: np.ndarray
    lists: NeighbourLists

    def some(self, rows: np.ndarray) -> "Known":
        """Those in these rows."""
        lists = NeighbourLists(self.lists.index[rows], self.lists.distance[rows])
        return Known(self.images[torch.from_numpy(rows)], self.near[rows], lists)


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """All digits and their labels, in an order of chance."""
    parts = [
        open_dataset("digits", split=split, image_shape=(1, 8, 8)).arrays()
        for split in ("train", "test")
    ]
    pixels, labels = (np.concatenate(each) for each in zip(*parts, strict=True))
    order = np.random.default_rng(0).permutation(len(labels))
    return torch.from_numpy(pixels[order]), torch.from_numpy(labels[order])


def known(queries: torch.Tensor, training: torch.Tensor) -> Known:
    """Searched in every view; this takes longest."""
    by_view: dict[str, np.ndarray] = {}
    lists = None
    for view in pixel_views():
        found = nearest_lists(view.queries(queries), view.references(training), NEAREST)
        by_view[view.name] = nearness(found.distance)
        lists = found if lists is None else lists
    assert lists is not None
    return Known(queries, nearest_view(by_view)[0], lists)


def joined(first: Known, second: Known) -> Known:
    """One after the other."""
    pairs = ((first.lists.index, second.lists.index), (first.lists.distance, second.lists.distance))
    return Known(
        torch.cat([first.images, second.images]),
        np.concatenate([first.near, second.near]),
        NeighbourLists(*(np.concatenate(pair) for pair in pairs)),
    )


def among(queries: torch.Tensor, references: torch.Tensor) -> np.ndarray:
    """Least nearness over all views."""
    return nearest_view(view_nearness(queries, references, pixel_views()))[0]


def exchanged(asked: Known, others: Sequence[torch.Tensor], seed: int, *, turned: bool) -> float:
    """The p-value of the exchange of labels in a pool of training and held-out images."""
    pool = pool_lists(asked.images, PIXELS, TrainingLists(asked.lists, TRAINING), others)
    is_training = np.arange(pool.training + pool.held_out) < pool.training
    labels = ~is_training if turned else is_training
    return permute_labels(
        pool.lists.index[:, 0], nearness(pool.lists.distance), labels, seed
    ).p_value


@dataclass
class Tally:
    """Answers at a share of copies: of the rule, of p-values, and of the exact test."""

    answers: Counter[str]
    covered: list[bool]
    estimates: list[float]
    found: list[bool]
    nearer: list[bool]


class Repeats:
    """Every case, repeat by repeat."""

    def __init__(self) -> None:
        self._images, self._labels = digits()
        self.tallies = {share: Tally(Counter(), [], [], [], []) for share in (0.0, *SHARES)}
        self.asked = {copies: Counter[str]() for copies in ASKED_COPIES}

    def repeat(self, seed: int) -> None:
        """The honest case, and each share of copies of the kind whose turn it is."""
        rng = np.random.default_rng(seed)
        order = torch.from_numpy(rng.permutation(len(self._images)))
        training, unseen = order[:TRAINING], order[TRAINING : TRAINING + 2 * IMAGES]
        asked = known(self._images[unseen], self._images[training])
        held, honest = (asked.some(np.arange(IMAGES) + start) for start in (0, IMAGES))
        first, second = (held.some(np.arange(IMAGES)[half::2]) for half in (0, 1))
        copies = {
            name: known(made, self._images[training])
            for name, made in self._replays(training, seed).items()
        }
        # Half of the replays are planted by the audit, the others are the generator's.
        pool, planted = np.split(np.arange(2 * REPLAYED), 2)
        copier = copies[REPLAYS[seed % len(REPLAYS)]].some(pool)
        others, placebo = among(second.images, first.images), {}
        for name, each in (("honest", honest), ("copies", copier)):
            placebo[name] = among(each.images, first.images)
        alike = exchanged(second, [first.images], seed, turned=True)
        for share, tally in self.tallies.items():
            count = round(share * IMAGES)
            made = joined(copier.some(np.arange(count)), honest.some(np.arange(IMAGES - count)))
            mine = np.concatenate([placebo["copies"][:count], placebo["honest"][: IMAGES - count]])
            found = share_of_copies(made.near, held.near)
            not_seen = [
                name
                for name, every in copies.items()
                if np.mean(every.near[planted] <= found.threshold) < SEEN
            ]
            evidence = Evidence(
                found.p_value,
                Estimate(found.share.value, found.share.low, found.share.high, IMAGES, None),
                share_of_copies(mine, others).p_value,
                alike,
                not_seen,
            )
            said, _, reason = answer_on_copies(evidence)
            tally.answers[said if said != "undecided" else f"open: {reason}"] += 1
            tally.covered.append(found.share.low <= share <= found.share.high)
            tally.estimates.append(found.share.value)
            tally.found.append(found.p_value <= ERROR_RATE)
            if share in (0.0, SHARES[-1]):
                halves = [first.images, second.images]
                tally.nearer.append(exchanged(made, halves, seed, turned=False) <= ERROR_RATE)
        self._ask(copier, honest, held, placebo, others)

    def _replays(self, training: torch.Tensor, seed: int) -> dict[str, torch.Tensor]:
        """Copies of some training images, as many of each kind."""
        chosen = training[: 2 * REPLAYED]
        images, labels = self._images[chosen], self._labels[chosen]
        return {
            each.name: each.make(images, labels, seed)[0]
            for each in copying_culprits(images, labels)
            if each.name in REPLAYS
        }

    def _ask(
        self,
        copier: Known,
        honest: Known,
        held: Known,
        placebo: dict[str, np.ndarray],
        others: np.ndarray,
    ) -> None:
        for copies, count in self.asked.items():
            left = ASKED - copies
            values = np.concatenate([copier.near[:copies], honest.near[:left]])
            placebos = np.concatenate([placebo["copies"][:copies], placebo["honest"][:left]])
            ranks = ranked(values, held.near, placebos, others)
            count["queries"] += 1
            count["copies said copy"] += int(ranks.is_copy[:copies].sum())
            count["honest said copy"] += int(ranks.is_copy[copies:].sum())
            count["queries with an honest one"] += bool(ranks.is_copy[copies:].any())


def percent(count: int, of: int) -> str:
    """A share with its interval, in per cent."""
    share = proportion_interval(count, of)
    return f"{100 * share.value:.0f} [{100 * share.low:.0f}, {100 * share.high:.0f}]"


def main() -> None:
    """Prints the tables of docs/results/memorisation.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    arguments = parser.parse_args()
    began = time.monotonic()
    repeats = Repeats()
    for seed in range(arguments.repeats):
        repeats.repeat(seed)
    print(f"{arguments.repeats} repeats, {time.monotonic() - began:.0f} s")
    print(f"detectable: {detectable_share(IMAGES, IMAGES):.2%}")
    for share, tally in repeats.tallies.items():
        n = len(tally.found)
        print(
            f"| {share:.0%} | {percent(sum(tally.found), n)} | {dict(tally.answers)} | "
            f"{100 * np.mean(tally.estimates):.2f} | {percent(sum(tally.covered), n)} | "
            f"{percent(sum(tally.nearer), len(tally.nearer)) if tally.nearer else ''} |"
        )
    for copies, count in repeats.asked.items():
        print(f"{copies} copies of {ASKED}: {dict(count)}")


if __name__ == "__main__":
    main()
