"""Where the tests find the real data, the browser and one finished run of the demo study."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def real_fer2013() -> Path:
    path = REAL / "fer2013" / "fer2013.csv.gz"
    if not path.is_file():
        pytest.skip("the real FER2013 is not beside the repository")
    return path


@pytest.fixture(scope="session")
def real_target() -> Path:
    path = REAL / "phoebe"
    if not path.is_dir():
        pytest.skip("the real target person is not beside the repository")
    return path
