"""Specs that extend others, and that take values from the environment."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from offmanifold.jobs.audits.specs import Spec, inherited_spec, load_spec, parse_spec
from offmanifold.jobs.spec.environment import VariableError, substituted
from offmanifold.jobs.spec.loading import SpecError, dump_spec
from offmanifold.jobs.spec.paths import paths_in

from .conftest import small_spec


def write(path: Path, content: dict[str, Any]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    write(tmp_path / "base" / "audit.yaml", small_spec())
    return tmp_path / "base"


def test_a_spec_changes_what_it_extends(base: Path, tmp_path: Path) -> None:
    plain = load_spec(str(base / "audit.yaml"))
    name = plain.groups[0].name
    own = {
        "extends": "../base/audit.yaml",
        "name": "changed",
        "groups": {name: {"count": 1}},
        "stages": {"likelihood": {"chains": 7}},
    }
    spec = load_spec(write(tmp_path / "own" / "audit.yaml", own))
    assert spec.name == "changed"
    assert spec.groups[0].count == 1
    assert spec.groups[1:] == plain.groups[1:]
    changed = spec.model_dump()["stages"]["likelihood"]
    assert changed == plain.model_dump()["stages"]["likelihood"] | {"chains": 7}
    # Paths, of modules too, are those of the file that wrote them.
    assert list(paths_in(spec)) == list(paths_in(plain))
    assert load_spec(write(tmp_path / "own" / "same.yaml", {"extends": "../base/audit.yaml"})) == (
        plain
    )


def test_lists_take_the_others_place_with_their_own_paths(base: Path, tmp_path: Path) -> None:
    own = {
        "extends": str(base / "audit.yaml"),
        "generators": [
            {"name": "module", "source": "mygan:load"},
            {"name": "set", "per_class": {"a": {"source": "other:load"}}},
            {"name": "file", "weights": "net.pt", "family": "stylegan3"},
        ],
    }
    spec = load_spec(write(tmp_path / "own" / "audit.yaml", own))
    module, members, file = spec.generators
    assert module.import_path == str(tmp_path / "own")
    assert members.per_class is not None
    assert members.per_class["a"].import_path == str(tmp_path / "own")
    assert file.weights == str(tmp_path / "own" / "net.pt")


def test_a_chain_down_to_a_preset(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", {"extends": "digits", "name": "a", "seed": 3})
    spec = load_spec(write(tmp_path / "b.yaml", {"extends": "a.yaml", "name": "b"}))
    expected = load_spec("digits", ("name=b", "seed=3"))
    assert spec == expected
    given = inherited_spec({"extends": "digits", "name": "b", "seed": 3}, tmp_path, "spec")
    assert Spec.model_validate(given).seed == 3


def test_null_takes_a_stage_away(base: Path, tmp_path: Path) -> None:
    own = {"extends": str(base / "audit.yaml"), "stages": {"comparison": None}}
    spec = load_spec(write(tmp_path / "own.yaml", own))
    assert spec.model_dump()["stages"]["comparison"] is None


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (
            {"extends": "nowhere.yaml"},
            r"own\.yaml: extends: .*nowhere\.yaml: no such file or preset \(presets: ",
        ),
        ({"extends": 3}, r"own\.yaml: extends: expected the path of a spec .* found 3"),
        ({"extends": "own.yaml"}, r"extend each other: .*own\.yaml -> .*own\.yaml"),
        ({"extends": "back.yaml"}, r"back\.yaml: extends: .*own\.yaml -> .*back\.yaml -> "),
        (
            {"extends": "base/audit.yaml", "groups": {"trian": {"count": 1}}},
            r"own\.yaml: groups\.trian: what it extends has no entry .*names: train",
        ),
        ({"extends": "base/audit.yaml", "grops": 1}, r"own\.yaml: grops: unknown key"),
        ({"extends": "base"}, r"base: no such file or preset"),
        ({"extends": "s3://?/x"}, r"s3://\?"),
    ],
)
@pytest.mark.usefixtures("base")
def test_what_cannot_be_extended(tmp_path: Path, own: dict[str, Any], message: str) -> None:
    write(tmp_path / "back.yaml", {"extends": "own.yaml"})
    with pytest.raises(SpecError, match=message):
        load_spec(write(tmp_path / "own.yaml", own))


def test_variables_of_the_environment() -> None:
    environment = {"DATA": "/data #2", "N": "12", "NONE": "", "TRUE": "true", "LONG": "${N}"}

    def said(text: str) -> Any:
        return substituted({"groups": [{"name": "g", "key": text}]}, environment)["groups"][0][
            "key"
        ]

    assert said("${DATA}/cats") == "/data #2/cats"
    assert said("${DATA}") == "/data #2"
    assert said("${N}") == 12
    assert said("n${N}") == "n12"
    assert said("${TRUE}") is True
    assert said("${NONE}") == ""
    assert said("${NONE:-7}") == said("${UNSET:-7}") == 7
    assert said("${UNSET:-null}") is None
    assert said("${UNSET:-a}${UNSET:-}") == "a"
    assert said("${LONG}") == "${N}"
    assert said("a $5 bill, $N") == "a $5 bill, $N"
    with pytest.raises(VariableError, match=r"groups\.g\.key: .* UNSET is not set"):
        said("${UNSET}/x")
    for strange in ("${", "${1}", "${A-b}", "${}", "${DATA", "${A:-${B}}"):
        with pytest.raises(VariableError, match=r"groups\.g\.key: .*expected \$\{NAME\}"):
            said(strange)


def test_a_stored_spec_has_the_values(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "own.yaml", {"extends": "${BASE}", "seed": "${SEED}"})
    monkeypatch.delenv("BASE", raising=False)
    with pytest.raises(SpecError, match=r"own\.yaml: extends: .*variable BASE is not set"):
        load_spec(file)
    monkeypatch.setenv("BASE", str(base / "audit.yaml"))
    monkeypatch.setenv("SEED", "five")
    with pytest.raises(SpecError, match=r"own\.yaml: seed: .*'five'"):
        load_spec(file)
    monkeypatch.setenv("SEED", "5")
    assert load_spec(file).seed == 5
    assert "${" not in dump_spec(load_spec(file))


def test_a_stored_text_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of somebody else cannot have a reader's variables written into its report."""
    monkeypatch.setenv("SECRET", "s")
    content = small_spec()
    content["groups"][0]["path"] = "/${SECRET}"
    stored = parse_spec(yaml.safe_dump(content), Path("/"), (), "audit.yaml")
    assert stored.groups[0].path == "/${SECRET}"
