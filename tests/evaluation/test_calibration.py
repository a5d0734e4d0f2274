import numpy as np
import pytest
from scipy.special import softmax

from mien.errors import DataError
from mien.evaluation.calibration import apply_temperature, fit_temperature


def _answers(n=4000, classes=7, seed=0):
    """Logits and truths drawn from their softmax: perfectly calibrated by construction."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, classes))
    shares = softmax(logits, axis=1)
    codes = (shares.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=classes - 1)
    return logits, codes


@pytest.mark.parametrize("sharpened", [0.5, 1.0, 3.0])
def test_temperature_undoes_the_factor_that_the_logits_were_sharpened_by(sharpened):
    logits, codes = _answers()
    found = fit_temperature(softmax(sharpened * logits, axis=1), codes)
    assert found == pytest.approx(sharpened, rel=0.08)


def test_temperature_changes_no_answer_and_keeps_rows_summing_to_one():
    shares = softmax(_answers(200)[0], axis=1)
    cooler = apply_temperature(shares, 2.5)
    assert (cooler.argmax(axis=1) == shares.argmax(axis=1)).all()
    np.testing.assert_allclose(cooler.sum(axis=1), 1)
    assert (cooler.max(axis=1) < shares.max(axis=1)).all()


def test_probabilities_of_zero_are_no_trouble():
    certain = np.eye(7)[[0, 1, 2, 3]]
    assert np.isfinite(fit_temperature(certain, np.array([0, 1, 2, 4])))


def test_answers_without_truths_are_refused():
    with pytest.raises(DataError, match="3 answers and 2 true classes"):
        fit_temperature(np.full((3, 7), 1 / 7), np.array([0, 1]))
