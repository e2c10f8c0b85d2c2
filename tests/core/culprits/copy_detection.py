"""Which copies are seen in which view of Fashion-MNIST, and how often; writes docs/copying.md.

    python -m tests.core.culprits.copy_detection [--kept FOLDER] [--replicates 400]

It needs Fashion-MNIST (`apt-get install dataset-fashion-mnist`) and some 25 minutes of a core. The
nearness of all images in each view is kept in the folder, if there is one, for the next time.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from offmanifold.core.culprits.copies import SHARES, copying_culprits
from offmanifold.core.likelihood import simulate
from offmanifold.core.quantisation import quantise
from offmanifold.core.statistics.copies import (
    NEAREST,
    Copies,
    detectable_share,
    held_out_p_values,
    nearness,
    share_of_copies,
)
from offmanifold.core.statistics.label_permutation import permute_labels
from offmanifold.core.statistics.neighbour_lists import nearest_lists
from offmanifold.core.statistics.views import View, kinds_of_views, nearest_view, pixel_views
from offmanifold.workers.datasets import open_dataset
from offmanifold.workers.generators import open_generator

from ..statistics.copying_cases import SETS, copies_table, sets_table, support_table

PAGE = Path(__file__).parents[3] / "docs" / "copying.md"
SHAPE = (1, 28, 28)
# Training images; test images that calibrate or are honest samples; images of each culprit.
TRAINING, HELD_OUT, MADE = 20_000, 3000, 200
SEEN_AT = 0.01
# Of the test images in each repetition so many are samples, and so many calibrate.
SAMPLES, CALIBRATING = 1000, 2000
SHIPPED, HONEST = "shipped generator", "held out"

TEXT = """# Does it copy?

How copies of training images are looked for, what is seen in which view, and how often the answers
are wrong. The command

    python -m tests.core.culprits.copy_detection --replicates {replicates}

writes this page again.

## In an audit

```yaml
stages:
  copies: {{dataset: digits, split: train, held_out: {{dataset: digits, split: test}}}}
  support: {{dataset: digits, split: train}}
```

`dataset` names all the images that the generator was trained on, `held_out` others of the same
origin that it was not trained on; the latter are needed, and a spec without them is refused.
Samples alone are enough. A generator that takes a class is asked for the classes of the held-out
images, drawn by chance: a rare class has fewer training images of its kind, and would be ranked
among images that have more. They come in turn only where the held-out images have none. An image
that is not finite, or a sample that cannot be read, is a failed row and is told beside the answer;
all others count. The report answers these questions:

- *Does it copy training images?* Yes only if the placebo is silent and held-out images lie among
  the training images as these do among themselves. No if fewer than 1% can be copies, and at least
  90% of planted copies of each kind are seen. Otherwise nothing is decided, and the smallest share
  that could have been found is stated. Beside it a table of planted copies by views, made of the
  run's own images as the one below is, says which view sees which kind. A
  [whole run](results/memorisation.md) is stored.
- *Are its images nearer to its training images than to others like them?* The exact test's answer,
  which is never no. It is another question: what leans towards training images need not be a copy.
- *Does it copy training images, by what networks see of them?* With `spaces: [dino]` beside them
  the same is asked of distances between features, of the `annotator` or of a network under
  [`extractors`](distances.md#networks-inception-vgg-dino-clip-your-own). A network may see a
  change that no view of pixels undoes, and may be blind to others: planted copies, the placebo and
  the exact test are there for each space, and the spaces share the error rate of one question.
  Features of all images are computed once for each space and kept in the table `features`: a run
  that is taken up again, or asked about another generator, finds those of the training images.
- *Does it repeat itself more often than real images do?* From near-duplicates among its images,
  by a distance that real images calibrate, beside other real images. Images that are smoother than
  real ones are nearer to each other too: the report shows the closest pairs. A generator that takes
  a class is asked for the classes of the real images, drawn by chance, since pairs of a class come
  as the square of its share; real images without classes are refused for it.

## The test

An image's **nearness** is the distance to its nearest training image over the mean distance to its
{nearest} nearest. The rank of a generated image's nearness among those of held-out images is its
p-value: held-out images were drawn as training images were, and nobody can have copied them.
Without held-out images there is no p-value and no verdict, because how near honest images come is
then unknown.

- **Views.** A copy that is shifted by one pixel is no neighbour in pixels. So training images are
  compared as they are, flipped, shifted by 1 or 2 pixels, enlarged by 1.1 and 1.2, and with the
  brightness divided out; the nearness in the view in which it is least is ranked among held-out
  images' least ones.
- **Share of copies.** The images as near as the nearest half percent of held-out ones are counted.
  How many honest ones there are among them has an exactly known law (beta-binomial), which gives
  the share of copies, its interval, the p-value of no copies and the smallest share that could
  have been found. A copy that no view shows is not counted: the share is that of copies that can
  be seen.
- **Which images.** Benjamini and Hochberg's procedure over the images' p-values.
- **Its assumption**, that an honest generator's images lie no nearer to images that it never saw
  than real ones do, is put to the test: the same question is asked with held-out images in the
  place of the training images, where nothing can have been copied (the *placebo*). If it is
  answered with copies there, the share is not to be believed.
- **The exact test** needs no assumption about the generator: the labels "training" and "held out"
  of a pool of both are exchanged. It is blind to few copies: with {training:,} training and
  {held:,} held-out images fewer than {fewest} among the nearest prove nothing. What it finds need
  be no copies: it also speaks up where images lean towards the training images. Of images that
  are equally near, as equal ones are, chance says which is the nearest, not the kind.
- **Held-out images that are training images** hide copies, and lean the exact test. A set that is
  the training set is refused. Held-out images that equal a training image in every pixel are
  counted; where they are, at 5%, more than 1% beyond what equal training images explain (of 100
  chosen at random), nothing is decided. So a handful does no harm, and neither do data in which
  images repeat. Changed or stored again, such images are not noticed.
- **C_T and authenticity** are descriptions, each beside the same number of held-out images. C_T's
  deviation is simulated by exchanging generated and held-out images, since its nominal one is
  wrong. `pytest tests/core/statistics/test_data_copying.py` holds it against a direct computation
  with scipy's Mann-Whitney.

## What is seen in which view

The share of a culprit's images whose p-value is at most {level:.0%}, so that {level:.0%} is what
chance gives. {training:,} training images of Fashion-MNIST, {held:,} held-out ones, {made} images
of each culprit, {shipped:,} of the package's own generator.

{matrix}

The culprits' changes are among those that the search tries. A shift by 3 pixels, an enlargement in
between, or two changes at once are not, and were not measured.

## How often the answers are right

In each of {replicates} draws from the images above {samples:,} images, of which a share are copies
and the others held-out images, and {calibrating:,} other held-out images to rank them among, in all
views. *Found* is a p-value of at most 5%, *covered* an interval that holds the true share. Shares
from {detectable:.1%} on should be found in 95% of draws.

{rates}

The package's own generator, {shipped:,} images:

{own}

## Coverage of the intervals, %

Simulated, {replicates} replicates. The share of copies, if every copy is nearer than any honest
image. At 0% the interval holds the truth unless the test convicts, which is more often than in
95%:

{copies}

The chance of two samples to collide, whose inverse is the effective support:

{support}

Where a few images are much more common than all others, and the samples hold few of those, the
interval is too narrow: nothing in such samples says how common they are.

Distances between sets at 150 images, by Student's interval over {sets} independent sets:

{sets_table}
"""


def images(split: str, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Some images of Fashion-MNIST and their labels."""
    found = open_dataset("fashion_mnist", split=split, image_shape=SHAPE)
    pixels, labels = found.arrays(range(start, stop))
    return torch.from_numpy(pixels), torch.from_numpy(labels)


def asked() -> dict[str, torch.Tensor]:
    """All images that are asked about, by what they are."""
    held, own = images("test", 0, HELD_OUT)
    found = {HONEST: held}
    for culprit in copying_culprits(*images("train", 0, TRAINING)):
        if not culprit.name.startswith("copies"):
            found[culprit.name] = culprit.make(held[:MADE], own[:MADE], 0)[0]
    found[SHIPPED] = shipped(SAMPLES)
    return found


def shipped(count: int) -> torch.Tensor:
    """What the generator of the package makes, classes in turn, as an 8-bit file holds it."""
    generator = open_generator("shipped:fashion").generator
    labels = torch.arange(count) % generator.num_classes
    with torch.no_grad():
        made, _ = simulate(generator, labels, 0.0, list(range(count)), torch.empty(0))
    return quantise(made, 256)


def measured(view: View, queries: torch.Tensor, references: torch.Tensor) -> np.ndarray:
    """Nearness of images in a view."""
    found = nearest_lists(view.queries(queries), view.references(references), NEAREST)
    return nearness(found.distance)


# Nearness by kind of images, and by view [training or unseen, images].
Found = dict[str, dict[str, np.ndarray]]


def all_nearness(kept: Path | None) -> Found:
    """Nearness among training images, and among as many held-out ones that nobody has seen."""
    groups = asked()
    ends = np.cumsum([len(each) for each in groups.values()])[:-1]
    queries, (training, _) = torch.cat(list(groups.values())), images("train", 0, TRAINING)
    unseen, _ = images("test", HELD_OUT, 2 * HELD_OUT)
    found: Found = {}
    for view in pixel_views():
        file = kept / f"{view.name}.npy" if kept else None
        if file and file.exists():
            values = np.load(file)
        else:
            values = np.stack([measured(view, queries, each) for each in (training, unseen)])
            if file:
                np.save(file, values)
        print(view.name, flush=True)
        for name, part in zip(groups, np.split(values, ends, axis=1), strict=True):
            found.setdefault(name, {})[view.name] = part
    return found


def spaces(found: Found) -> dict[str, list[str]]:
    """Views that are looked at together, by name: each kind, and all."""
    names = list(found[HONEST])
    return {kind: [names[place] for place in views] for kind, views in kinds_of_views().items()}


def least(found: Found, group: str, views: list[str], reference: int = 0) -> np.ndarray:
    """A group's nearness in the nearest of some views; reference 1 is unseen images."""
    return nearest_view({view: found[group][view][reference] for view in views})[0]


def matrix(found: Found) -> str:
    """Shares of images that are seen: culprits by views."""
    by_kind = spaces(found)
    lines = ["| culprit | " + " | ".join(by_kind) + " |", "|---" * (len(by_kind) + 1) + "|"]
    for group in [name for name in found if name != HONEST]:
        cells = []
        for views in by_kind.values():
            p_values = held_out_p_values(least(found, group, views), least(found, HONEST, views))
            cells.append(f"{100 * np.mean(p_values <= SEEN_AT):.1f}%")
        lines.append(f"| {group} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def rates(found: Found, replicates: int) -> str:
    """How often copies are found, and how often the interval of their share covers."""
    rng, every = np.random.default_rng(2029), spaces(found)["all"]
    honest = least(found, HONEST, every)
    lines = ["| copies | share | found | mean estimate | covered |", "|---|---|---|---|---|"]
    kinds = [name for name in found if name.startswith("replay")]
    for kind, share in [("none", 0.0), *[(kind, share) for kind in kinds for share in SHARES]]:
        results = []
        for _ in range(replicates):
            order, count = rng.permutation(honest), rng.binomial(SAMPLES, share)
            values = order[:SAMPLES].copy()
            if count:
                values[:count] = rng.choice(least(found, kind, every), count)
            results.append(share_of_copies(values, order[-CALIBRATING:]))
        shares = [each.share for each in results]
        cells = (
            kind,
            f"{share:.0%}",
            f"{100 * np.mean([each.p_value <= 0.05 for each in results]):.1f}%",
            f"{100 * np.mean([each.value for each in shares]):.2f}%",
            f"{100 * np.mean([each.low <= share <= each.high for each in shares]):.1f}%",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def own_generator(found: Found) -> str:
    """What is said of the package's generator: in pixels and in all views, with the placebo."""
    lines = [
        "| question | views | counted | share of copies | p |",
        "|---|---|---|---|---|",
    ]
    for kind in ("pixels", "all"):
        views = spaces(found)[kind]
        for reference, words in enumerate(("copies of training images", "placebo")):
            result: Copies = share_of_copies(
                least(found, SHIPPED, views, reference), least(found, HONEST, views, reference)
            )
            share = result.share
            lines.append(
                f"| {words} | {kind} | {result.counted} | {share.value:.2%} "
                f"({share.low:.2%} to {share.high:.2%}) | {result.p_value:.2g} |"
            )
    exact = labels_of(shipped(SAMPLES))
    lines.append(f"| exchanged labels | pixels |  | | {exact:.2g} |")
    return "\n".join(lines)


def labels_of(generated: torch.Tensor) -> float:
    """The p-value of the label permutation in pixels."""
    training, held = images("train", 0, TRAINING)[0], images("test", 0, HELD_OUT)[0]
    pool = torch.cat([training, held]).flatten(1).numpy()
    lists = nearest_lists(generated.flatten(1).numpy(), pool, NEAREST)
    kinds = np.arange(len(pool)) < TRAINING
    return permute_labels(lists.index[:, 0], nearness(lists.distance), kinds, 0).p_value


def main() -> None:
    """Measure everything and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--replicates", type=int, default=400)
    arguments = parser.parse_args()
    replicates: int = arguments.replicates
    found = all_nearness(arguments.kept)
    fewest = int(np.ceil(np.log(0.05) / np.log(TRAINING / (TRAINING + HELD_OUT))))
    text = TEXT.format(
        replicates=replicates,
        nearest=NEAREST,
        training=TRAINING,
        held=HELD_OUT,
        made=MADE,
        shipped=SAMPLES,
        fewest=fewest,
        level=SEEN_AT,
        matrix=matrix(found),
        samples=SAMPLES,
        calibrating=CALIBRATING,
        detectable=detectable_share(SAMPLES, CALIBRATING),
        rates=rates(found, replicates),
        own=own_generator(found),
        copies=copies_table(replicates),
        support=support_table(replicates),
        sets=SETS,
        sets_table=sets_table(replicates),
    )
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
