"""The notebook in docs runs as it stands."""

import json
from pathlib import Path
from typing import Any

import offmanifold as om
import pytest
from matplotlib import pyplot

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "first-audit.ipynb"


@pytest.mark.slow
@pytest.mark.ci
def test_the_notebook_runs_from_its_first_cell_to_its_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pyplot.switch_backend("agg")
    names: dict[str, Any] = {}
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), NOTEBOOK.name, "exec"), names)
    assert isinstance(names["run"], om.Run)
    assert names["run"].failed.empty
    assert {"train", "single_colour"} <= set(names["groups"])
    assert names["figure"].axes[0].has_data()
    pyplot.close(names["figure"])
