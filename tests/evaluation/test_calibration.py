import numpy as np
import pytest
from scipy.special import softmax

from mien.errors import DataError
from mien.evaluation.calibration import (
    answered_at,
    apply_temperature,
    fit_temperature,
    noise_floor,
    reliability,
    risk_coverage,
)


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


def test_reliability_by_hand():
    probabilities = np.array([[0.95, 0.05], [0.91, 0.09], [0.45, 0.55], [1.0, 0.0]])
    frame, error = reliability(
        ["sad", "happy", "happy", "sad"], probabilities, labels=["sad", "happy"]
    )
    assert frame["n"].tolist() == [1, 3]
    assert frame[["lower", "upper"]].round(1).to_numpy().tolist() == [[0.5, 0.6], [0.9, 1.0]]
    assert frame["accuracy"].tolist() == pytest.approx([1, 2 / 3])
    assert error == pytest.approx((1 * 0.45 + 3 * (2.86 / 3 - 2 / 3)) / 4)


def test_a_calibrated_model_is_seen_to_err_by_the_noise_floor():
    names = np.array(list("abcdefg"))
    seen = []
    for seed in range(20):
        logits, codes = _answers(400, seed=seed)
        shares = softmax(logits, axis=1)
        seen.append(reliability(names[codes], shares, labels=names)[1])
    assert noise_floor(shares) == pytest.approx(np.mean(seen), rel=0.1)
    assert noise_floor(softmax(_answers(3600)[0], axis=1)) < noise_floor(shares) / 2.5


def test_the_noise_floor_of_one_answer_by_hand():
    # right with .8: |.8 - 1| or |.8 - 0|, on average .8 x .2 + .2 x .8
    assert noise_floor(np.array([[0.8, 0.2]]), draws=20_000) == pytest.approx(0.32, abs=0.01)


def test_reliability_errs_on_both_sides():
    # a bin that is too sure by .9 does not make up for one that is not sure enough by .4
    shares = np.array([[0.9, 0.1], [0.6, 0.4]])
    assert reliability(["b", "a"], shares, labels=["a", "b"])[1] == pytest.approx((0.9 + 0.4) / 2)


def test_a_confidence_on_an_edge_belongs_below_it():
    frame, _ = reliability(["a"], np.array([[0.5, 0.5]]), labels=["a", "b"])
    assert frame[["lower", "upper"]].to_numpy().tolist() == [[0.4, 0.5]]


def test_the_surest_answers_come_first_and_equals_together():
    curve = risk_coverage([0.5, 0.9, 0.7, 0.7, 0.6], [True, True, False, True, False])
    assert curve["threshold"].tolist() == [0.9, 0.7, 0.6, 0.5]
    assert curve["coverage"].tolist() == [0.2, 0.6, 0.8, 1.0]
    assert curve["error"].tolist() == pytest.approx([0, 1 / 3, 1 / 2, 2 / 5])


def test_as_much_is_answered_as_the_errors_allow():
    curve = risk_coverage([0.5, 0.9, 0.7, 0.7, 0.6], [True, True, False, True, False])
    found = answered_at(curve, [0.1, 0.4, 0.45])
    assert found["threshold"].tolist() == [0.9, 0.5, 0.5]  # 40 % also at the end, after 50 %
    silent = answered_at(risk_coverage([0.9, 0.5], [False, True]), [0.1]).iloc[0]
    assert silent["coverage"] == 0 and np.isnan(silent["threshold"])
