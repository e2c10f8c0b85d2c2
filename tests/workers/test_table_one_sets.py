"""The paper's tasks: classes by several attributes, from several sources, balanced."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from offmanifold.workers.datasets import DatasetError, ImageSet, open_dataset

from .paper_sets import picture, write_celeba, write_scene

SHAPE = (3, 16, 16)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_celeba(folder / "celeba")
    for seed, (scene, count) in enumerate((("bedroom", 5), ("kitchen", 3), ("classroom", 4))):
        write_scene(folder / f"{scene}_train_lmdb", count, 100 * seed)
    return folder


def faces(data: Path, **options: Any) -> ImageSet:
    asked: dict[str, Any] = {"split": "train", "resize": "lanczos", "crop": 108} | options
    return open_dataset("celeba", path=data / "celeba", image_shape=SHAPE, **asked)


def scenes(data: Path, *names: str, **options: Any) -> ImageSet:
    sources: Any = {
        name: {"dataset": "lmdb", "path": str(data / f"{name}_train_lmdb")} for name in names
    }
    return open_dataset("sources", sources=sources, image_shape=SHAPE, resize="lanczos", **options)


def test_attributes_are_bits_and_the_first_is_the_highest(data: Path) -> None:
    both = faces(data, attribute=["Heavy_Makeup", "Smiling"])
    labels = both.labels()
    assert labels is not None
    assert labels.tolist() == [2 * (n // 2 % 2) + n % 2 for n in range(16)]
    assert both.num_classes == 4
    one = faces(data, attribute="Smiling").labels()
    assert one is not None
    assert one.tolist() == [n % 2 for n in range(16)]
    assert both.hash() != faces(data, attribute=["Smiling", "Heavy_Makeup"]).hash()
    with pytest.raises(DatasetError, match="has no attribute 'Young'"):
        faces(data, attribute=["Young", "Smiling"])


def test_the_same_list_serves_a_folder(data: Path) -> None:
    listed = open_dataset(
        "folder",
        path=data / "celeba" / "img_align_celeba",
        labels=str(data / "celeba" / "list_attr_celeba.txt"),
        attribute=["Heavy_Makeup", "Smiling"],
        image_shape=SHAPE,
        resize="lanczos",
    )
    assert listed.num_classes == 4
    every = faces(data, split="", attribute=["Heavy_Makeup", "Smiling"]).labels()
    assert np.array_equal(listed.labels(), every)  # type: ignore[arg-type]


def test_names_make_no_bits(tmp_path: Path) -> None:
    picture(0).save(tmp_path / "a.png")
    (tmp_path / "list.csv").write_text("file,hair,Smiling\na.png,black,1\n")
    with pytest.raises(DatasetError, match=r"hair must have values of 1 or -1.*'black'"):
        open_dataset(
            "folder",
            path=tmp_path,
            labels=str(tmp_path / "list.csv"),
            attribute=["hair", "Smiling"],
            image_shape=(3, 218, 178),
        )


def test_scenes_are_put_together(data: Path) -> None:
    joined = scenes(data, "kitchen", "bedroom")
    labels = joined.labels()
    assert labels is not None
    assert labels.tolist() == [0] * 3 + [1] * 5
    assert joined.class_names == ("kitchen", "bedroom")
    alone = open_dataset(
        "lmdb", path=data / "bedroom_train_lmdb", image_shape=SHAPE, resize="lanczos"
    )
    for place in (0, 4):
        pixels, label = joined.image(3 + place)
        assert label == 1
        assert np.array_equal(pixels, alone.image(place)[0])
        assert joined.source(3 + place) == alone.source(place)
    with pytest.raises(IndexError):
        joined.image(8)
    assert joined.hash() != scenes(data, "bedroom", "kitchen").hash()
    assert joined.account is not None
    assert joined.account.read == 8


def test_balance_leaves_as_many_of_each(data: Path) -> None:
    whole = scenes(data, "bedroom", "kitchen", "classroom")
    even = scenes(data, "bedroom", "kitchen", "classroom", balance="fewest", seed=3)
    labels = even.labels()
    assert labels is not None
    assert np.bincount(labels).tolist() == [3, 3, 3]
    sources = [even.source(place) for place in range(9)]
    assert len(set(sources)) == 9
    assert set(sources) < {whole.source(place) for place in range(12)}
    again = scenes(data, "bedroom", "kitchen", "classroom", balance="fewest", seed=3)
    assert even.hash() == again.hash()
    assert [again.source(place) for place in range(9)] == sources
    other = scenes(data, "bedroom", "kitchen", "classroom", balance=2, seed=3)
    assert other.length == 6
    assert other.fingerprint() != even.fingerprint()
    with pytest.raises(DatasetError, match=r"class kitchen has 3; give at most that many"):
        scenes(data, "bedroom", "kitchen", balance=4)


def test_every_image_is_drawn_as_often(data: Path) -> None:
    drawn = np.zeros(5)
    for seed in range(300):
        even = scenes(data, "bedroom", "kitchen", balance="fewest", seed=seed)
        bedrooms = [even.source(place) for place in range(3)]
        drawn += [any(f"{number:040x}" in each for each in bedrooms) for number in range(5)]
    assert np.allclose(drawn / 300, 0.6, atol=4 * np.sqrt(0.24 / 300))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "lmdb"}, "go together"),
        ({"sources": None}, "go together"),
        ({"split": "train"}, "split: null"),
        ({"attribute": "Male"}, "attribute: null"),
        ({"resize": None}, "sources.b: images of"),
        ({"extra": {"dataset": "lmdb", "path": "nowhere"}}, "sources.c: nowhere has no data.mdb"),
        ({"extra": {"dataset": "lsun"}}, "sources.c: unknown image set 'lsun'"),
    ],
)
def test_sources_that_do_not_go_together(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    for name, size in (("a", 4), ("b", 6)):
        np.savez(tmp_path / f"{name}.npz", np.zeros((2, size, size, 3), dtype=np.uint8))
    sources: Any = {
        name: {"dataset": "npz", "path": str(tmp_path / f"{name}.npz")} for name in "ab"
    }
    if "extra" in options:
        sources["c"] = options.pop("extra")
    asked: dict[str, Any] = {
        "name": "sources",
        "sources": sources,
        "image_shape": SHAPE,
        "resize": "lanczos",
    }
    asked |= options
    if asked["resize"] is None:
        asked["image_shape"] = None
    with pytest.raises(DatasetError, match=message):
        open_dataset(**asked)


def test_a_source_without_end_is_no_class() -> None:
    sources: Any = {
        "digits": {"dataset": "digits", "split": "test"},
        "c": {"dataset": "single_colour"},
    }
    with pytest.raises(DatasetError, match=r"sources\.c: single_colour is endless"):
        open_dataset("sources", sources=sources, image_shape=(1, 8, 8))
