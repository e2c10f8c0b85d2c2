"""The rates of `linear_audits`: a fixed part of them; all of them are printed by its command."""

import numpy as np
import pytest
from offmanifold.jobs.report.verdict import Verdict

from tests.audits.linear_audits import CASES, PAPERS, TYPICALITY, Case, Recipe, audit, rates

RECIPE = Recipe(images=128, null=128, simulated=256)
BY_NAME = {case.name: case for case in CASES}


def _one(case: Case, latent_dim: int) -> dict[str, Verdict]:
    rng = np.random.default_rng([3, latent_dim])
    generator, data = case.make(rng, latent_dim)
    return {verdict.key: verdict for verdict in audit(generator, data, rng, RECIPE).verdicts}


def test_every_question_is_asked_of_the_model_s_own_samples_too() -> None:
    verdicts = _one(BY_NAME["true, data with noise"], 32)
    assert list(verdicts) == ["manifold", "nearer", "denser", "likeliest", "typical"]
    for verdict in verdicts.values():
        assert any(finding.null is not None for finding in verdict.findings if finding.primary)
    assert not [key for key, verdict in verdicts.items() if verdict.tone == "bad"]


@pytest.mark.parametrize("name", ["untrained", "mean shifted", "half the latents dead"])
def test_a_wrong_generator_is_caught(name: str) -> None:
    tones = {key: verdict.tone for key, verdict in _one(BY_NAME[name], 32).items()}
    assert "bad" in tones.values()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "latent_dim"),
    [
        pytest.param("true, data with noise", 32, marks=pytest.mark.ci),
        ("true, data with noise", 8),
        ("true, data with noise", 64),
        ("true, data without noise", 32),
    ],
)
def test_a_right_generator_is_convicted_in_at_most_5_percent(name: str, latent_dim: int) -> None:
    found = rates(BY_NAME[name], latent_dim, 20, RECIPE)
    # Of 20 audits at a true rate of 5%, 5 or more are a chance of one in 400.
    assert found["any"] <= 4


@pytest.mark.slow
def test_the_papers_recipe_convicts_a_right_generator() -> None:
    found = rates(BY_NAME["true, data with noise"], 64, 10, PAPERS, TYPICALITY)
    assert found["plain"] == 10
