"""A shard that takes long is kept in pieces: what a kill costs, and what a resumed run has."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from offmanifold.jobs.commands.cli import app
from offmanifold.workers import pace
from typer.testing import CliRunner

from .conftest import SHORT_END, small_spec, write_spec

ITEMS = 8


@pytest.fixture
def folder(audit_folder: Path) -> Path:
    """An audit of one stage after the images: the inversion of eight images in a single shard."""
    spec = small_spec()
    train = next(group for group in spec["groups"] if group["role"] == "train")
    spec["groups"] = [{**train, "count": ITEMS, "conditions": "own"}]
    spec["stages"] = {"inversion": {"iterations": 3, "restarts": 3, "bank": 64, **SHORT_END}}
    write_spec(audit_folder, spec)
    module = audit_folder / "decoder.py"
    check = (
        f"folder = pathlib.Path({str(audit_folder)!r})\n"
        "        if len(latent) not in (1, 2, 8) and torch.is_grad_enabled():\n"
        "            open(folder / 'called', 'a').write('x')\n"
        "            stop = folder / 'stop'\n"
        "            pieces = list(folder.glob('run/_scratch/*/*.parquet'))\n"
        "            if stop.exists() and len(pieces) >= int(stop.read_text()):\n"
        "                raise KeyboardInterrupt\n"
        "        values ="
    )
    module.write_text("import pathlib\n" + module.read_text().replace("values =", check, 1))
    return audit_folder


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every item takes too long for another one beside it."""
    monkeypatch.setattr(pace, "_LONGEST", 0.0)
    monkeypatch.setattr(pace, "_CHOSEN", 0.0)
    monkeypatch.setattr(pace, "_PRELUDE", 0.0)
    monkeypatch.setattr(pace, "_WATCHED", 0.0)
    monkeypatch.setattr(pace, "_LATEST", 1e9)
    monkeypatch.setattr(pace, "_power_of_two", lambda _: 1)
    monkeypatch.setattr(pace._Spans, "took", lambda *_: None)


def run(folder: Path, out: str = "run", *arguments: str) -> Any:
    command = ["run", str(folder / "audit.yaml"), "--out", str(folder / out), *arguments]
    return CliRunner().invoke(app, command)


def pieces(folder: Path) -> Iterator[Path]:
    return (folder / "run" / "_scratch").glob("*/*.parquet")


def rows(folder: Path, out: str) -> pd.DataFrame:
    return pd.read_parquet(folder / out / "inversion")


def calls(folder: Path) -> int:
    return len((folder / "called").read_text())


def killed_after(folder: Path, count: int) -> None:
    (folder / "stop").write_text(str(count))
    result = run(folder)
    assert result.exit_code == 130, result.output
    (folder / "stop").unlink()
    assert len(list(pieces(folder))) == count
    assert not list((folder / "run" / "inversion").glob("part-*"))


@pytest.mark.usefixtures("one_by_one")
def test_a_resumed_run_begins_with_the_pieces_and_has_the_same_rows(folder: Path) -> None:
    killed_after(folder, 5)
    (folder / "called").unlink()
    result = run(folder)
    assert result.exit_code == 0, result.output
    resumed = calls(folder)
    assert not list(pieces(folder))
    (folder / "called").unlink()
    assert run(folder, "whole").exit_code == 0
    # Three of eight were left.
    assert resumed < calls(folder) / 2
    pd.testing.assert_frame_equal(rows(folder, "run"), rows(folder, "whole"))
    part = next((folder / "run" / "inversion").glob("part-*"))
    assert part.name == next((folder / "whole" / "inversion").glob("part-*")).name


def test_pieces_of_another_length_are_not_mixed_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("one_by_one")
    killed_after(folder, 5)
    # The driver that goes on is on a machine that is fast, or has other ideas of how long is long.
    monkeypatch.undo()
    names = {path.name: path for path in pieces(folder)}
    assert sorted(names) == [f"{first}-{first + 1}.parquet" for first in range(5)]
    # One is lost, one is damaged, one pretends to be another, one is of no shard of this length.
    names["0-1.parquet"].unlink()
    content = bytearray(names["2-3.parquet"].read_bytes())
    content[len(content) // 2] ^= 1
    names["2-3.parquet"].write_bytes(content)
    names["4-5.parquet"].write_bytes(names["3-4.parquet"].read_bytes())
    names["3-4.parquet"].with_name("7-12.parquet").write_bytes(content)
    names["3-4.parquet"].with_name("notes.txt").write_text("mine")
    assert run(folder).exit_code == 0
    assert run(folder, "whole").exit_code == 0
    pd.testing.assert_frame_equal(rows(folder, "run"), rows(folder, "whole"))
    assert not list(pieces(folder))


@pytest.mark.usefixtures("one_by_one")
def test_a_changed_setting_meets_no_piece_of_the_former(folder: Path) -> None:
    killed_after(folder, 5)
    changed = ("--set", "stages.inversion.iterations=4", "--changed")
    assert run(folder, "run", *changed).exit_code == 0
    assert run(folder, "whole", *changed[:2]).exit_code == 0
    pd.testing.assert_frame_equal(rows(folder, "run"), rows(folder, "whole"))


@pytest.mark.usefixtures("one_by_one")
def test_failed_items_keep_their_errors_through_pieces(folder: Path) -> None:
    module = folder / "decoder.py"
    ones = "(condition == 1).any() and torch.is_grad_enabled() and len(latent) not in (1, 2, 8)"
    refuse = (
        f"if {ones}:\n            raise ArithmeticError('no ones')\n        return torch.sigmoid"
    )
    module.write_text(module.read_text().replace("return torch.sigmoid", refuse))
    killed_after(folder, 5)
    result = run(folder)
    assert result.exit_code == 3, result.output
    found = rows(folder, "run")
    assert (found.label[found.status == "failed"] == 1).all()
    assert (found.status == "failed").sum() == ITEMS / 2
    told = CliRunner().invoke(app, ["errors", str(folder / "run")]).output
    assert "ArithmeticError: no ones" in told
    assert "raise ArithmeticError('no ones')" in told
