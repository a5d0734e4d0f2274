"""A drawn_study crowd and person, and a chapter that reads the person."""

import pytest

from mien.study.chapter import Chapter
from mien.synthetic.dataset import write_demo


@pytest.fixture(scope="session")
def drawn_study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    write_demo(folder, crowd=100, labelled=50)
    return folder


@pytest.fixture
def chapter(drawn_study, tmp_path):
    return Chapter("A2", target=str(drawn_study / "person"), out=str(tmp_path / "out"))
