"""Where a result comes from: commit, versions, hardware, and how much memory it needed."""

import platform
import re
import subprocess
import sys
from collections.abc import Collection, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from mien import project, system

#: The packages whose versions can change a number.
PACKAGES = ["mien", "numpy", "pandas", "scipy", "scikit-learn", "scikit-learn-intelex"]
PACKAGES += ["statsmodels", "tensorflow", "keras", "Pillow", "papermill", "nbconvert"]


def private_reads() -> pd.DataFrame:
    """Return every reading of FER2013's PrivateTest for a figure, in this project's history.

    From ``guides/private_test.csv``, to which lines are only ever added; no rows without guides.
    """
    path = project.project_root() / "guides" / "private_test.csv"
    if not path.is_file():
        return pd.DataFrame(columns=["commit", "date", "model", "set", "purpose", "accuracy"])
    return pd.read_csv(path)


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that can change a number."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def hardware() -> dict[str, Any]:
    """Return the processor's name, the cores that this process may use, GPUs, and the system."""
    processor = re.search(r"model name\s*: (.*\S)", _text("/proc/cpuinfo"))
    return {
        "processor": processor[1] if processor else platform.processor() or platform.machine(),
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
    command = ["git", "status", "--porcelain=v2", "--branch"]
    how = {"cwd": project.clone(), "capture_output": True, "text": True, "timeout": 10}
    lines = []
    if project.clone():
        with suppress(OSError, subprocess.SubprocessError):
            lines = subprocess.run(command, **how, check=True).stdout.splitlines()
    commit = re.search(r"^# branch.oid (\w+)", "\n".join(lines))
    dirty = any(not line.startswith("#") for line in lines)
    return {"commit": commit and commit[1], "dirty": dirty if commit else None}


def thread_variables(threads: int) -> dict[str, str]:
    """Return the environment variables that cap the threads of every numerical library at this."""
    names = [f"{library}_NUM_THREADS" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")]
    names += ["LOKY_MAX_CPU_COUNT", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"]
    return {**dict.fromkeys(names, str(threads)), "OMP_WAIT_POLICY": "PASSIVE"}


@contextmanager
def peak_memory(record: MutableMapping[str, float], what: str) -> Iterator[None]:
    """Set ``record[what]`` to the most memory that this process held during the block, in GB.

    Resident memory (1 GB = 10^9 bytes) of the whole process, the data that was loaded before
    included. On Linux the kernel's high-water mark is set back first (``5`` into
    ``/proc/self/clear_refs``, see proc(5)). Elsewhere it is the peak since the process began, and
    NaN where the system tells nothing (Windows).
    """
    with suppress(OSError):  # then the peak since the process began will have to do
        Path("/proc/self/clear_refs").write_text("5")
    try:
        yield
    finally:
        mark = re.search(r"VmHWM:\s*(\d+)", _text("/proc/self/status"))
        record[what] = int(mark[1]) * 1024 / 1e9 if mark else system.peak_memory()


def _text(path: str) -> str:
    """Return what a file of Linux says; nothing elsewhere."""
    return Path(path).read_text() if Path(path).exists() else ""


def set_in_view(models: Collection[str]) -> pd.DataFrame:
    """Return the choices behind these models that the labels of README's person have influenced."""
    choices = pd.read_csv(Path(__file__).with_name("set_in_view.csv"))
    used = [not set(models).isdisjoint(names.split(";")) for names in choices["models"]]
    return choices[used]


def other_trainings() -> pd.DataFrame:
    """Return what trainings of one recipe gave that differ in the processor alone, as recorded."""
    return pd.read_csv(Path(__file__).with_name("other_trainings.csv"))
