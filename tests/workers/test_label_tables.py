"""Tables of attributes whose bits make a class: what in them has two meanings is refused."""

from pathlib import Path

import numpy as np
import pytest
from offmanifold.workers.datasets.image_set import DatasetError
from offmanifold.workers.datasets.label_files import read_table
from offmanifold.workers.datasets.opening import open_dataset
from PIL import Image

HEAD = "file,Smiling,Young\n"


def test_a_file_listed_twice_has_one_class_or_none() -> None:
    table = read_table((HEAD + "a.png,1,-1\nb.png,1,1\na.png,1,-1\n").encode(), "t.csv")
    assert table.joint(["Smiling", "Young"], "t.csv") == [("a.png", 2), ("b.png", 3)]
    assert table.joint(["Young"], "t.csv") == [("a.png", 0), ("b.png", 1)]
    table = read_table((HEAD + "a.png,1,-1\nb.png,1,1\na.png,1,1\n").encode(), "t.csv")
    with pytest.raises(DatasetError, match=r"t\.csv has 'a\.png' twice, with classes 2 and 3"):
        table.joint(["Smiling", "Young"], "t.csv")


def test_attributes_are_of_tables(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("a", "b"):
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "images" / f"{name}.png")
    (tmp_path / "labels.json").write_text('{"labels": [["a.png", 0], ["b.png", 1]]}')
    for attribute in ("x", ["x", "y"]):
        with pytest.raises(DatasetError, match="attribute names columns of a table"):
            open_dataset(
                "folder",
                path=str(tmp_path / "images"),
                image_shape=(1, 4, 4),
                labels=str(tmp_path / "labels.json"),
                attribute=attribute,
            )
