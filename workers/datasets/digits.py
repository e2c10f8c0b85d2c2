"""scikit-learn's 8x8 handwritten digits: inside the installed package, no download."""

from pathlib import Path

import numpy as np

from .image_set import ArrayImageSet, Shape, require_shape, require_split, stratified_split

TEST_COUNT = 500
SPLIT_SEED = 0


def open_digits(
    split: str, path: Path | None, image_shape: Shape | None, seed: int
) -> ArrayImageSet:
    """1,297 training and 500 test digits of a fixed stratified split; ``seed`` does not matter.

    Source: UCI Optical Recognition of Handwritten Digits, through ``sklearn.datasets``.
    """
    from sklearn.datasets import load_digits

    del path, seed
    require_split("digits", split, ("train", "test"))
    require_shape("digits", (1, 8, 8), image_shape)
    data = load_digits()
    labels = data.target.astype(np.int64)
    train, test = stratified_split(labels, TEST_COUNT, SPLIT_SEED)
    rows = train if split == "train" else test
    pixels = data.images[rows].astype(np.uint8)[:, None]
    return ArrayImageSet("digits", split, pixels, labels[rows], white=16)
