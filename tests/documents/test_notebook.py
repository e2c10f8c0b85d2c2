"""The notebook in docs runs as it stands, and with fewer images."""

import json
import re
from pathlib import Path
from typing import Any

import offmanifold as om
import pytest
from matplotlib import pyplot

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "first-audit.ipynb"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("divisor", "images"), [(1, 80), pytest.param(16, 20, marks=pytest.mark.ci)]
)
def test_the_notebook_runs_from_its_first_cell_to_its_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, divisor: int, images: int
) -> None:
    monkeypatch.chdir(tmp_path)
    pyplot.switch_backend("agg")
    names: dict[str, Any] = {}
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        if cell["cell_type"] == "code":
            source = re.sub(
                r'(?<="count": )\d+',
                lambda count: str(int(count[0]) // divisor),
                "".join(cell["source"]),
            )
            exec(compile(source, NOTEBOOK.name, "exec"), names)
    assert isinstance(names["run"], om.Run)
    assert names["run"].failed.empty
    assert len(names["run"].table("images")) == images
    assert {"train", "single_colour"} <= set(names["groups"])
    assert names["figure"].axes[0].has_data()
    pyplot.close(names["figure"])
