"""One person's measurements, written by any tool in any way, are the same faces and numbers."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from person_folder import add_table

from mien.data.matching import Face, match
from mien.data.measured import BLENDSHAPES, read_tables

#: Pictures below images/: frames of a clip, a name with accents and blanks, numbers, two folders.
PLACES = (
    *("happy/clip_001.png", "happy/clip_020.png", "sad/clip_300.png", "sad/Zoë ü, 2_07.png"),
    *("surprise/day 1/0007.png", "unknown/a.b.png"),
)
TRUTH = np.random.default_rng(1).uniform(0.01, 0.99, (len(PLACES), 52)).round(3)
UNITS = (1, 2, 4, 5, 6, 12, 25)

#: How a tool calls its columns and writes a value of 0..1, and what mien calls them.
TOOLS = {
    "OpenFace 2": ([f" AU{n:02d}_r" for n in UNITS], lambda v: 5 * v, "AU{:02d}_r"),
    "LibreFace": ([f"au_{n}_intensity" for n in UNITS], lambda v: 5 * v, "AU{:02d}_r"),
    "PyAFAR": ([f"Occ_au_{n}" for n in UNITS], lambda v: v, "AU{:02d}_c"),
    "py-feat": ([f"AU{n:02d}" for n in UNITS], lambda v: v, "AU{:02d}"),
    "FaceReader": ([f"Action Unit {n:02d} - Any" for n in UNITS], lambda v: v, "AU{:02d}"),
    "iMotions": ([f"AU{n} Evidence" for n in UNITS], lambda v: np.log10(v / (1 - v)), "AU{:02d}"),
    "blendshapes": (list(BLENDSHAPES), lambda v: v, None),
}
NAMES = ("file_name", "image_path", "input", "Stimulus")


@st.composite
def writings(draw):
    """Draw a way to write a table down."""
    delimiter = draw(st.sampled_from(",;\t|"))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    encodings = [
        "utf-8",
        "utf-8-sig",
        "utf-16",
        "utf-16-le",
        "mac_roman" if end == "\r" else "cp1252",
    ]
    return {
        "tool": draw(st.sampled_from(list(TOOLS))),
        "delimiter": delimiter,
        "end": end,
        "encoding": draw(st.sampled_from(encodings)),
        "comma": delimiter != "," and draw(st.booleans()),
        "named": draw(st.sampled_from(["path", "windows", "name", "stem", "one csv a picture"])),
        "column": draw(st.sampled_from(NAMES)),
        "rows": draw(st.permutations(range(len(PLACES)))),
        "columns": draw(st.randoms(use_true_random=False)),
        "blank": draw(st.sampled_from(["", " "])),
        "where": draw(st.sampled_from(["", "processed/", "deep/er/"])),
        "preamble": draw(st.sampled_from(["", "sep=;\n", "Exported\n\n"])),
    }


def write(folder, how):
    """Write TRUTH into a folder; return its files."""
    names, scaled, _ = TOOLS[how["tool"]]
    header = [*names, "FaceScore" if how["tool"] == "py-feat" else "confidence"]
    order = list(range(len(header)))
    how["columns"].shuffle(order)
    tables = {}
    for place in how["rows"]:
        values = [*(f"{scaled(value):.6f}" for value in TRUTH[place, : len(names)]), "0.9"]
        if how["comma"]:
            values = [value.replace(".", ",") for value in values]
        row = [values[column] for column in order]
        if how["named"] == "one csv a picture":
            called = PLACES[place].rpartition(".")[0]
            tables[f"{how['where']}{called}.csv"] = [[header[column] for column in order], row]
        else:
            head = [how["column"], *(header[column] for column in order)]
            tables.setdefault(f"{how['where']}any.csv", [head]).append(
                [called_as(how, place), *row]
            )
    for place, rows in tables.items():
        lines = [(how["delimiter"] + how["blank"]).join(map(quoted, row)) for row in rows]
        text = how["preamble"] + "\n".join([*lines, ""])
        add_table(folder, place, text.replace("\n", how["end"]), how["encoding"])
    return list(tables)


def quoted(field):
    return f'"{field}"' if set(field) & set(",;\t|") else field


def called_as(how, place):
    path = PLACES[place]
    return {
        "path": f"/data/images/{path}",
        "windows": "D:\\images\\" + path.replace("/", "\\"),
        "name": path.rpartition("/")[2],
        "stem": path.rpartition("/")[2].rpartition(".")[0],
    }[how["named"]]


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(how=writings())
def test_any_way_to_write_a_table_gives_the_same_faces_and_numbers(how, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "any"
    files = write(folder, how)
    read = [read_tables(folder / place, place) for place in files]
    for place in files:
        (folder / place).unlink()
    faces = [Face(name, "sad", folders=tuple(above)) for *above, name in map(split, PLACES)]
    findings = [finding for _, found in read for finding in found]
    sources = match(faces, [table for tables, _ in read for table in tables], 0.0, findings)
    assert list(sources) == [how["tool"]] and len(faces) == len(PLACES)
    own = sources[how["tool"]]
    columns, _, called = TOOLS[how["tool"]]
    expected = [called.format(n) for n in UNITS] if called else columns
    assert sorted(own.names) == sorted(expected)
    found = own.values[:, [own.names.index(name) for name in expected]]
    np.testing.assert_allclose(found, TRUTH[:, : len(expected)], atol=2e-5)
    assert (own.confidence == 0.9).all()
    assert not findings


def split(place):
    return place.split("/")
