"""Each setting has one definition: spec, shard and worker hold what `core.settings` says."""

from dataclasses import asdict, dataclass, fields
from typing import Annotated

import numpy as np
import pytest
from annotated_types import Ge, Gt, Le, doc
from offmanifold.core.settings.classical import ClassicalSettings
from offmanifold.core.settings.definition import build_settings, setting_values, settings_in
from offmanifold.core.settings.guided import GuidedMethod, GuidedSettings
from offmanifold.core.settings.inversion import InversionSettings
from offmanifold.core.settings.patch_mixture import MixtureSettings
from offmanifold.core.settings.search import SearchSettings
from offmanifold.core.settings.sensing import SensingSettings
from offmanifold.core.settings.statistics import StatisticsSettings
from offmanifold.core.statistics.convergence import FEWEST_BOUNDED, MINIMUM_GAPS, quantile_bound
from offmanifold.jobs.audits.convergence.settings import ConvergenceSpec
from offmanifold.jobs.audits.inversion.settings import InversionSpec
from offmanifold.jobs.audits.likelihood.settings import ClassicalSpec, GuidedSpec
from offmanifold.jobs.audits.patches.settings import PatchGMMSpec
from offmanifold.jobs.audits.sensing.settings import SensingSpec
from offmanifold.jobs.audits.sweep.settings import SweepSpec
from offmanifold.jobs.spec.audit import StatisticsSpec
from offmanifold.jobs.spec.model import ReferenceSpec, SpecModel

# With the keys that are the job's own: which images, how many in a shard, what else a plan decides.
DEFINED = {
    GuidedSettings: (GuidedSpec, {"estimator", "shard_items"}),
    ClassicalSettings: (ClassicalSpec, {"estimator", "step_size", "pilots", "shard_items"}),
    InversionSettings: (InversionSpec, {"distance", "shard_items"}),
    SensingSettings: (
        SensingSpec,
        {*ReferenceSpec.model_fields, "measurements", "components", "images_per_group"}
        | {"shard_items"},
    ),
    StatisticsSettings: (StatisticsSpec, set[str]()),
    MixtureSettings: (PatchGMMSpec, {*ReferenceSpec.model_fields, "max_patches", "shard_items"}),
}
EACH = pytest.mark.parametrize(
    ("definition", "model"), [(core, model) for core, (model, _) in DEFINED.items()]
)
REQUIRED = {"dataset": "digits", "estimator": "classical"}


def least(model: type[SpecModel]) -> SpecModel:
    """The model with what it asks for and no more."""
    needed = {name for name, field in model.model_fields.items() if field.is_required()}
    return model.model_validate({name: REQUIRED[name] for name in needed})


@EACH
def test_no_setting_stands_in_one_of_spec_and_core_alone(
    definition: type, model: type[SpecModel]
) -> None:
    _, own = DEFINED[definition]
    assert set(settings_in(definition)) == set(model.model_fields) - own
    assert own <= set(model.model_fields)
    unset = {field.name for field in fields(definition)} - set(settings_in(definition))
    assert unset == ({"method"} if issubclass(definition, SearchSettings) else set())


@EACH
def test_a_key_has_the_type_default_bounds_and_words_of_its_definition(
    definition: type, model: type[SpecModel]
) -> None:
    for name, setting in settings_in(definition).items():
        key = model.model_fields[name]
        assert key.annotation == setting.annotation
        assert key.default == setting.default
        assert {k: v for note in key.metadata for k, v in asdict(note).items()} == setting.bounds
        assert key.description == setting.description


@EACH
def test_what_a_spec_says_comes_back_out_of_a_shard(
    definition: type[object], model: type[SpecModel]
) -> None:
    spec = least(model)
    assert build_settings(definition, setting_values(definition, spec)) == definition()
    other = {
        name: setting.default * 2
        for name, setting in settings_in(definition).items()
        if isinstance(setting.default, int | float)
    }
    shard = {**setting_values(definition, spec.model_copy(update=other)), "generator": "any"}
    rebuilt: object = build_settings(definition, shard)
    assert {name: getattr(rebuilt, name) for name in other} == other


def test_what_no_audit_sets_is_in_no_shard() -> None:
    values = setting_values(GuidedSettings, GuidedSettings(method=GuidedMethod(modes=2)))
    assert values.keys() == settings_in(GuidedSettings).keys()
    del values["doublings"]
    with pytest.raises(KeyError, match="doublings"):
        build_settings(GuidedSettings, values)


def test_a_definition_says_bounds_and_words() -> None:
    @dataclass(frozen=True)
    class Toy:
        size: Annotated[int, Ge(1), doc("of it")] = 3
        rate: Annotated[float | None, Gt(0), doc("a second")] = None
        constant: float = 2.0

    found = settings_in(Toy)
    assert list(found) == ["size", "rate"]
    assert (found["size"].annotation, found["size"].default) == (int, 3)
    assert found["size"].bounds == {"ge": 1}
    assert found["rate"].bounds == {"gt": 0}
    assert found["rate"].description == "a second"


def test_a_setting_without_a_default_is_refused() -> None:
    @dataclass(frozen=True)
    class Toy:
        size: Annotated[int, Ge(1), doc("of it")]

    with pytest.raises(TypeError, match=r"Toy\.size has no default"):
        settings_in(Toy)


def test_a_kind_of_bound_that_no_spec_would_keep_is_refused() -> None:
    @dataclass(frozen=True)
    class Toy:
        size: Annotated[int, Le(9), doc("of it")] = 3

    with pytest.raises(TypeError, match="not Ge or Gt"):
        settings_in(Toy)


def test_numbers_of_images_in_words_are_those_of_the_rules() -> None:
    assert f"Fewer than {FEWEST_BOUNDED} images" in (ConvergenceSpec.__doc__ or "")
    assert f"at least {MINIMUM_GAPS}" in (SweepSpec.__doc__ or "")
    assert ConvergenceSpec().images_per_group >= FEWEST_BOUNDED
    assert SweepSpec().images_per_group >= MINIMUM_GAPS
    assert np.isnan(quantile_bound(np.arange(FEWEST_BOUNDED - 1.0)))
    assert quantile_bound(np.arange(float(FEWEST_BOUNDED))) == FEWEST_BOUNDED - 1
