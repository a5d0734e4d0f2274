"""Where a result comes from: commit, versions, hardware, and how much memory it needed."""

import platform
import subprocess
import sys
from collections.abc import Collection, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import pandas as pd

from mien import project, system

#: The packages whose versions can change a number.
PACKAGES = (
    "mien",
    "numpy",
    "pandas",
    "scipy",
    "scikit-learn",
    "scikit-learn-intelex",
    "statsmodels",
    "tensorflow",
    "keras",
    "Pillow",
    "papermill",
    "nbconvert",
)


def private_reads() -> pd.DataFrame:
    """Return every reading of FER2013's PrivateTest for a figure, in this project's history.

    From ``guides/private_test.csv``, to which lines are only ever added; no rows without guides.
    """
    path = project.project_root() / "guides" / "private_test.csv"
    if not path.is_file():
        return pd.DataFrame(columns=["commit", "date", "model", "set", "purpose", "accuracy"])
    return pd.read_csv(path)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that can change a number."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = _version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


_version = cache(metadata.version)


def hardware() -> dict[str, Any]:
    """Return the processor's name, the cores that this process may use, GPUs, and the system."""
    return {
        "processor": _processor(),
        "cores": system.cores(),
        "gpus": gpus(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def gpus() -> list[str]:
    """Return the names of the GPUs that TensorFlow, JAX or PyTorch use, if they are imported."""
    found: list[str] = []
    if tensorflow := sys.modules.get("tensorflow"):
        found += [device.name for device in tensorflow.config.list_physical_devices("GPU")]
    if jax := sys.modules.get("jax"):
        found += [device.device_kind for device in jax.devices() if device.platform == "gpu"]
    if torch := sys.modules.get("torch"):
        found += [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return found


def git_state() -> dict[str, Any]:
    """Return ``{"commit": hash or None, "dirty": bool or None}`` of the clone that mien is in."""
    commit = _git("rev-parse", "HEAD")
    status = _git("status", "--porcelain") if commit else None
    return {"commit": commit or None, "dirty": bool(status) if status is not None else None}


def thread_variables(threads: int) -> dict[str, str]:
    """Return the environment variables that cap the threads of every numerical library at this."""
    names = (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "LOKY_MAX_CPU_COUNT",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    )
    return {**dict.fromkeys(names, str(threads)), "OMP_WAIT_POLICY": "PASSIVE"}


def _git(*arguments: str) -> str | None:
    if project.clone() is None:
        return None
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=project.clone(),
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


_RESET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


@contextmanager
def peak_memory(record: MutableMapping[str, float], what: str) -> Iterator[None]:
    """Set ``record[what]`` to the most memory that this process held during the block, in GB.

    Resident memory (1 GB = 10^9 bytes) of the whole process, the data that was loaded before
    included. On Linux the kernel's high-water mark is set back first (``5`` into
    ``/proc/self/clear_refs``, see proc(5)). Elsewhere it is the peak since the process began, and
    NaN where the system tells nothing (Windows).
    """
    with suppress(OSError):  # then the peak since the process began will have to do
        _RESET.write_text("5")
    try:
        yield
    finally:
        record[what] = _peak()


def _peak() -> float:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        lines = []
    marks = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return marks[0] * 1024 / 1e9 if marks else system.peak_memory()


def set_in_view(models: Collection[str]) -> pd.DataFrame:
    """Return the choices behind these models that the labels of README's person have influenced."""
    choices = _recorded("set_in_view.csv")
    used = [not set(models).isdisjoint(names.split(";")) for names in choices["models"]]
    return choices[used]


def other_trainings() -> pd.DataFrame:
    """Return what trainings of one recipe gave that differ in the processor alone, as recorded."""
    return _recorded("other_trainings.csv")


def _recorded(name: str) -> pd.DataFrame:
    with (resources.files("mien.study") / name).open(encoding="utf-8") as file:
        return pd.read_csv(file)
