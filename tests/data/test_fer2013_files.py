"""Every layout of FER2013 reads the same, and nothing malformed is ever read as another image."""

import bz2
import csv
import gzip
import io
import lzma
import re
import tarfile

import numpy as np
import pytest
from fer2013_csv import N, assert_same, draw, rows_of, spoiled, text_of, write, zip_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mien.data.fer2013 import load_fer2013
from mien.data.fer2013_files import USAGES
from mien.emotions import EMOTIONS
from mien.errors import DataError

pytestmark = pytest.mark.usefixtures("cache_folder")


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


PACKINGS = {
    "fer2013.csv": bytes,
    "fer2013.csv.gz": gzip.compress,
    "fer2013.csv.xz": lzma.compress,
    "fer2013.csv.bz2": bz2.compress,
    "fer2013.zip": zip_of,
    "fer2013.tar.gz": tar_of,
}


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
        lambda text: text.replace(b"\n", b"\r"),
        lambda text: text.rstrip().replace(b"\n", b"\r"),
        lambda text: text.rstrip(),
        lambda text: text + b"\n\r\n\n",
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b"Training", b" TRAINING "),
        lambda text: text.replace(b" ", b"  ").replace(b",Training", b" ,Training"),
        lambda text: text.replace(b" ", b"\t"),
        lambda text: text.replace(b"emotion,", b'"emotion",'),
        lambda text: text.replace(b"\n", b",x\n"),
    ],
    ids=[
        "CRLF",
        "CR",
        "CR open",
        "open end",
        "blank end",
        "BOM",
        "case",
        "blanks",
        "tabs",
        "quotes",
        "column",
    ],
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

    assert triples(crowd.images, crowd._labels, crowd.usage) == triples(*drawn)


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
    assert (len(crowd._labels), len(crowd.skipped)) == (N, 3)


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
        (b"emotion,pixels,Usage\n" + b"1 " * 600_000, "row 1: 1 fields, not 3"),
        (zip_of(b"id,emotion\n"), "holds no csv"),
        (tar_of(b"id,emotion\n"), "holds no csv"),
        (zip_of(b'\xff\xd8"\0\r,"\r"x'), "holds no csv.*unpack it"),
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
    if not good or not all(re.fullmatch("[0-9]{1,9}", text) for text in numbers):
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
    lines = re.split("\r\n|\r|\n", bytes(text).decode("utf-8", "replace"))[1:]
    while lines and not lines[-1].strip():
        lines.pop()
    expected = [plain_reading(line) for line in lines]
    path = write(tmp_path, bytes(text))
    try:
        crowd = load_fer2013(path, skip_bad_rows=True)
    except DataError:
        assert not any(expected)
        return
    found = [
        (int(label), tuple(image.ravel().tolist()), str(usage))
        for label, image, usage in zip(crowd._labels, crowd.images, crowd.usage, strict=True)
    ]
    assert found == [row for row in expected if row]
    listed = [number for number, row in enumerate(expected, 1) if row is None]
    assert crowd.skipped["row"].tolist() == listed


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32 - 1),
    high=st.sampled_from([1, 10, 100, 256]),
    count=st.integers(1, 6),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_what_is_written_is_read(tmp_path, seed, high, count, end):
    generator = np.random.default_rng(seed)
    drawn = (
        generator.integers(0, high, (count, 48, 48)).astype(np.uint8),
        generator.integers(0, 7, count).astype(np.int8),
        generator.choice(USAGES, count),
    )
    text = text_of(rows_of(drawn), end=end)
    assert_same(load_fer2013(write(tmp_path, text)), drawn)
