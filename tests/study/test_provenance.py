"""Peak memory of a block and of nothing before it; the ledger of PrivateTest's readings."""

import hashlib
import sys

import numpy as np
import pytest

from mien.report import sentences
from mien.study.provenance import peak_memory, private_reads


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


def test_the_ledger_of_private_test_only_grows(root):
    lines = (root / "guides" / "private_test.csv").read_text(encoding="utf-8").splitlines()
    # its first 37 readings, as they were written down; new ones are added below them
    assert hashlib.sha256("\n".join(lines[:38]).encode()).hexdigest() == (
        "ea585d57643a00ec0f7f30c438cc7aac439617ad7ec30ad229b4e78c039401de"
    )
    reads = private_reads()
    assert len(reads) == len(lines) - 1 and reads.notna().all(axis=None)
    assert reads["accuracy"].between(14, 80).all()
    packaged = reads[reads["purpose"].eq("model card") & reads["set"].eq("PrivateTest")]
    assert packaged["accuracy"].tolist()[:5] == [69.0, 69.7, 71.6, 72.8, 73.2]


def test_chapters_say_how_often_private_test_was_read(monkeypatch, tmp_path):
    reads = private_reads()
    times = (reads["set"] == "PrivateTest").sum()
    told = sentences.private_reads(reads)
    assert f"was read {times} times for published figures" in told and "chose nothing" in told
    monkeypatch.setattr("mien.project.project_root", lambda: tmp_path)  # mien without its guides
    assert "published figures" not in sentences.private_reads(private_reads())
