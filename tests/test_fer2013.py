"""Every layout of FER2013 reads the same, and nothing malformed is ever read as another image."""

import bz2
import csv
import gzip
import io
import lzma
import re
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mien import fer2013, fer2013_layouts
from mien.emotions import EMOTIONS
from mien.errors import DataError, ParameterError
from mien.fer2013 import constant_images, duplicates, has_copy_in, load_fer2013
from mien.fer2013_layouts import USAGES

N = 40
PARTS = ["Training"] * 24 + ["PublicTest"] * 8 + ["PrivateTest"] * 8


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("MIEN_CACHE_DIR", str(folder))
    return folder


@pytest.fixture(scope="module", name="drawn")
def drawn_faces():
    return draw()


@pytest.fixture(scope="module")
def rows(drawn):
    return rows_of(drawn)


def draw():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (N, 48, 48)).astype(np.uint8)
    return images, generator.integers(0, 7, N).astype(np.int8), np.array(PARTS)


def rows_of(drawn):
    """Return the rows of the csv as lists of emotion, pixels, Usage."""
    return [
        [str(label), " ".join(map(str, image.ravel())), str(part)]
        for image, label, part in zip(*drawn, strict=True)
    ]


def text_of(rows, *, header="emotion,pixels,Usage", order=(0, 1, 2), end="\n"):
    lines = [header, *(",".join(row[place] for place in order) for row in rows)]
    return (end.join(lines) + end).encode()


def tar_of(text):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in (
            ("fer2013/README", b"emotion,pixels,Usage: read me"),
            ("fer2013/._fer2013.csv", b"\0\5\26\7"),
            ("fer2013/fer2013.csv", text),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def zip_of(text):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("example_submission.csv", "id,emotion\n1,2\n")
        zipped.writestr("data/fer2013.csv", text)
    return packed.getvalue()


def zstd_of(text):
    """Pack without the size in the frame's header, in two frames."""
    half = len(text) // 2
    return b"".join(
        zstandard.ZstdCompressor(write_content_size=False).compress(part)
        for part in (text[:half], text[half:])
    )


PACKINGS = {
    "fer2013.csv": bytes,
    "fer2013.csv.gz": gzip.compress,
    "fer2013.csv.xz": lzma.compress,
    "fer2013.csv.bz2": bz2.compress,
    "fer2013.csv.zst": zstd_of,
    "fer2013.zip": zip_of,
    "fer2013.tar.gz": tar_of,
}


def write(tmp_path, content, name="fer2013.csv"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def assert_same(crowd, drawn):
    images, labels, usage = drawn
    np.testing.assert_array_equal(crowd.images, images)
    np.testing.assert_array_equal(crowd.labels, labels)
    np.testing.assert_array_equal(crowd.usage, usage)
    assert (crowd.images.dtype, crowd.labels.dtype) == (np.uint8, np.int8)


# layouts


@pytest.mark.parametrize("name", PACKINGS)
def test_every_packing_reads_the_same_from_disk_and_from_the_cache(name, tmp_path, rows, drawn):
    path = write(tmp_path, PACKINGS[name](text_of(rows)), name)
    first, again = load_fer2013(path), load_fer2013(path)
    assert_same(first, drawn)
    assert_same(again, drawn)
    assert first.fingerprint == again.fingerprint
    assert first.source == str(path)
    assert first.skipped.empty
    assert list(first.skipped) == ["row", "reason"]


def test_content_tells_the_packing_not_the_name(tmp_path, rows, drawn):
    assert_same(load_fer2013(write(tmp_path, gzip.compress(text_of(rows)), "download")), drawn)


def test_icml_face_data_has_blanks_in_the_header_and_another_order(tmp_path, rows, drawn):
    for end in ("\n", "\r\n"):
        text = text_of(rows, header="emotion, Usage, pixels", order=(0, 2, 1), end=end)
        assert_same(load_fer2013(write(tmp_path, text, "icml_face_data.csv")), drawn)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.rstrip(),
        lambda text: text + b"\n\r\n\n",
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b"Training", b" TRAINING "),
        lambda text: text.replace(b" ", b"  ").replace(b",Training", b" ,Training"),
        lambda text: text.replace(b" ", b"\t"),
        lambda text: text.replace(b"emotion,", b'"emotion",'),
        lambda text: text.replace(b"\n", b",x\n"),
    ],
    ids=["CRLF", "open end", "blank end", "BOM", "case", "blanks", "tabs", "quotes", "column"],
)
def test_harmless_variants_of_the_csv_read_the_same(change, tmp_path, rows, drawn):
    assert_same(load_fer2013(write(tmp_path, change(text_of(rows)))), drawn)


def test_quoted_fields_read_the_same(tmp_path, rows, drawn):
    stream = io.StringIO()
    csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([["emotion", "pixels", "Usage"], *rows])
    assert_same(load_fer2013(write(tmp_path, stream.getvalue().encode())), drawn)


def write_folders(root, drawn, place):
    """Write images at the places that ``place(part, emotion, number)`` names."""
    for number, (image, label, part) in enumerate(zip(*drawn, strict=True)):
        path = root / place(part, EMOTIONS[label], number)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


def assert_same_set(crowd, drawn):
    def triples(images, labels, usage):
        return sorted(
            (part, int(label), image.tobytes())
            for image, label, part in zip(images, labels, usage, strict=True)
        )

    assert triples(crowd.images, crowd.labels, crowd.usage) == triples(*drawn)


def test_folders_with_the_part_in_the_file_name(tmp_path, drawn):
    def place(part, emotion, number):
        return f"{'train' if part == 'Training' else 'test'}/{emotion}/{part}_{number}.png"

    write_folders(tmp_path / "faces", drawn, place)
    assert_same_set(load_fer2013(tmp_path / "faces"), drawn)
    assert_same_set(load_fer2013(tmp_path / "faces"), drawn)


def test_folders_with_validation_under_other_folders_and_names(tmp_path, drawn):
    folders = {"Training": "Train", "PublicTest": "validation", "PrivateTest": "test"}
    aliases = {"happy": "Happiness", "surprise": "Suprise"}

    def place(part, emotion, number):
        return f"images/{folders[part]}/{aliases.get(emotion, emotion)}/{number}.png"

    write_folders(tmp_path / "faces", drawn, place)
    (tmp_path / "faces" / "images" / "README.txt").write_text("not an image, not in a part")
    (tmp_path / "faces" / "images" / "Train" / "Thumbs.db").write_text("litter")
    assert_same_set(load_fer2013(tmp_path / "faces"), drawn)


def test_bad_images_are_refused_with_their_files(tmp_path, drawn):
    folder = tmp_path / "faces"
    write_folders(folder, drawn, lambda part, emotion, number: f"train/happy/{number}.png")
    Image.new("L", (50, 48)).save(folder / "train" / "happy" / "wide.png")
    (folder / "train" / "happy" / "text.png").write_text("no image")
    (folder / "train" / "contempt").mkdir()
    Image.new("L", (48, 48)).save(folder / "train" / "contempt" / "1.png")
    with pytest.raises(DataError) as refused:
        load_fer2013(folder)
    for part in (
        f"3 of {N + 3} rows are bad",
        "'train/happy/wide.png': 50 x 48 pixels",
        "'train/happy/text.png': cannot be read as an image",
        "'train/contempt/1.png': folder 'contempt' is no emotion",
    ):
        assert part in str(refused.value)
    crowd = load_fer2013(folder, skip_bad_rows=True)
    assert (len(crowd.labels), len(crowd.skipped)) == (N, 3)


def test_a_folder_that_holds_the_csv_will_do(tmp_path, rows, drawn):
    write(tmp_path, gzip.compress(text_of(rows)), "fer2013.csv.gz")
    assert_same(load_fer2013(tmp_path), drawn)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "must begin with a line that names the columns"),
        (b"emotion,pixels\n0,1 2 3\n", "emotion, pixels and Usage"),
        (b"emotion,pixels,Usage,pixels\n", "each once"),
        (b"emotion,pixels,Usage\n", "no row"),
        (b"emotion,pixels,Usage\n" + b"1 " * 600_000, "bytes: not FER2013's csv"),
        (zip_of(b"id,emotion\n"), "holds no csv"),
        (tar_of(b"id,emotion\n"), "holds no csv"),
    ],
)
def test_what_is_not_fer2013_is_refused_with_a_reason(content, told, tmp_path):
    with pytest.raises(DataError, match=told):
        load_fer2013(write(tmp_path, content))


def test_what_is_not_there_is_refused_with_where_to_get_it(tmp_path):
    with pytest.raises(DataError, match="kaggle"):
        load_fer2013(tmp_path / "fer2013.csv")
    with pytest.raises(DataError, match="train and test"):
        load_fer2013(tmp_path)


@pytest.mark.parametrize("name", [name for name in PACKINGS if name != "fer2013.csv"])
@pytest.mark.parametrize("share", [0.3, 0.9, 1])
def test_a_cut_off_download_is_refused(name, share, tmp_path, rows):
    packed = PACKINGS[name](text_of(rows))
    path = write(tmp_path, packed[: int(len(packed) * share) - 3], name)
    with pytest.raises(DataError, match=r"cut off|no csv"):
        load_fer2013(path, skip_bad_rows=True)


# bad rows


def spoiled(rows, number, *, emotion=None, pixels=None, usage=None):
    """Return the rows with fields of row ``number`` (from 1) changed."""
    changed = [list(row) for row in rows]
    for place, change in enumerate((emotion, pixels, usage)):
        if change is not None:
            changed[number - 1][place] = change(changed[number - 1][place])
    return changed


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"pixels": lambda text: text.rpartition(" ")[0]}, "2303 pixels, not 2304"),
        ({"pixels": lambda text: text + " 7"}, "2305 pixels"),
        ({"pixels": lambda text: ""}, "0 pixels"),
        ({"pixels": lambda text: "256 " + text.partition(" ")[2]}, "pixel 1 is '256'"),
        ({"pixels": lambda text: "999 " + text.partition(" ")[2]}, "pixel 1 is '999'"),
        ({"pixels": lambda text: "-1 " + text.partition(" ")[2]}, "pixel 1 is '-1'"),
        ({"pixels": lambda text: "+1 " + text.partition(" ")[2]}, r"pixel 1 is '\+1'"),
        ({"pixels": lambda text: "7.0 " + text.partition(" ")[2]}, r"pixel 1 is '7\.0'"),
        ({"pixels": lambda text: "1_1 " + text.partition(" ")[2]}, "pixel 1 is '1_1'"),
        ({"pixels": lambda text: "1024 " + text.partition(" ")[2]}, "pixel 1 is '1024'"),
        ({"pixels": lambda text: "٣ " + text.partition(" ")[2]}, "pixel 1 is '٣'"),
        ({"pixels": lambda text: text.rpartition(" ")[0] + " nan"}, "pixel 2304 is 'nan'"),
        ({"pixels": lambda text: "9" * 5000}, "pixel 1 is '99999999999999999999', not"),
        ({"pixels": lambda text: text.replace(" ", "\x0b", 1)}, "pixel 1 is"),
        ({"pixels": lambda text: text.replace(" ", ";", 1)}, "pixel 1 is"),
        ({"pixels": lambda text: text.replace(" ", ",", 1)}, "4 fields, not 3"),
        ({"pixels": lambda text: '"' + text}, "quotes"),
        ({"emotion": lambda text: "7"}, "emotion is '7', not one of 0 to 6"),
        ({"emotion": lambda text: "-1"}, "emotion is '-1'"),
        ({"emotion": lambda text: ""}, "emotion is ''"),
        ({"emotion": lambda text: "1.0"}, r"emotion is '1\.0'"),
        ({"usage": lambda text: "Test"}, "Usage is 'Test', not one of Training, PublicTest"),
        ({"usage": lambda text: ""}, "Usage is ''"),
    ],
)
def test_a_bad_row_is_refused_with_its_number_and_reason(change, reason, tmp_path, rows, drawn):
    path = write(tmp_path, text_of(spoiled(rows, 17, **change)))
    with pytest.raises(DataError, match=f"1 of {N} rows are bad(.|\n)*row 17: .*{reason}"):
        load_fer2013(path)
    crowd = load_fer2013(path, skip_bad_rows=True)
    assert_same(crowd, tuple(np.delete(array, 16, axis=0) for array in drawn))
    assert crowd.skipped["row"].tolist() == [17]
    with pytest.raises(DataError, match="row 17"):  # from the cache, too
        load_fer2013(path)


def test_a_pixel_too_few_is_not_made_up_for_by_the_next_row(tmp_path, rows):
    first, _, moved = rows[0][1].rpartition(" ")
    changed = spoiled(rows, 1, pixels=lambda text: first)
    changed = spoiled(changed, 2, pixels=lambda text: f"{moved} {text}")
    path = write(tmp_path, text_of(changed))
    assert load_fer2013(path, skip_bad_rows=True).skipped["reason"].tolist() == [
        "2303 pixels, not 2304",
        "2305 pixels, not 2304",
    ]


def test_digits_too_many_are_not_made_up_for_by_an_empty_pixel(tmp_path, rows):
    numbers = ["1100", "1100", "1100", "", *rows[0][1].split()[4:]]
    path = write(tmp_path, text_of(spoiled(rows, 1, pixels=lambda text: " ".join(numbers))))
    with pytest.raises(DataError, match="row 1: pixel 1 is '1100'"):
        load_fer2013(path)


def test_the_first_five_bad_rows_are_named_and_all_are_counted(tmp_path, rows):
    changed = rows
    for number in (3, 5, 8, 13, 21, 34):
        changed = spoiled(changed, number, emotion=lambda text: "x")
    changed = spoiled(changed, 2, pixels=lambda text: "1 2 3")
    path = write(tmp_path, text_of(changed))
    with pytest.raises(DataError) as refused:
        load_fer2013(path)
    told = str(refused.value)
    assert f"7 of {N} rows" in told
    assert "skip_bad_rows" in told
    assert [f"row {number}:" in told for number in (2, 3, 5, 8, 13, 21)] == [True] * 5 + [False]
    skipped = load_fer2013(path, skip_bad_rows=True).skipped
    assert skipped["row"].tolist() == [2, 3, 5, 8, 13, 21, 34]
    assert path.read_text().splitlines()[34].startswith("x,")  # row n is on line n + 1


def test_an_empty_line_within_the_csv_is_a_bad_row(tmp_path, rows):
    path = write(
        tmp_path, text_of([*rows[:3], ["", "", ""], *rows[3:]]).replace(b"\n,,\n", b"\n\n")
    )
    with pytest.raises(DataError, match="row 4: empty line"):
        load_fer2013(path)


def plain_reading(line):
    """Read one line as plainly as the rules say; None for anything but a good row."""
    try:
        emotion, pixels, usage = next(csv.reader([line], strict=True))
    except (ValueError, csv.Error, StopIteration):
        return None
    numbers = re.split("[ \t]+", pixels.strip(" \t"))
    emotion, usage = emotion.strip(" \t"), usage.strip(" \t").lower()
    usages = {name.lower(): name for name in USAGES}
    good = len(numbers) == 2304 and emotion in list("0123456") and usage in usages
    if not good or not all(re.fullmatch("[0-9]{1,3}", text) for text in numbers):
        return None
    good = max(map(int, numbers)) <= 255
    return (int(emotion), tuple(map(int, numbers)), usages[usage]) if good else None


GOOD_CSV = text_of(rows_of(draw())[:3])

edits = st.lists(
    st.tuples(
        st.integers(0, 10**9),
        st.integers(0, 3),
        st.one_of(st.sampled_from(list(b'0123456789 ,\n\r"-.\t')), st.integers(0, 255)),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(edits=edits, where=st.sampled_from(["anywhere", "ends of fields"]))
def test_no_corruption_is_ever_read_as_another_image(tmp_path, edits, where):
    text = bytearray(GOOD_CSV)
    head = text.index(b"\n") + 1
    edges = [place for place in range(head, len(text)) if text[place] in b",\n"]
    for place, kind, byte in edits:
        if where == "anywhere":
            place = head + place % max(len(text) - head, 1)
        else:
            place = edges[place % len(edges)] + place // 7 % 5 - 2
            place = max(place, head)
        inserted = bytes([byte]) if kind < 2 else b""
        removed = (1, 0, 1 + byte % 3, byte if byte % 4 else len(text))[kind]
        text[place : place + removed] = inserted
    lines = bytes(text).decode("latin-1").split("\n")[1:]
    while lines and not lines[-1].strip(" \t\r\v\f"):
        lines.pop()
    expected = [plain_reading(line.rstrip("\r")) for line in lines]
    path = write(tmp_path, bytes(text))
    try:
        crowd = load_fer2013(path, skip_bad_rows=True, cache=False)
    except DataError:
        assert not any(expected)
        return
    found = [
        (int(label), tuple(image.ravel().tolist()), str(usage))
        for label, image, usage in zip(crowd.labels, crowd.images, crowd.usage, strict=True)
    ]
    assert found == [row for row in expected if row]
    listed = [number for number, row in enumerate(expected, 1) if row is None]
    assert crowd.skipped["row"].tolist() == listed


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32 - 1),
    high=st.sampled_from([1, 10, 100, 256]),
    count=st.integers(1, 6),
    block=st.sampled_from([1, 100, 9000, 1 << 17]),
)
def test_what_is_written_is_read_whatever_the_size_of_the_blocks(
    tmp_path, seed, high, count, block
):
    generator = np.random.default_rng(seed)
    drawn = (
        generator.integers(0, high, (count, 48, 48)).astype(np.uint8),
        generator.integers(0, 7, count).astype(np.int8),
        generator.choice(USAGES, count),
    )
    text = text_of(rows_of(drawn))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fer2013_layouts, "_BLOCK", block)
        assert_same(load_fer2013(write(tmp_path, text), cache=False), drawn)


# the cache


@pytest.fixture
def no_reading(monkeypatch):
    def forbid():
        monkeypatch.setattr(fer2013, "read_csv", lambda path: pytest.fail("read again"))

    return forbid


def test_the_second_load_comes_from_the_cache_whatever_the_name(tmp_path, rows, drawn, no_reading):
    path = write(tmp_path, text_of(rows))
    load_fer2013(path)
    no_reading()
    assert_same(load_fer2013(path), drawn)
    assert_same(load_fer2013(path.rename(tmp_path / "moved.csv")), drawn)


def test_changed_content_is_never_answered_from_the_cache(tmp_path, rows):
    path = write(tmp_path, text_of(rows))
    before = load_fer2013(path)
    path.write_bytes(text_of(rows).replace(b"Training", b"PublicTest"))
    after = load_fer2013(path)
    assert set(after.usage) == {"PublicTest", "PrivateTest"}
    assert after.fingerprint != before.fingerprint


def test_without_cache_nothing_is_kept(tmp_path, rows, cache_folder):
    load_fer2013(write(tmp_path, text_of(rows)), cache=False)
    assert not cache_folder.exists()


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "text"])
def test_a_damaged_cache_is_noticed_and_made_anew(damage, tmp_path, rows, drawn, cache_folder):
    path = write(tmp_path, text_of(rows))
    load_fer2013(path)
    (kept,) = (cache_folder / "fer2013").iterdir()
    whole = kept.read_bytes()
    spots = np.linspace(0, len(whole) - 1, 40).astype(int) if damage == "flip" else [0]
    for spot in spots:
        if damage == "flip":
            kept.write_bytes(whole[:spot] + bytes([whole[spot] ^ 0xFF]) + whole[spot + 1 :])
        else:
            kept.write_bytes(
                {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"x" * 99}[damage]
            )
        assert_same(load_fer2013(path), drawn)
    assert len(kept.read_bytes()) == len(whole)


def test_a_cache_that_cannot_be_written_does_not_stop_the_load(tmp_path, rows, drawn, cache_folder):
    cache_folder.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="MIEN_CACHE_DIR"):
        assert_same(load_fer2013(write(tmp_path, text_of(rows))), drawn)


def test_a_full_disk_leaves_no_half_written_cache(tmp_path, rows, drawn, cache_folder, monkeypatch):
    def full(part, **arrays):
        part.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.warns(UserWarning, match="No space left"):
        assert_same(load_fer2013(write(tmp_path, text_of(rows))), drawn)
    assert list((cache_folder / "fer2013").iterdir()) == []


def test_the_fingerprint_is_that_of_the_content_not_of_the_file(tmp_path, rows):
    plain = load_fer2013(write(tmp_path, text_of(rows)))
    packed = load_fer2013(write(tmp_path, zip_of(text_of(rows)), "fer2013.zip"))
    other = load_fer2013(
        write(
            tmp_path,
            text_of(spoiled(rows, 1, emotion=lambda text: "0" if text != "0" else "1")),
            "o.csv",
        )
    )
    assert plain.fingerprint == packed.fingerprint != other.fingerprint
    assert len(plain.fingerprint) == 64


# what is done with it


@pytest.fixture
def crowd(tmp_path, rows):
    return load_fer2013(write(tmp_path, text_of(rows)), cache=False)


def test_split(crowd, drawn):
    images, labels = crowd.split("PublicTest")
    np.testing.assert_array_equal(images, drawn[0][24:32])
    np.testing.assert_array_equal(labels, drawn[1][24:32])
    with pytest.raises(ParameterError, match="'Test'"):
        crowd.split("Test")


def make(images, labels, usage):
    empty = pd.DataFrame({"row": [], "reason": []})
    return fer2013.Fer2013(images, labels, usage, empty, "", "")


def test_a_subset_is_stratified_in_order_and_chosen_by_its_seed():
    labels = np.repeat([0, 3, 6], [600, 300, 100]).astype(np.int8)
    usage = np.tile(np.repeat(USAGES, [8, 1, 1]), 100)
    images = np.zeros((1000, 48, 48), np.uint8)
    images[:, 0, :2] = np.arange(1000)[:, None] // [1, 256]
    crowd = make(images, labels, usage)
    part = crowd.subset(100, seed=1)
    counts = pd.crosstab(part.usage, part.labels)
    assert counts.to_numpy().tolist() == [[6, 3, 1], [6, 3, 1], [48, 24, 8]]
    numbers = part.images[:, 0, 0] + 256 * part.images[:, 0, 1].astype(int)
    assert (np.diff(numbers) > 0).all()
    np.testing.assert_array_equal(part.labels, labels[numbers])
    np.testing.assert_array_equal(part.usage, usage[numbers])
    assert part.fingerprint == crowd.subset(100, seed=1).fingerprint
    assert part.fingerprint != crowd.subset(100, seed=2).fingerprint
    assert crowd.subset(5000, seed=0) is crowd
    with pytest.raises(ParameterError, match="n is 0"):
        crowd.subset(0, seed=0)


def test_duplicates_copies_and_constant_images_by_hand():
    a, b, grey = (np.random.default_rng(seed).integers(0, 256, (48, 48)) for seed in range(3))
    grey = np.full_like(grey, 7)
    images = np.stack([a, b, grey, b, grey, a, a + 0]).astype(np.uint8)
    images[6, 47, 47] ^= 1
    usage = np.array(["Training", "Training", "Training", "PublicTest"] + ["PrivateTest"] * 3)
    crowd = make(images, np.array([0, 1, 2, 3, 4, 5, 6], np.int8), usage)
    table = duplicates(crowd)
    assert table["row"].tolist() == [3, 4, 5]
    assert table["copy_of"].tolist() == [1, 2, 0]
    assert table["usage"].tolist() == ["PublicTest", "PrivateTest", "PrivateTest"]
    assert table["copy_usage"].tolist() == ["Training"] * 3
    assert table["label"].tolist() == [3, 4, 5]
    assert table["copy_label"].tolist() == [1, 2, 0]
    assert has_copy_in(crowd).tolist() == [True, True, False]
    assert has_copy_in(crowd, "PublicTest", "PrivateTest").tolist() == [False]
    assert constant_images(crowd).tolist() == [2, 4]


# the real data


@pytest.fixture(scope="module")
def real(real_fer2013, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        # The real rows are all plain, so none may need the careful way.
        patch.setattr(fer2013_layouts, "_careful", lambda *_: pytest.fail("slow"))
        yield load_fer2013(real_fer2013, cache=False)


@pytest.mark.real
def test_the_real_data_has_the_official_counts(real):
    counts = pd.crosstab(real.usage, real.labels)
    assert counts.loc["PublicTest"].tolist() == [467, 56, 496, 895, 653, 415, 607]
    assert counts.loc["PrivateTest"].tolist() == [491, 55, 528, 879, 594, 416, 626]
    assert counts.loc["Training"].sum() == 28709
    assert real.skipped.empty


@pytest.mark.real
def test_the_real_data_has_the_known_copies_and_constant_images(real):
    assert len(duplicates(real)) == 1855
    assert has_copy_in(real, "PrivateTest").sum() == 288
    assert has_copy_in(real, "PublicTest").sum() == 280
    assert len(constant_images(real)) == 12


@pytest.mark.real
def test_the_real_pixels_are_those_that_numpy_reads(real, real_fer2013):
    texts = pd.read_csv(real_fer2013, usecols=["pixels"], nrows=500)["pixels"]
    expected = np.stack([np.fromstring(text, np.uint8, sep=" ") for text in texts])
    np.testing.assert_array_equal(real.images[:500].reshape(500, -1), expected)


@pytest.mark.real
def test_a_load_of_the_real_data_stays_under_2_gb(real_fer2013, cache_folder):
    program = (
        "import resource, sys; from mien.fer2013 import load_fer2013; load_fer2013(sys.argv[1]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peak = subprocess.run(
        [sys.executable, "-c", program, real_fer2013], capture_output=True, text=True, check=True
    ).stdout
    assert int(peak) * (1 if sys.platform == "darwin" else 1024) < 2e9
    assert len(list((cache_folder / "fer2013").iterdir())) == 1
