"""Files appear whole or not at all, and a hash tells the content of a file or folder."""

import hashlib

import pytest

from mien import files

pytestmark = pytest.mark.usefixtures("cache_folder")


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_cache_folder_is_what_the_environment_says_else_the_users_own(monkeypatch, tmp_path):
    assert files.cache_dir() == tmp_path / "cache"
    monkeypatch.delenv("MIEN_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert files.cache_dir().name == "mien"
    assert not files.cache_dir().exists()


def test_atomic_write_replaces_the_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "new" / "table.csv"
    for text in ("old", "new"):
        with files.atomic_write(path) as part:
            assert part.parent == path.parent
            assert part.suffix == path.suffix
            part.write_text(text)
    assert path.read_text() == "new"
    assert names_in(path.parent) == ["table.csv"]


def test_a_failing_write_leaves_the_old_file_and_nothing_half_written(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), files.atomic_write(path) as part:
        part.write_text("half of the n")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["table.csv"]


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_files_that_cannot_all_be_written_are_not_written(names, tmp_path):
    (tmp_path / "a.html").write_text("old")
    contents = {"a": "new", "b": None}
    with pytest.raises(TypeError):
        files.write_all(tmp_path, {f"{name}.html": contents[name] for name in names})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.html": "old"}


def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("")
    with files.atomic_write(tmp_path / "atomic") as part:
        part.write_text("")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_keep_warns_and_goes_on_where_nothing_can_be_written(cache_folder):
    cache_folder.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="MIEN_CACHE_DIR"):
        files.keep(cache_folder / "x.npy", lambda part: part.write_text("x"))


def test_the_hash_of_a_file_is_its_sha256(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"pixels")
    assert files.content_hash(path) == hashlib.sha256(b"pixels").hexdigest()


def test_the_hash_of_a_folder_depends_on_names_and_content_of_what_is_not_hidden(tmp_path):
    folder = tmp_path / "images"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "1.png").write_bytes(b"one")
    hashes = [files.content_hash(folder)]
    (folder / "a" / "1.png").rename(folder / "a" / "2.png")
    hashes.append(files.content_hash(folder))
    (folder / "a" / "2.png").write_bytes(b"two")
    hashes.append(files.content_hash(folder))
    assert len(set(hashes)) == 3
    (folder / ".DS_Store").write_bytes(b"litter")
    (folder / "loop").symlink_to(folder)
    assert files.content_hash(folder) == hashes[-1]


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        files.content_hash(tmp_path / "nowhere")


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "results"
    with files.whole_folder(path) as part:
        (part / "a").write_text("1")
    with pytest.raises(RuntimeError), files.whole_folder(path) as part:
        (part / "a").write_text("2")
        raise RuntimeError
    assert (path / "a").read_text() == "1"
    with files.whole_folder(path) as part:
        (part / "b").write_text("3")
    assert [file.name for file in path.iterdir()] == ["b"]
    assert [file.name for file in tmp_path.iterdir()] == ["results"]


def test_a_folder_that_somebody_else_was_faster_with_stays(tmp_path):
    path = tmp_path / "shared"
    with files.whole_folder(path, replace=False) as part:
        (part / "a").write_text("ours")
        path.mkdir()
        (path / "a").write_text("theirs")
    assert (path / "a").read_text() == "theirs"
    assert [file.name for file in tmp_path.iterdir()] == ["shared"]
