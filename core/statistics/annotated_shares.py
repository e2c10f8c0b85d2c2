"""Class shares behind an annotator's labels, corrected for the errors that it is known to make.

On real images with known classes an annotator's confusion is seen: how often it takes class c for
a. If it errs on generated images as on real ones, and only the shares differ ("label shift"), then
its labels of generated images are a mixture of the confusion's rows, with the shares as weights.
That assumption can fail, and `check_errors_alike` tests what of it can be seen.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from scipy import optimize, special

from .interval import CONFIDENCE, Interval, check_confidence

_MOST_STEPS = 500
_SETTLED = 1e-6
# Confidence is cut at these quantiles of the real images' within each label.
_QUANTILES = (0.25, 0.5, 0.75)
_DRAWS = 500


@dataclass(frozen=True)
class LikenessTest:
    """Whether the annotator's answers on generated images are a mixture of those on real classes.

    ``deviance`` is twice the log-likelihood ratio of the counts against the nearest mixture, and
    ``p_value`` the share of simulated samples without a fault that reach it.
    """

    deviance: float
    p_value: float


def shares_by_inversion(
    counts: Int64[np.ndarray, " labels"], confusion: Int64[np.ndarray, "classes labels"]
) -> Float64[np.ndarray, " classes"]:
    """The point of the simplex whose mixture of confusion rows is nearest to the labels' shares.

    Nearest in squares. The inverse of the confusion matrix gives the same where it stays in the
    simplex, and negative shares where it does not.

    Raises:
        ValueError: no images, or a class without real images.
    """
    rows = _rates(counts, confusion)
    # Non-negative least squares with the sum of 1 as a heavily weighted equation.
    weight = 1e4
    system = np.vstack([rows.T, np.full(len(rows), weight)])
    shares, _ = optimize.nnls(system, np.append(counts / counts.sum(), weight))
    return np.asarray(shares / shares.sum())


def shares_by_likelihood(
    counts: Int64[np.ndarray, " labels"], confusion: Int64[np.ndarray, "classes labels"]
) -> Float64[np.ndarray, " classes"]:
    """The shares under which the labels' counts are likeliest, by expectation maximisation.

    Raises:
        ValueError: no images, or a class without real images.
    """
    return np.asarray(_mixture(counts[None], _rates(counts, confusion)[None])[0])


def shares_by_probabilities(
    logits: Float64[np.ndarray, "images classes"], trained_on: Float64[np.ndarray, " classes"]
) -> Float64[np.ndarray, " classes"]:
    """The shares that the annotator's own probabilities agree with (Saerens et al. 2002).

    ``trained_on`` are the classes' shares that the annotator learned. Expectation maximisation:
    each image's probabilities are weighed by new shares over old, and averaged. It needs no
    confusion matrix, but probabilities that are calibrated.

    Raises:
        ValueError: no images, or a class that the annotator was not trained on.
    """
    if len(logits) == 0 or (trained_on <= 0).any():
        raise ValueError("expected images, and a share above 0 for every class trained on")
    likelihoods = special.softmax(logits, axis=1) / trained_on
    shares = np.full(len(trained_on), 1 / len(trained_on))
    for _ in range(_MOST_STEPS):
        joint = likelihoods * shares
        updated = (joint / joint.sum(axis=1, keepdims=True)).mean(axis=0)
        moved = np.abs(updated - shares).max()
        shares = updated
        if moved < _SETTLED:
            break
    return shares


def corrected_share_intervals(
    counts: Int64[np.ndarray, " labels"],
    confusion: Int64[np.ndarray, "classes labels"],
    seed: int,
    *,
    confidence: float = CONFIDENCE,
) -> list[Interval]:
    """`shares_by_likelihood` of each class with an interval over generated and real images.

    A percentile bootstrap: labels of generated images, and of the real ones of every class, are
    drawn anew. These are counts of a few labels, which nothing makes heavy-tailed.

    Raises:
        ValueError: no images, or a class without real images.
    """
    check_confidence(confidence)
    rates, total = _rates(counts, confusion), int(counts.sum())
    value = _mixture(counts[None], rates[None])[0]
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(total, counts / total, _DRAWS)
    tables = _drawn_tables(rng, rates, confusion.sum(axis=1))
    found = _mixture(drawn, tables / tables.sum(axis=2, keepdims=True))
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, [tail, 1 - tail], axis=0)
    return [
        Interval(float(value[each]), float(low[each]), float(high[each]), total)
        for each in range(len(value))
    ]


def most_hidden(confusion: Int64[np.ndarray, "classes labels"]) -> float:
    """The most that the total variation of true classes may be, over that of their labels.

    For two sets of images on which the annotator errs as on these real ones: 1 where it makes no
    errors, infinite where it gives images of some classes the same labels. Between shares that
    differ by d, the labels' differ by d times the confusion's rates; the ends of what d can be are
    those that take from one class what they give to another.

    Raises:
        ValueError: a class without real images.
    """
    rates = _rates(confusion.sum(axis=0), confusion)
    if np.linalg.matrix_rank(rates) < len(rates):
        return math.inf
    inverse = np.linalg.inv(rates)
    return max(float(np.abs(inverse - row).sum(axis=1).max()) / 2 for row in inverse)


def check_errors_alike(
    generated: Float64[np.ndarray, "generated classes"],
    real: Float64[np.ndarray, "real classes"],
    labels: Int64[np.ndarray, " real"],
    seed: int,
) -> LikenessTest:
    """Tests that the annotator answers generated images as it answers real ones of some classes.

    Takes logits of generated and of held-out real images, and the real ones' classes. Answers are
    counted in cells: the label, and the quarter of the real images' confidences in that label.
    Under the assumption the generated counts are a mixture of the classes' rows of cells; how far
    from the nearest mixture chance puts them is simulated, with real and generated images drawn
    anew. A rejection speaks against corrected shares, not against the generator's shares; and
    errors that differ without moving a cell are not seen.

    Raises:
        ValueError: no generated images, or a class without real images.
    """
    classes = real.shape[1]
    edges = _edges(real)
    table = np.zeros((classes, classes * (len(_QUANTILES) + 1)), dtype=np.int64)
    np.add.at(table, (labels, _cells(real, edges)), 1)
    counts = np.bincount(_cells(generated, edges), minlength=table.shape[1])
    # Cells that neither sample reached say nothing.
    used = (table.sum(axis=0) + counts) > 0
    table, counts = table[:, used], counts[used]
    _rates(counts, table)
    everywhere = (table.sum(axis=0) + counts) / (table.sum() + counts.sum())
    rows = _smoothed(table[None], everywhere)
    observed, shares = _deviance(counts[None], rows)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(int(counts.sum()), shares[0] @ rows[0], _DRAWS)
    tables = _drawn_tables(rng, rows[0], table.sum(axis=1))
    null, _ = _deviance(drawn, _smoothed(tables, everywhere))
    extreme = int(np.sum(null >= observed[0]))
    return LikenessTest(float(observed[0]), (1 + extreme) / (1 + _DRAWS))


def _rates(counts: np.ndarray, confusion: np.ndarray) -> np.ndarray:
    """How often each class is given each label [classes, labels]."""
    if counts.sum() == 0:
        raise ValueError("no generated images: expected at least one")
    totals = confusion.sum(axis=1)
    missing = np.flatnonzero(totals == 0)
    if len(missing):
        raise ValueError(
            f"no real images of class {missing[0]}: the annotator's errors on it are unknown; "
            "correct with a held-out set that has every class"
        )
    rates: np.ndarray = confusion / totals[:, None]
    return rates


def _mixture(counts: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Likeliest weights [sets, classes] of rates [sets, classes, cells] for counts [sets, cells].

    Expectation maximisation from equal weights. Cells that no class reaches are left out.
    """
    weights = np.full(rates.shape[:2], 1 / rates.shape[1])
    observed = counts / counts.sum(axis=1, keepdims=True)
    for _ in range(_MOST_STEPS):
        expected = np.matmul(weights[:, None], rates)[:, 0]
        ratio = np.divide(observed, expected, out=np.zeros_like(expected), where=expected > 0)
        updated = weights * np.matmul(rates, ratio[:, :, None])[:, :, 0]
        updated /= updated.sum(axis=1, keepdims=True)
        moved = np.abs(updated - weights).max()
        weights = updated
        if moved < _SETTLED:
            break
    return weights


def _drawn_tables(rng: np.random.Generator, rates: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Counts [draws, classes, cells] of as many real images of each class."""
    rows = [
        rng.multinomial(int(total), rate, _DRAWS) for total, rate in zip(totals, rates, strict=True)
    ]
    return np.stack(rows, axis=1)


def _smoothed(tables: np.ndarray, everywhere: np.ndarray) -> np.ndarray:
    """Rates with one image more in each class, spread as all images are: none is 0."""
    more = tables + everywhere
    smoothed: np.ndarray = more / more.sum(axis=2, keepdims=True)
    return smoothed


def _deviance(counts: np.ndarray, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Twice the log-likelihood ratio against the nearest mixture [sets], and its weights."""
    weights = _mixture(counts, rates)
    expected = np.matmul(weights[:, None], rates)[:, 0]
    shares = counts / counts.sum(axis=1, keepdims=True)
    return 2 * (special.xlogy(counts, shares) - special.xlogy(counts, expected)).sum(1), weights


def _edges(real: np.ndarray) -> np.ndarray:
    """Of each label, the quantiles [labels, edges] of the real images' log confidence in it."""
    predicted, sure = _label_and_confidence(real)
    return np.stack(
        [
            np.quantile(sure[predicted == label], _QUANTILES)
            if (predicted == label).any()
            else np.zeros(len(_QUANTILES))
            for label in range(real.shape[1])
        ]
    )


def _cells(logits: np.ndarray, edges: np.ndarray) -> np.ndarray:
    predicted, sure = _label_and_confidence(logits)
    quarter = (sure[:, None] > edges[predicted]).sum(axis=1)
    cells: np.ndarray = predicted * (edges.shape[1] + 1) + quarter
    return cells


def _label_and_confidence(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and logits of the chosen label against all others: probabilities may round to 1."""
    predicted = logits.argmax(axis=1)
    chosen = np.take_along_axis(logits, predicted[:, None], axis=1)[:, 0]
    rest = logits.copy()
    np.put_along_axis(rest, predicted[:, None], -np.inf, axis=1)
    return predicted, chosen - special.logsumexp(rest, axis=1)
