"""Distances between sets of features, held against other libraries' numbers for the same features.

Recorded from torch-fidelity 0.4.0, torchmetrics 1.9.0 and prdc 0.2: `other_libraries` beside this
file makes these numbers again.
"""

import numpy as np
import pytest
from offmanifold.core.statistics import frechet, manifolds, precision_recall
from offmanifold.core.statistics.frechet import frechet_distance, kernel_distance, moments
from offmanifold.core.statistics.precision_recall import (
    curve_of_histograms,
    precision_recall_curve,
)

random = np.random.default_rng(11)
REAL = random.normal(size=(400, 8))
GENERATED = random.normal(size=(350, 8)) * 1.3 + 0.4


def test_frechet_distance_of_torch_fidelity_and_torchmetrics() -> None:
    # fid_features_to_statistics and fid_statistics_to_metric; torchmetrics' _compute_fid.
    found = frechet_distance(moments(GENERATED), moments(REAL))
    assert found == pytest.approx(2.2416133933152125, rel=1e-12)


def test_frechet_distance_of_gaussians_in_closed_form() -> None:
    spread = np.diag([1.0, 4.0, 9.0])
    first = frechet.Moments(10, np.zeros(3), spread)
    second = frechet.Moments(10, np.array([1.0, 2.0, 0.0]), 4 * spread)
    # |m|^2 + sum (2 s - s)^2 along axes that both share.
    assert frechet_distance(first, second) == pytest.approx(5 + 1 + 4 + 9, rel=1e-12)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-12)


def test_fewer_images_than_features_give_a_distance_too() -> None:
    few = moments(REAL[:4])
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-6)


def test_kernel_distance_of_torch_fidelity_and_torchmetrics() -> None:
    # kernel_mmd with the polynomial kernel; torchmetrics' poly_mmd.
    found = kernel_distance(GENERATED, REAL[:350])
    assert found == pytest.approx(1.1989970338796847, rel=1e-12)


def test_blocks_change_neither_moments_nor_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, kernel = moments(REAL), kernel_distance(GENERATED, REAL)
    monkeypatch.setattr(frechet, "_ROWS", 33)
    np.testing.assert_allclose(moments(REAL).covariance, whole.covariance, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(whole.covariance, np.cov(REAL, rowvar=False), rtol=1e-12)
    assert kernel_distance(GENERATED, REAL) == pytest.approx(kernel, rel=1e-12)


@pytest.mark.parametrize("rows", [29, 1024])
def test_manifolds_of_prdc_and_torch_fidelity(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(manifolds, "_ROWS", rows)
    found = manifolds.manifolds(GENERATED, REAL)
    # compute_prdc(REAL, GENERATED, 3) and torch-fidelity's calculate_precision_recall_full.
    assert found.precise.mean() == 0.5885714285714285
    assert found.recalled.mean() == 0.96
    # compute_prdc(REAL, GENERATED, 5).
    assert found.density.mean() == pytest.approx(0.4017142857142857, rel=1e-14)
    assert found.covered.mean() == 0.6825


def test_the_boundary_of_a_ball_counts_for_precision_and_not_for_coverage() -> None:
    # Real images at 0, 1, 2, ...: within the row a 3rd neighbour is 2 away, a 5th one 3.
    real = np.arange(100.0)[:, None]
    found = manifolds.manifolds(np.array([[-2.0], [-3.0], [50.5], [51.5], [52.5], [53.5]]), real)
    # 0 has its 3rd neighbour at 3 and its 5th at 5, 1 at 2 and 4 away.
    assert found.precise.tolist() == [True] * 6
    assert found.density.tolist() == [0.4, 0.2, 1.2, 1.2, 1.2, 1.2]
    far = manifolds.manifolds(np.array([[-3.0], [-3.1], [-4.0], [-5.0], [-6.0], [-7.0]]), real)
    assert far.precise.tolist() == [True, False, False, False, False, False]
    assert far.density.tolist() == pytest.approx([0.2, 0.2, 0.2, 0.0, 0.0, 0.0])


def reference_curve(generated: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    slopes = np.tan(np.linspace(1e-10, np.pi / 2 - 1e-10, 1001))
    precision = np.array([np.minimum(slope * real, generated).sum() for slope in slopes])
    return precision, precision / slopes


def test_the_curve_of_two_histograms() -> None:
    generated, real = np.array([0.5, 0.5, 0.0, 0.0]), np.array([0.25, 0.25, 0.25, 0.25])
    curve = curve_of_histograms(generated, real)
    precision, recall = reference_curve(generated, real)
    np.testing.assert_allclose(curve.precision, precision, rtol=1e-12)
    np.testing.assert_allclose(curve.recall, recall, rtol=1e-12)
    # All that is made is real, half of the real is made.
    assert (curve.precision.max(), curve.recall.max()) == pytest.approx((1.0, 0.5))
    assert curve.precision_score > 0.97 > 0.6 > curve.recall_score > 0.49


def test_samples_that_lack_half_of_the_modes_lack_recall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision_recall, "RUNS", 2)
    rng = np.random.default_rng(0)
    centres = 50 * rng.normal(size=(20, 4))
    real = centres[np.arange(1000) % 20] + rng.normal(size=(1000, 4))
    half = centres[np.arange(800) % 10] + rng.normal(size=(800, 4))
    curve = precision_recall_curve(half, real, 0)
    assert curve.precision_score > 0.95
    assert curve.recall_score == pytest.approx(0.5, abs=0.06)
    honest = precision_recall_curve(real[:500], real[500:], 0)
    assert min(honest.precision_score, honest.recall_score) > 0.9


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        moments(REAL[:1])
    with pytest.raises(ValueError, match="at least 6"):
        manifolds.manifolds(GENERATED[:5], REAL)
    with pytest.raises(ValueError, match="one for each cluster"):
        precision_recall_curve(REAL[:19], REAL, 0)
    with pytest.raises(ValueError, match="expected shares of 1"):
        curve_of_histograms(np.array([1.0, 1.0]), np.array([0.5, 0.5]))
