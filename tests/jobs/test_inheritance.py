"""Specs that extend others, and that take values from the environment."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from offmanifold.jobs.audits.specs import Spec, inherited_spec, load_spec, parse_spec
from offmanifold.jobs.spec.environment import VariableError, substituted
from offmanifold.jobs.spec.loading import SpecError, apply_override, dump_spec
from offmanifold.jobs.spec.paths import paths_in
from offmanifold.jobs.spec.plain_yaml import parse_yaml

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
        ({"extends": "base"}, r"base: is a folder; expected a YAML file, such as .*audit\.yaml"),
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


def test_a_variables_number_stays_text_where_text_is_wanted(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"extends": str(base / "audit.yaml"), "name": "${NAME}", "seed": "${SEED}"}
    file = write(tmp_path / "own.yaml", own)
    for name in ("2024", "1e5", "007", "1.50"):
        monkeypatch.setenv("NAME", name)
        monkeypatch.setenv("SEED", "5")
        spec = load_spec(file)
        assert (spec.name, spec.seed) == (name, 5)
        assert type(spec.seed) is int
        assert parse_yaml(dump_spec(spec))["name"] == name
    monkeypatch.setenv("SEED", "5.5")
    with pytest.raises(SpecError, match=r"seed: .*5\.5"):
        load_spec(file)


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


def test_only_what_a_user_wrote_takes_values_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "s")
    content = {**small_spec(), "seed": 3}
    content["groups"][0]["path"] = "/${SECRET}/${"
    run = tmp_path / "run"
    stored, sent = write(run / "audit.yaml", content), write(run / "offmanifold-job.yaml", content)
    with pytest.raises(SpecError, match="after the dollar sign"):
        load_spec(stored)
    (run / "provenance.json").write_text("{}")
    derived = write(tmp_path / "own.yaml", {"extends": "run/audit.yaml", "name": "${SECRET}"})
    for file in (stored, sent, derived):
        assert load_spec(file).groups[0].path == "/${SECRET}/${"
    assert load_spec(derived).name == "s"
    with pytest.raises(SpecError, match="after the dollar sign"):
        load_spec(write(run / "mine.yaml", content))
    write(run / "audit.yaml", {"extends": "mine.yaml"})
    with pytest.raises(SpecError, match=r"audit\.yaml: extends: a spec that a run wrote"):
        load_spec(stored)


def merged(tmp_path: Path, base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    write(tmp_path / "base" / "base.yaml", base)
    return inherited_spec({"extends": "base/base.yaml", **own}, tmp_path, "own.yaml")


def test_null_takes_an_entry_away(tmp_path: Path) -> None:
    base = {
        "extractors": {"a": {"timm": "x"}, "b": {"timm": "y"}},
        "groups": [{"name": "train", "classes": {"x": 0, "y": 1}}, {"name": "test"}],
        "generators": [{"name": "set", "per_class": {"x": {"source": "a:f"}, "y": {}}}],
        "cluster": {"resources_per_worker": {"r": 1}},
        "stages": {"comparison": {}},
    }
    own = {
        "extractors": {"a": None},
        "groups": {"test": None, "train": {"classes": {"x": None}}},
        "generators": {"set": {"per_class": {"y": None}}},
        "cluster": {"resources_per_worker": {"r": None}},
        "stages": {"comparison": None},
    }
    found = merged(tmp_path, base, own)
    assert found["extractors"] == {"b": {"timm": "y"}}
    assert found["groups"] == [{"name": "train", "classes": {"y": 1}}]
    assert list(found["generators"][0]["per_class"]) == ["x"]
    assert found["cluster"] == {"resources_per_worker": {}}
    assert found["stages"] == {"comparison": None}
    with pytest.raises(SpecError, match=r"extractors\.c: .*no entry .*names: a, b\)$"):
        merged(tmp_path, base, {"extractors": {"c": None}})


@pytest.mark.parametrize("written", ["null", '"null"'])
@pytest.mark.parametrize("called", ["null", '"null"'])
def test_a_group_called_null_is_named_with_and_without_quotes(
    tmp_path: Path, written: str, called: str
) -> None:
    base = {
        "groups": [{"name": yaml.safe_load(written), "role": "null", "count": 8}, {"role": "test"}]
    }
    own = {"groups": {yaml.safe_load(called): {"count": 4}}}
    found = merged(tmp_path, base, own)
    assert found["groups"][0]["count"] == 4
    apply_override(found, "groups.null.count=2")
    assert found["groups"][0]["count"] == 2
    with pytest.raises(SpecError, match=r"no entry is named 'train' \(names: \['null'\]\)"):
        apply_override(found, "groups.train.count=2")


def test_another_estimator_has_keys_of_its_own(tmp_path: Path) -> None:
    def likelihood(base: dict[str, Any], own: dict[str, Any]) -> Any:
        found = merged(tmp_path, {"stages": {"likelihood": base}}, {"stages": {"likelihood": own}})
        return found["stages"]["likelihood"]

    other = {"estimator": "classical", "pilots": 2}
    for guided in ({"bank": 8}, {"estimator": "guided", "bank": 8}):
        assert likelihood(guided, other) == other
        assert likelihood(guided, {"estimator": "guided", "chains": 2}) == {
            "estimator": "guided",
            "bank": 8,
            "chains": 2,
        }
        assert likelihood(guided, {"chains": 2}) == {**guided, "chains": 2}
    assert likelihood(other, {"estimator": "classical", "chains": 2}) == {**other, "chains": 2}


def test_the_folder_of_a_module_goes_with_it(tmp_path: Path) -> None:
    base = {"extractors": {"e": {"source": "a:f", "range": [0, 1]}}}
    file = {"weights": "net.pt", "format": "onnx"}
    found = merged(tmp_path, base, {"extractors": {"e": {**file, "source": None}}})["extractors"]
    assert "import_path" not in found["e"]
    kept = merged(tmp_path, base, {"extractors": {"e": {"weights": "net.pt"}}})["extractors"]["e"]
    assert kept["import_path"] == str(tmp_path / "base")


def test_strange_names_are_no_tracebacks(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"groups\.x: .*no entry .*names: none"):
        merged(tmp_path, {"groups": [{"name": ["x"]}, 3]}, {"groups": {"x": {"count": 1}}})
    with pytest.raises(SpecError, match=r"own\.yaml: extends: ~nosuchuser.*no such user"):
        inherited_spec({"extends": "~nosuchuser/base.yaml"}, tmp_path, "own.yaml")
    content = small_spec()
    content["groups"][0]["path"] = "~nosuchuser/images"
    with pytest.raises(SpecError, match=r"audit\.yaml: ~nosuchuser/images: .*no such user"):
        parse_spec(yaml.safe_dump(content), tmp_path, (), "audit.yaml")
