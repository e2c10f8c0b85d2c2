"""Tiny imitations of CelebA and of LSUN's scenes, in the layouts in which they are published."""

from pathlib import Path

import lmdb
import numpy as np
from PIL import Image

ATTRIBUTES = ("Heavy_Makeup", "Male", "Smiling", "Mouth_Slightly_Open", "Bangs", "Black_Hair")


def picture(seed: int, width: int = 178, height: int = 218) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def write_celeba(folder: Path, count: int = 24) -> Path:
    """As published: aligned faces, the attributes' list with its two heads, the partition.

    Two thirds are of the training split, the rest of the test split.
    """
    pictures = folder / "img_align_celeba"
    pictures.mkdir(parents=True)
    lines, parts = [str(count), " ".join(ATTRIBUTES) + " "], []
    for number in range(count):
        name = f"{number + 1:06d}.jpg"
        picture(number).save(pictures / name)
        # All combinations of two attributes of different places are there equally often.
        values = [number // 2 % 2, number // 2 % 2, number % 2, number % 2, number // 2 % 2]
        values.append(number % 2)
        lines.append(f"{name} " + " ".join(f"{2 * value - 1:2d}" for value in values))
        parts.append(f"{name} {0 if number < 2 * count // 3 else 2}")
    (folder / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    (folder / "list_eval_partition.txt").write_text("\n".join(parts) + "\n")
    return folder


def write_scene(folder: Path, count: int, seed: int) -> Path:
    """As LSUN has one: keys of forty letters, WebP pictures whose shorter side is the same."""
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=2**24) as database, database.begin(write=True) as writing:
        for number in range(count):
            file = folder / "picture.webp"
            picture(seed + number, width=40 + number, height=32).save(file, lossless=True)
            writing.put(f"{seed + number:040x}".encode(), file.read_bytes())
            file.unlink()
    return folder
