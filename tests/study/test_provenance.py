"""Peak memory: of the block, and of nothing before it."""

import sys

import numpy as np
import pytest

from mien.study.provenance import peak_memory


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux sets its mark back")
def test_each_block_has_its_own_peak():
    peaks = {}
    for what, count in (("small", 1), ("large", 400_000_000), ("small again", 1)):
        with peak_memory(peaks, what):
            np.ones(count, np.uint8)
    assert 0.35 < peaks["large"] - peaks["small"] < 0.5
    assert peaks["small again"] - peaks["small"] < 0.1


def test_a_block_that_fails_is_measured_too():
    peaks = {}
    with pytest.raises(KeyError), peak_memory(peaks, "it"):
        raise KeyError
    assert peaks["it"] > 0
