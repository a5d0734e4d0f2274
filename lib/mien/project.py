"""Where the chapters and studies of a run come from, and in which folder its results go.

mien ships its chapters and studies: a clone has them in ``notebooks/``, a wheel inside the package.
Copies of them in the current folder take their place.
"""

from collections.abc import Mapping
from pathlib import Path

from mien.errors import ParameterError
from mien.files import files_below, write_all

_PACKAGE = Path(__file__).resolve().parent


def clone() -> Path | None:
    """Return the folder of the clone that this mien is in; None if it came as a wheel."""
    return None if (_PACKAGE / "notebooks").is_dir() else _PACKAGE.parents[1]


def shipped() -> Path:
    """Return the folder of the chapters that come with mien; their studies lie in ``studies/``."""
    return (clone() or _PACKAGE) / "notebooks"


def project_root() -> Path:
    """Return the folder whose ``notebooks/`` are run and whose ``reports/`` are written.

    The current folder (or, in ``notebooks/`` itself, the one above), if chapters of mien lie in its
    ``notebooks/``; else the clone that mien is installed from; for a wheel the current folder.
    """
    here = Path.cwd()
    here = here.parent if here.name == "notebooks" else here
    names = [path.name for path in shipped().glob("*.ipynb")]
    copied = any((here / "notebooks" / name).is_file() for name in names)
    return here if copied else clone() or here


def notebook_source(name: str, ending: str = ".ipynb") -> Path:
    """Return the notebook ``name``, or a file beside it: the project's, else the shipped one."""
    paths = [folder / f"{name}{ending}" for folder in _folders()]
    return next((path for path in paths if path.is_file()), paths[0])


def study_file(given: str | Path) -> Path:
    """Return the file of a study by its path or, of the project's or mien's own, by its name."""
    path = Path(given)
    if path.name != str(given) or path.is_file():
        return path
    named = [folder / "studies" / f"{given}.yaml" for folder in _folders()]
    return next((file for file in named if file.is_file()), path)


def shipped_studies() -> list[str]:
    """Return the names of the studies that come with mien."""
    return sorted(path.stem for path in (shipped() / "studies").glob("*.yaml"))


def study_name(file: Path) -> str:
    """Return how a command line in the project's folder names a study file (see `study_file`)."""
    file = file.resolve()
    if file.parent in [(folder / "studies").resolve() for folder in _folders()]:
        return file.stem
    root = project_root()
    return (file.relative_to(root) if file.is_relative_to(root) else file).as_posix()


def copy_notebooks(folder: Path, *, force: bool = False) -> Path:
    """Copy the shipped chapters and studies into ``notebooks/`` of a folder; errors as below."""
    files = {
        path.relative_to(shipped()): path.read_bytes()
        for path in files_below(shipped())
        if path.suffix in (".ipynb", ".yaml", ".toml")
    }
    return write_copies(folder / "notebooks", files, force=force)


def write_copies(target: Path, files: Mapping[Path, bytes], *, force: bool = False) -> Path:
    """Write files, by their paths below a folder, into it, and return it.

    `ParameterError`, and nothing is written, if files of these names were changed, unless by
    ``force``, or cannot be written.
    """
    try:
        changed = [
            Path(target.name, path).as_posix()
            for path, content in files.items()
            if (target / path).exists() and (target / path).read_bytes() != content
        ]
        if changed and not force:
            raise ParameterError(
                f"{', '.join(changed)} in {target.parent} differ from what mien ships: say --force"
                " to replace them, or name another folder"
            )
        write_all(target, files)
    except OSError as error:
        raise ParameterError(f"the notebooks cannot be copied: {error}") from None
    return target


def _folders() -> tuple[Path, ...]:
    return project_root() / "notebooks", shipped()
