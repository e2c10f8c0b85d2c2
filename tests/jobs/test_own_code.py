"""A run directory is data: wherever a spec may name code, none that lies in the run is imported."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from offmanifold.jobs.audits.specs import parse_spec
from offmanifold.jobs.record.run_directory import RunDirectory
from offmanifold.jobs.spec.loading import SpecError

from .conftest import small_spec

PLACES = ("generators", "members", "checkpoints", "extractors", "own", "segmenter")


def spec_with(place: str, code: dict[str, Any]) -> dict[str, Any]:
    """A spec that names the code there."""
    spec = small_spec()
    spec["generators"][0]["import_path"] = "/elsewhere"
    if place == "generators":
        spec["generators"] = [{"name": "evil", **code}]
    elif place == "members":
        spec["generators"] = [{"name": "evil", "per_class": {0: code, 1: code}}]
    elif place == "checkpoints":
        spec["generators"] = [{"name": "evil", "checkpoints": [{"iteration": 1, **code}]}]
    elif place == "extractors":
        spec["extractors"] = {"evil": {**code, "range": [0, 1]}}
    elif place == "own":
        digits = {"dataset": "digits", "split": "test"}
        spec["stages"] |= {"annotator": {"dataset": "digits", "own": code}, "class_shares": digits}
    else:
        spec["segmenter"] = {**code, "objects": ["one"]}
    return spec


def refuse(spec: dict[str, Any], run: Path) -> None:
    found = parse_spec(yaml.safe_dump(spec), run, (), "audit.yaml")
    RunDirectory.at(str(run)).refuse_own_code(found)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("source", "import_path"),
    [("evil:f", "."), ("run.evil:f", ".."), ("runs.run.evil:f", "../.."), ("run:f", "..")],
)
def test_no_module_in_the_run_is_imported(
    place: str, source: str, import_path: str, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "run"
    code = {"source": source, "import_path": import_path}
    with pytest.raises(SpecError, match="would import code from the run directory itself"):
        refuse(spec_with(place, code), run)
    refuse(spec_with(place, {"source": "run_of.mine:f", "import_path": ".."}), run)


def test_trusted_weights_do_not_hide_a_module(tmp_path: Path) -> None:
    code = {"source": "evil:f", "import_path": ".", "trust": True, "weights": "/elsewhere/net.pt"}
    for extractor in (code, {**code, "weights": None}):
        with pytest.raises(SpecError, match="would import code"):
            refuse(spec_with("extractors", extractor), tmp_path / "run")
    elsewhere = {**code, "import_path": "/elsewhere", "weights": "net.pt"}
    with pytest.raises(SpecError, match=r"net\.pt"):
        refuse(spec_with("extractors", elsewhere), tmp_path / "run")


def test_a_module_is_not_found_by_the_folder_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "runs" / "run"
    run.mkdir(parents=True)
    spec = small_spec()
    spec["generators"] = [
        {"name": "a", "source": "mine:f", "import_path": ".."},
        {"name": "b", "source": "run.evil:f", "import_path": "/elsewhere"},
    ]
    refuse(spec, run)
    for file in ("evil.py", "__init__.py"):
        (run / file).write_text("")
        with pytest.raises(SpecError, match=r"run\.evil would import code .*run/"):
            refuse(spec, run)
        (run / file).unlink()
    (run / "evil.py").write_text("")
    del spec["generators"][0]
    refuse(spec, run)
    monkeypatch.syspath_prepend(str(tmp_path / "runs"))
    with pytest.raises(SpecError, match=r"run\.evil would import code"):
        refuse(spec, run)
