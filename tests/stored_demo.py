"""The demo with its image sets and its checkpoint as files, on a disk or in a bucket."""

import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import offmanifold
import yaml
from offmanifold.jobs.spec.loading import preset_text
from offmanifold.workers.datasets import open_dataset

from .object_store import BUCKET, ObjectStore

_SHAPE = (1, 8, 8)
_OUTLIERS = {"single_colour": 64, "natural_patches": 64}


def write_inputs(folder: Path, digits: int | None = None) -> None:
    """The demo's checkpoint in ``gan``, its digits in ``digits`` and its outliers beside them.

    As .npy files, which keep the pixels to the last bit; of each split the first ``digits``.
    """
    weights = Path(offmanifold.__file__).parent / "workers" / "weights" / "digits"
    shutil.copytree(weights, folder / "gan")
    for split in ("train", "test"):
        pixels, labels = open_dataset("digits", split=split, image_shape=_SHAPE).arrays()
        for index, (image, label) in enumerate(zip(pixels[:digits], labels[:digits], strict=True)):
            _save(image, folder / "digits" / split / str(label) / f"{index:04d}.npy")
    for name, count in _OUTLIERS.items():
        outliers = open_dataset(name, image_shape=_SHAPE, seed=0)
        for index in range(count):
            _save(outliers.image(index)[0], folder / name / f"{index:04d}.npy")


def _save(image: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, image)


def upload(folder: Path, store: ObjectStore, prefix: str) -> str:
    """Every file of the folder into the bucket; the address of its copy."""
    client = store.client()
    with ThreadPoolExecutor(8) as pool:
        stored = [
            pool.submit(
                client.put_object,
                Bucket=BUCKET,
                Key=f"{prefix}/{file.relative_to(folder)}",
                Body=file.read_bytes(),
            )
            for file in folder.rglob("*.*")
        ]
        for each in stored:
            each.result()
    return f"s3://{BUCKET}/{prefix}"


def demo_at(place: str, counts: Mapping[str, int], **settings: Any) -> dict[str, Any]:
    """The demo's preset with all that it reads at ``place``, and other numbers of images.

    ``counts`` are by group; ``settings`` add to the stages', by stage.
    """
    spec: dict[str, Any] = yaml.safe_load(preset_text("digits"))
    spec["generators"][0]["source"] = f"{place}/gan"
    for group in spec["groups"]:
        # YAML reads the name `null` as nothing.
        group["count"] = counts.get(group["name"] or "null", group["count"])
        if "dataset" in group:
            group["path"] = f"{place}/{group['dataset']}"
            group["dataset"] = "folder"
    for stage in ("neighbours", "patch_gmm", "sensing", "annotator", "class_shares"):
        spec["stages"][stage] |= {"dataset": "folder", "path": f"{place}/digits"}
    for stage, changed in settings.items():
        spec["stages"][stage] |= changed
    return spec
