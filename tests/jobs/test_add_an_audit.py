"""docs/add-an-audit.md is true: what it says, done to a copy of the package, makes an audit."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "add-an-audit.md"
CODE = ("cluster", "core", "jobs", "workers")

_FILE = re.compile(r"^`([\w/.]+\.py)`\n\n```python\n(.*?)^```$", re.M | re.S)
_ADDED = re.compile(r"^```diff\n(.*?)^```$", re.M | re.S)

SPEC = {
    "name": "bright",
    "generators": [{"name": "gan", "source": "shipped:digits"}],
    "groups": [
        {"name": "train", "role": "train", "dataset": "digits", "split": "train", "count": 12},
        {"name": "generated", "role": "generated", "count": 12},
        {"name": "black", "role": "outlier", "dataset": "single_colour", "count": 6},
    ],
    "stages": {"brightness": {"shard_items": 10}},
    "cluster": {"executor": "serial"},
}


def files_of_the_page() -> dict[str, str]:
    """The files that the page writes, by path."""
    return dict(_FILE.findall(PAGE.read_text()))


def follow_the_page(package: Path) -> list[str]:
    """Does to a copy of the package what the page says; the files that existed and were changed."""
    files = files_of_the_page()
    for name, text in files.items():
        path = package / name
        assert not path.exists(), f"{name} is there already"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    registry = package / "jobs" / "audits" / "__init__.py"
    text = registry.read_text()
    for block in _ADDED.findall(PAGE.read_text()):
        before = "".join(f"{line[1:]}\n" for line in block.splitlines() if line[0] == " ")
        after = "".join(f"{line[1:]}\n" for line in block.splitlines())
        anchor = before or "from .audit import Audit\n"
        assert text.count(anchor) == 1, anchor
        text = text.replace(anchor, after if before else anchor + after)
    registry.write_text(text)
    return ["jobs/audits/__init__.py"]


@pytest.fixture
def offmanifold(tmp_path: Path) -> Callable[..., str]:
    """Runs commands of a copy of the package with the page's audit; gives what is printed.

    They are given with their exit statuses, and run in one process, and so is the Python that
    comes then: most of a short command's time is its start.
    """
    package = tmp_path / "site" / "offmanifold"
    package.mkdir(parents=True)
    shutil.copy(ROOT / "__init__.py", package)
    for folder in CODE:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, package / folder, ignore=ignored)
    assert follow_the_page(package) == ["jobs/audits/__init__.py"]
    environment = {**os.environ, "PYTHONPATH": str(package.parent), "COLUMNS": "200"}

    def run(commands: list[tuple[str, int]], then: str) -> str:
        calls = "".join(
            f"assert (app({command.split()}, standalone_mode=False) or 0) == {status}\n"
            for command, status in commands
        )
        done = subprocess.run(
            [
                *(sys.executable, "-c"),
                f"from offmanifold.jobs.commands.cli import app\n{calls}{then}",
            ],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_a_folder_and_a_line_make_an_audit(offmanifold: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "bright.yaml").write_text(yaml.safe_dump(SPEC))
    told = offmanifold(
        [
            ("list stages", 0),
            ("list metrics", 0),
            ("list schema", 0),
            ("plan bright.yaml", 0),
            ("run bright.yaml --out run", 0),
            ("run bright.yaml --out other --set seed=1", 0),
            ("compare run other --out both.html", 0),
            ("run bright.yaml --out run", 0),
            ("plan bright.yaml --set stages.brightness.shard_item=1", 2),
        ],
        then=f"import sys; sys.path.append({str(ROOT)!r})\n"
        "from tests.documents import audits_reference, spec_reference\n"
        "print(audits_reference.reference()); print(spec_reference.reference())",
    )
    assert "the mean brightness of every image" in told
    assert "brightness_mean" in told
    assert '"brightness"' in told
    assert re.search(r"brightness +3 +30 +0 ", told), told
    assert "Are its images as bright as the data? Yes" in told
    rows = pd.read_parquet(tmp_path / "run" / "brightness")
    assert len(rows) == 30
    assert set(rows["status"]) == {"ok"}
    images = pd.read_parquet(tmp_path / "run" / "images").set_index("image_id")["pixels"]
    for image_id, found in zip(rows["image_id"], rows["brightness"], strict=True):
        assert found == pytest.approx(float(images[image_id].mean()), abs=1e-6)
    summary = pd.read_parquet(tmp_path / "run" / "summary.parquet")
    means = summary[summary["metric"] == "brightness_mean"].set_index("group")
    for group, found in rows.groupby("group"):
        assert means.loc[str(group), "value"] == pytest.approx(found["brightness"].mean())
        assert means.loc[str(group), "n"] == len(found)
    assert set(summary[summary["metric"] == "failed_rows_brightness"]["value"]) == {0}
    page = (tmp_path / "run" / "report.html").read_text()
    assert "How bright are the images?" in page
    assert "Are its images as bright as the data?" in page

    compared = (tmp_path / "both.html").read_text()
    assert "Brightness" in compared
    assert "brightness mean" in compared
    # Nothing was computed again once there was the other run.
    times = {
        run: [part.stat().st_mtime_ns for part in (tmp_path / run / "brightness").iterdir()]
        for run in ("run", "other")
    }
    assert len(times["run"]) == 3
    assert max(times["run"]) < min(times["other"])
    assert "## Brightness" in told
    assert "## `stages.brightness`" in told


def test_the_page_names_every_part_of_an_audit() -> None:
    text = PAGE.read_text()
    for word in ("settings", "spec_checks", "fact_checks", "metrics", "reducers", "sections"):
        assert word in text
    assert len(files_of_the_page()) == 9
