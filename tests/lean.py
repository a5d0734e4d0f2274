"""Imported before NumPy and nbformat: what keeps tests that run side by side from waste.

Threads of OpenBLAS and OpenMP that wait for each other on cores that others use, too, cost five
times the processor time that they save.
"""

import os

import mien.running  # noqa: F401 - makes nbformat quick to import

for name in (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
):
    os.environ.setdefault(name, "1")
