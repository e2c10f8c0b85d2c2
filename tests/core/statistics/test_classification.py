import numpy as np
import pytest
from offmanifold.core.statistics.classification import classify
from offmanifold.core.statistics.marginal import marginal_log_density, uniform_log_prior
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis


def test_bayes_rule_equals_linear_discriminant_analysis() -> None:
    rng = np.random.default_rng(0)
    label = rng.choice(3, p=[0.6, 0.3, 0.1], size=600)
    images = rng.normal(size=(600, 2)) + 1.5 * np.eye(3)[label][:, :2]
    reference = LinearDiscriminantAnalysis(store_covariance=True).fit(images, label)
    scores = np.stack(
        [multivariate_normal(m, reference.covariance_).logpdf(images) for m in reference.means_],
        axis=1,
    )
    result = classify(scores, np.log(reference.priors_))
    assert result.ties == 0
    np.testing.assert_array_equal(result.predicted, reference.predict(images))


def test_ties_go_to_the_lower_class_and_are_counted() -> None:
    scores = np.array([[1.0, 2.0, 2.0], [3.0, 1.0, 0.0], [5.0, 5.0, 5.0]])
    result = classify(scores)
    assert result.predicted.tolist() == [1, 0, 0]
    assert result.ties == 2


def test_marginal_is_the_mixture_density() -> None:
    prior = np.array([0.2, 0.8])
    densities = np.array([[1e-3, 2e-3], [5e-1, 1e-9]])
    expected = np.log(densities @ prior)
    np.testing.assert_allclose(marginal_log_density(np.log(densities), np.log(prior)), expected)


def test_marginal_survives_thousands_of_nats() -> None:
    high = np.array([[5000.0, 4000.0]])
    value = marginal_log_density(high, uniform_log_prior(2))
    np.testing.assert_allclose(value, [5000.0 - np.log(2)])
    assert logsumexp(uniform_log_prior(10)) == pytest.approx(0.0, abs=1e-12)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="nan"):
        classify(np.array([[1.0, np.nan]]))
    with pytest.raises(ValueError, match="every class"):
        marginal_log_density(np.array([[1.0, np.nan]]), uniform_log_prior(2))
    with pytest.raises(ValueError, match="prior sums to"):
        marginal_log_density(np.zeros((1, 2)), np.zeros(2))
