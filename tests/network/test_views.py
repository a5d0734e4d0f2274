"""The views of a face at test: what is averaged, and which views PublicTest chooses."""

import numpy as np
import pandas as pd
import pytest

from mien.evaluation.calibration import fit_temperature
from mien.network import inference


def test_every_kind_of_views_is_compared(monkeypatch):
    asked = []

    def predict(network, images, **how):
        asked.append(how)
        answers = np.full((len(images), 7), 0.1, np.float32)
        answers[:, len(asked) % 7] = 0.4
        return answers

    monkeypatch.setattr(inference, "predict", predict)
    compared, answers = inference.compare_views(
        None, np.zeros((4, 48, 48), np.uint8), np.array([1, 2, 2, 2])
    )
    assert asked == list(inference.VIEWS.values())
    assert compared["views"].tolist() == list(answers) == list(inference.VIEWS)
    assert compared["accuracy"].tolist() == [0.25, 0.75, 0, 0]
    loss = -np.log([0.4, 0.1])
    expected = [loss @ [0.25, 0.75], loss @ [0.75, 0.25], loss[1], loss[1]]
    assert compared["log loss"].tolist() == pytest.approx(expected, abs=1e-5)
    assert inference.best_views(compared) == list(inference.VIEWS)[1]
    own = [fit_temperature(given, np.array([1, 2, 2, 2])) for given in answers.values()]
    assert compared["temperature"].tolist() == own and len(set(own)) > 1


def test_the_choice_is_by_log_loss():
    compared = pd.DataFrame({"views": ["a", "b"], "accuracy": [0.7, 0.6], "log loss": [0.9, 0.8]})
    assert inference.best_views(compared) == "b"
