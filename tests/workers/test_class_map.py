"""Class names become a generator's class numbers, or are refused."""

from pathlib import Path

import numpy as np
import pytest
from offmanifold.workers.datasets import DatasetError, open_dataset
from offmanifold.workers.datasets.class_map import (
    ClassedImages,
    FoundClasses,
    class_numbers,
    found_classes,
    require_within,
)

SHAPE = (1, 2, 2)


def folders(place: Path, *names: str) -> Path:
    for index, name in enumerate(names):
        (place / name).mkdir(parents=True)
        np.save(place / name / "0.npy", np.full(SHAPE, index / 100))
    return place


def named(*names: str, empty: tuple[str, ...] = ()) -> FoundClasses:
    return FoundClasses(dict(enumerate(names)), empty, numbered=False)


def test_classes_are_found_with_the_names_that_their_set_has(tmp_path: Path) -> None:
    place = folders(tmp_path / "set", "owl", "ape", "10", "9")
    (place / "none").mkdir()
    images = open_dataset("folder", path=place, image_shape=SHAPE)
    assert found_classes(images) == FoundClasses(
        {0: "10", 1: "9", 2: "ape", 4: "owl"}, ("none",), numbered=False
    )
    digits = found_classes(open_dataset("digits", split="test"))
    assert digits == FoundClasses({n: str(n) for n in range(10)}, (), numbered=True)
    assert found_classes(open_dataset("single_colour", image_shape=SHAPE)) is None


def test_a_map_changes_labels_and_hashes_and_nothing_else(tmp_path: Path) -> None:
    plain = open_dataset("folder", path=folders(tmp_path, "ape", "owl"), image_shape=SHAPE)
    images = ClassedImages(plain, {"owl": 3, "ape": 8})
    pixels, labels = images.arrays()
    np.testing.assert_array_equal(pixels, plain.arrays()[0])
    assert labels.tolist() == [8, 3]
    known = images.labels()
    assert known is not None
    assert known.tolist() == [8, 3]
    assert images.num_classes == 9
    assert images.source(1) == plain.source(1)
    again, other = (ClassedImages(plain, {"ape": 8, "owl": owl}) for owl in (3, 4))
    assert len({each.hash() for each in (plain, images, again, other)}) == 3
    assert images.hash() == again.hash()
    assert images.fingerprint() == again.fingerprint() != other.fingerprint()


def test_a_class_is_the_same_in_both_forms_of_its_accents(tmp_path: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    place = folders(tmp_path, "ape", decomposed)
    plain = open_dataset("folder", path=place, image_shape=SHAPE)
    found = found_classes(plain)
    assert found == named("ape", composed)
    images = ClassedImages(plain, class_numbers(found, [9], {"ape": 2, composed: 5}))
    assert [images.image(index)[1] for index in range(2)] == [2, 5]
    # Both orders are the same, so it counts.
    assert class_numbers(found, [2]) == {"ape": 0, composed: 1}


def test_an_order_that_depends_on_the_form_of_accents_says_nothing() -> None:
    # After "z" as one character, before it as "e" with an accent.
    found = named("zebra", "\u00e9tage")
    with pytest.raises(DatasetError, match="depends on the form in which their accents are stored"):
        class_numbers(found, [2])
    with pytest.raises(DatasetError, match=r"differ only .* or in the form of accents"):
        class_numbers(named("\u00e9tage", "\u00e9tage"), [2])
    assert class_numbers(found, [2], {"\u00e9tage": 1, "zebra": 0}) == {"zebra": 0, "\u00e9tage": 1}


def test_one_class_for_all_images() -> None:
    images = ClassedImages(open_dataset("single_colour", image_shape=SHAPE), 5)
    assert images.image(3)[1] == 5
    assert images.labels() is None
    assert images.num_classes == 6


@pytest.mark.parametrize(
    ("found", "counts", "expected"),
    [
        (named("10", "9", "007"), [3], {"10": 10, "9": 9, "007": 7}),
        (named("ape", "owl"), [2, 2], {"ape": 0, "owl": 1}),
        (FoundClasses({3: "3", 7: "7"}, (), numbered=True), [10], {"3": 3, "7": 7}),
    ],
)
def test_names_that_say_enough(
    found: FoundClasses, counts: list[int], expected: dict[str, int]
) -> None:
    assert class_numbers(found, counts) == expected


@pytest.mark.parametrize(
    ("found", "counts", "message"),
    [
        (named("ape", "owl"), [3], "2 classes found by name, expected 3"),
        (named("ape", "owl"), [2, 3], "expected 2 and 3"),
        (named("ape", "owl", empty=("none",)), [2], "1 without an image, such as 'none'"),
        (named("ape", "1"), [10], "2 classes found by name"),
        (named("7", "07"), [10], "mean the same number"),
        (named(*(f"c{n:03d}" for n in range(100))), [1000], "# and 82 more"),
    ],
)
def test_names_that_say_too_little(found: FoundClasses, counts: list[int], message: str) -> None:
    with pytest.raises(DatasetError, match=message) as refusal:
        class_numbers(found, counts)
    assert str(refusal.value).count("\n") <= 20


def test_a_number_beyond_the_generators_classes_is_named() -> None:
    require_within({"ape": 1}, 2, "generator g")
    with pytest.raises(DatasetError, match=r"class 2 \('owl'\) cannot be generated: generator g"):
        require_within({"ape": 1, "owl": 2}, 2, "generator g")


def test_classes_that_look_numbered_from_one_are_told_of_in_their_order() -> None:
    with pytest.raises(DatasetError, match="numbered from 1, each is its number less 1") as refusal:
        require_within({str(number): number for number in range(1, 11)}, 10, "generator g")
    lines = str(refusal.value).splitlines()
    assert lines[2:] == [f'  "{number}": ?' for number in range(1, 11)]
    with pytest.raises(DatasetError) as other:
        require_within({"0": 0, "10": 10}, 10, "generator g")
    assert "numbered from 1" not in str(other.value)
