"""A small FER2013 of random faces, and ways to write, pack and spoil it."""

import io
import zipfile

import numpy as np
import pandas as pd

from mien.data.fer2013 import Fer2013

N = 40
PARTS = ["Training"] * 24 + ["PublicTest"] * 8 + ["PrivateTest"] * 8


def draw():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (N, 48, 48)).astype(np.uint8)
    return images, generator.integers(0, 7, N).astype(np.int8), np.array(PARTS)


def four_faces(folder):
    """Return a FER2013 of four black faces, which lies in a folder."""
    return Fer2013(
        images=np.zeros((4, 48, 48), np.uint8),
        _labels=np.array([3, 3, 6, 0], np.int8),
        usage=np.array(["Training", "PrivateTest", "PrivateTest", "PrivateTest"]),
        skipped=pd.DataFrame(),
        fingerprint="",
        source=str(folder / "fer2013.csv"),
    )


def rows_of(drawn):
    """Return the rows of the csv as lists of emotion, pixels, Usage."""
    return [
        [str(label), " ".join(map(str, image.ravel())), str(part)]
        for image, label, part in zip(*drawn, strict=True)
    ]


def text_of(rows, *, header="emotion,pixels,Usage", order=(0, 1, 2), end="\n"):
    lines = [header, *(",".join(row[place] for place in order) for row in rows)]
    return (end.join(lines) + end).encode()


def zip_of(text):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("example_submission.csv", "id,emotion\n1,2\n")
        zipped.writestr("data/fer2013.csv", text)
    return packed.getvalue()


def write(tmp_path, content, name="fer2013.csv"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def assert_same(crowd, drawn):
    images, labels, usage = drawn
    np.testing.assert_array_equal(crowd.images, images)
    np.testing.assert_array_equal(crowd._labels, labels)
    np.testing.assert_array_equal(crowd.usage, usage)
    assert (crowd.images.dtype, crowd._labels.dtype) == (np.uint8, np.int8)


def spoiled(rows, number, *, emotion=None, pixels=None, usage=None):
    """Return the rows with fields of row ``number`` (from 1) changed."""
    changed = [list(row) for row in rows]
    for place, change in enumerate((emotion, pixels, usage)):
        if change is not None:
            changed[number - 1][place] = change(changed[number - 1][place])
    return changed
