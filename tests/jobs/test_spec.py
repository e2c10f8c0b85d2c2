from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from offmanifold.jobs.audits.likelihood.settings import ClassicalSpec
from offmanifold.jobs.audits.specs import load_spec, parse_spec
from offmanifold.jobs.drive.submission import absent_paths
from offmanifold.jobs.spec.loading import SpecError, apply_override, dump_spec, preset_names
from offmanifold.jobs.spec.paths import paths_in
from offmanifold.jobs.spec.plain_yaml import dump_yaml, parse_yaml

from .conftest import small_spec


def parse(content: dict[str, Any], *overrides: str) -> Any:
    return parse_spec(yaml.safe_dump(content), Path("/somewhere"), overrides, "audit.yaml")


@pytest.mark.parametrize("name", preset_names())
def test_presets_are_valid_and_survive_a_round_trip(name: str) -> None:
    spec = load_spec(name)
    assert parse_spec(dump_spec(spec), Path("/elsewhere"), (), "copy") == spec


def break_unknown_key(spec: dict[str, Any]) -> None:
    spec["stages"]["inversion"]["iteration"] = 5


def break_type(spec: dict[str, Any]) -> None:
    spec["stages"]["likelihood"]["chains"] = "four"


def break_variance_source(spec: dict[str, Any]) -> None:
    del spec["stages"]["variance"]


def break_train_group(spec: dict[str, Any]) -> None:
    spec["groups"] = [group for group in spec["groups"] if group["role"] != "train"]


def break_empty_group(spec: dict[str, Any]) -> None:
    spec["groups"][2]["count"] = 0


def break_unique_names(spec: dict[str, Any]) -> None:
    spec["groups"][1]["name"] = "train"


def break_missing_key(spec: dict[str, Any]) -> None:
    del spec["generators"][0]["source"]


def break_dataset(spec: dict[str, Any]) -> None:
    del spec["groups"][0]["dataset"]


def break_range(spec: dict[str, Any]) -> None:
    spec["stages"]["variance"] = {"value": -1.0}


def break_guided_key(spec: dict[str, Any]) -> None:
    spec["stages"]["likelihood"]["restart"] = 5


def break_bank(spec: dict[str, Any]) -> None:
    spec["stages"]["likelihood"] |= {"restarts": 50, "bank": 399}


def break_classical_key(spec: dict[str, Any]) -> None:
    spec["stages"]["comparison"]["restarts"] = 5


def break_estimator(spec: dict[str, Any]) -> None:
    spec["stages"]["comparison"]["estimator"] = "classic"


def break_comparison(spec: dict[str, Any]) -> None:
    spec["stages"]["comparison"] = {}


def break_comparison_alone(spec: dict[str, Any]) -> None:
    del spec["stages"]["likelihood"], spec["stages"]["convergence"]


def break_list(spec: dict[str, Any]) -> None:
    spec["generators"] = 3


def break_stage(spec: dict[str, Any]) -> None:
    spec["stages"]["likelihood"] = 5


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (break_guided_key, ["stages.likelihood.restart:", "did you mean 'restarts'"]),
        (break_bank, ["stages.likelihood", "399", "at least 400", "8 times `restarts`"]),
        (break_classical_key, ["stages.comparison.restarts:", "unknown key", "transitions"]),
        (break_estimator, ["stages.comparison.estimator", "'classic'", "'guided', 'classical'"]),
        (break_comparison, ["stages.comparison.estimator", "needs the other one"]),
        (break_comparison_alone, ["stages.comparison", "add `likelihood: {}`"]),
        (break_list, ["generators: input should be a list, found 3"]),
        (break_stage, ["stages.likelihood", "valid dictionary", "5"]),
        (break_unknown_key, ["stages.inversion.iteration", "did you mean 'iterations'"]),
        (break_type, ["stages.likelihood.chains", "valid integer", "'four'"]),
        (break_variance_source, ["no variance source", "variance: {}"]),
        (break_train_group, ["role `train`", "variance: {value"]),
        (
            break_empty_group,
            [
                f"groups.{small_spec()['groups'][2]['name']}.count",
                "greater than or equal to 1",
                "0",
            ],
        ),
        (break_unique_names, ["'train' is used twice"]),
        (break_missing_key, ["generators.decoder", "give one of source"]),
        (break_dataset, ["'train'", "needs a dataset"]),
        (break_range, ["stages.variance.value", "greater than 0"]),
    ],
)
def test_an_error_names_the_file_the_key_and_the_remedy(
    damage: Callable[[dict[str, Any]], None], words: list[str]
) -> None:
    spec = small_spec()
    parse(spec)
    damage(spec)
    with pytest.raises(SpecError) as caught:
        parse(spec)
    message = str(caught.value)
    assert all(word in message for word in ["audit.yaml", *words]), message


def test_where_no_spec_is_what_may_be_meant_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "with a spec"
    folder.mkdir()
    (folder / "audit.yaml").write_text("")
    for source, words in (
        ("digitz", r"no such file or preset .*; did you mean 'digits'\?"),
        (str(folder), r"is a folder; expected a YAML file, such as .*/with a spec/audit\.yaml"),
        (str(tmp_path), r"is a folder; expected a YAML file$"),
        (str(folder / "audit.yaml"), "is empty; expected a spec's keys: `offmanifold init`"),
    ):
        with pytest.raises(SpecError, match=words):
            load_spec(source)


def test_overrides_reach_lists_by_name_and_are_typed() -> None:
    spec = parse(
        small_spec(), "groups.generated.count=3", "stages.comparison.sigmoid_radius=2.5", "seed=7"
    )
    assert spec.group("generated").count == 3
    assert isinstance(spec.stages.comparison, ClassicalSpec)
    assert spec.stages.comparison.sigmoid_radius == 2.5
    assert spec.seed == 7


def test_names_with_dots_and_numbers_are_reached() -> None:
    content = small_spec()
    content["groups"] += [
        {"name": name, "role": "generated", "count": 1} for name in ("v1", "v1.5")
    ]
    spec = parse(content, "groups.v1.5.count=2", "groups.v1.count=3")
    assert (spec.group("v1.5").count, spec.group("v1").count) == (2, 3)
    keyed = {"a": {3: {"x": 0}, "b.c": {"x": 0}}}
    for override in ("a.3.x=1", "a.b.c.x=2", "a.d.e=3", "a.b.c.y=4"):
        apply_override(keyed, override)
    assert keyed == {"a": {3: {"x": 1}, "b.c": {"x": 2, "y": 4}, "d": {"e": 3}}}


def test_numbers_with_exponents_are_numbers_and_names_stay_names() -> None:
    written = "[1e-3, 5e-2, 1E6, .5, +1.5e3, -.5e+1, 1.e2]"
    assert parse_yaml(written) == [1e-3, 5e-2, 1e6, 0.5, 1500.0, -5.0, 100.0]
    texts = ["123e4567", "e5", "1e", "1e5x", "0x1e5", "1e-", "'1e5'", "1e5e1"]
    read = parse_yaml(f"[{', '.join(texts)}]")
    assert read == [text.strip("'") if text != "0x1e5" else 0x1E5 for text in texts]
    assert parse_yaml("{12e4: 1, '3e1': 2}") == {"12e4": 1, "3e1": 2}
    for value in ("1e5", "1.5e3", "12", "yes", 1e-5, 1e22, [1e5]):
        assert parse_yaml(dump_yaml(value)) == value
    assert (
        parse(small_spec(), "stages.comparison.sigmoid_radius=25e-1").stages.comparison
        == parse(small_spec(), "stages.comparison.sigmoid_radius=2.5").stages.comparison
    )
    with pytest.raises(SpecError, match=r"name: .*found 100000\.0; quote it to have it as text"):
        parse(small_spec(), "name=1e5")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("seed", ["KEY=VALUE"]),
        ("groups.nobody.count=3", ["nobody", "train"]),
        ("seed.deeper=3", ["seed"]),
        ("stages.likelihood.chain=3", ["did you mean 'chains'"]),
    ],
)
def test_a_bad_override_is_explained(override: str, words: list[str]) -> None:
    content = small_spec()
    content["seed"] = 1
    with pytest.raises(SpecError) as caught:
        parse(content, override)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_paths_are_taken_from_the_folder_of_the_spec(audit_folder: Path) -> None:
    spec = load_spec(str(audit_folder / "audit.yaml"))
    assert spec.group("train").path == str(audit_folder / "images")
    assert spec.generators[0].import_path == str(audit_folder)


def test_paths_are_found_wherever_they_lie_and_names_are_left() -> None:
    content = small_spec()
    content["generators"] = [
        {"name": "folder", "source": "gan", "import_path": "unused"},
        {"name": "function", "source": "module:make"},
        {"name": "elsewhere", "source": "module:make", "import_path": "code"},
        {"name": "shipped", "source": "shipped:digits"},
        {"name": "file", "family": "biggan-deep", "weights": "g.pth"},
        {"name": "bucket", "source": "s3://bucket/gan/"},
    ]
    content["groups"][0]["path"] = "images"
    content["stages"]["neighbours"]["path"] = "../reference"
    content["perceptual"] = {"weights": "alex.pth"}
    spec = parse(content)
    of_modules = {"/somewhere", "/somewhere/code"}
    elsewhere = {"/somewhere/gan", "/somewhere/g.pth", "s3://bucket/gan", "/somewhere/images"}
    elsewhere |= {"/reference", "/somewhere/alex.pth"}
    found = list(paths_in(spec))
    assert {path for path, field in found if field.travels} == of_modules
    assert {path for path, field in found if not field.travels} == elsewhere
    sources = [generator.source for generator in spec.generators]
    assert sources[1:4] == ["module:make", "module:make", "shipped:digits"]
    assert spec.generators[0].import_path is None
    local = elsewhere - {"s3://bucket/gan"}
    assert absent_paths(spec) == sorted(local)


def test_yaml_cannot_run_anything() -> None:
    with pytest.raises(SpecError, match=r"audit\.yaml: .*tags such as .* are refused.*line 1"):
        parse_spec("name: !!python/object/apply:os.getcwd []", Path("/"), (), "audit.yaml")
