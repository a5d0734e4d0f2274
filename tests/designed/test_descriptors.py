"""The hand-crafted descriptors: right numbers, no accidents, the same twice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.feature import hog

from mien.designed import descriptors
from mien.designed.descriptors import (
    Hog,
    PatchDictionary,
    Pixels,
    _means,
    _spherical_kmeans,
    in_blocks,
)
from mien.designed.storage import Cached
from mien.errors import DataError, ParameterError

SMALL = PatchDictionary(atoms=16, even=20, odd=10)
EDGES = PatchDictionary(size=8, edges=True, atoms=16, even=20, odd=10)
DESCRIPTORS = [Pixels(), Hog(), SMALL, EDGES]


@pytest.fixture(autouse=True)
def few_patches(monkeypatch):
    monkeypatch.setattr(descriptors, "_PATCHES", 2000)


@pytest.fixture(scope="module")
def images():
    """60 smooth random pictures and a constant one."""
    rough = np.random.default_rng(0).normal(size=(61, 12, 12))
    smooth = np.repeat(np.repeat(rough, 4, axis=1), 4, axis=2)
    pictures = np.clip(128 + 60 * smooth, 0, 255).astype(np.uint8)
    pictures[-1] = 77
    return pictures


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("descriptor", DESCRIPTORS, ids=["pixels", "HOG", "patches", "edges"])
def test_rows_are_finite_float32_and_the_same_twice(descriptor, images):
    first = descriptor.fit(images).transform(images)
    again = descriptor.fit(images).transform(images)
    assert first.dtype == np.float32
    assert first.shape[0] == len(images)
    assert np.isfinite(first).all()
    assert np.array_equal(first, again)


@pytest.mark.parametrize("descriptor", DESCRIPTORS, ids=["pixels", "HOG", "patches", "edges"])
def test_a_row_depends_on_its_own_image_only(descriptor, images):
    whole = descriptor.fit(images).transform(images)
    part = descriptor.transform(images[[5, 3]])
    np.testing.assert_allclose(part, whole[[5, 3]], atol=1e-5)


@pytest.mark.parametrize("cell", [5, 6, 8])
def test_hog_agrees_with_scikit_image(images, cell):
    ours = Hog(cell=cell).fit(images).transform(images)
    for row, image in zip(ours[:8], images[:8], strict=True):
        theirs = hog(
            image,
            orientations=9,
            pixels_per_cell=(cell, cell),
            cells_per_block=(2, 2),
        )
        np.testing.assert_allclose(row, theirs, atol=2e-6)


@settings(deadline=None, max_examples=25)
@given(arrays(np.uint8, (2, 12, 12)))
def test_hog_of_any_image_is_between_0_and_1(any_images):
    rows = Hog(cell=4).fit(any_images).transform(any_images)
    assert rows.min() >= 0
    assert rows.max() <= 1 + 1e-6


def test_hog_ignores_how_bright_the_picture_is(images):
    dark = images // 4
    rows = Hog().fit(dark).transform(np.concatenate([dark[:5], dark[:5] + 100]))
    np.testing.assert_allclose(rows[:5], rows[5:], atol=1e-6)


@pytest.mark.parametrize("cell", [0, 25])
def test_hog_refuses_cells_that_do_not_fit(images, cell):
    with pytest.raises(ParameterError, match=rf"cells of {cell} pixels .* takes 1 to 24"):
        Hog(cell=cell).fit(images)


@pytest.mark.parametrize(
    "bad",
    [np.zeros((0, 48, 48), np.uint8), np.zeros((3, 48, 48)), np.zeros((48, 48), np.uint8)],
)
def test_what_is_no_pile_of_grey_images_is_refused(bad):
    with pytest.raises(DataError, match="uint8 array of shape"):
        Hog().fit(bad)


def test_constant_images_alone_are_described_too():
    flat = np.full((20, 48, 48), 9, np.uint8)
    rows = SMALL.fit(flat).transform(flat)
    assert np.isfinite(rows).all()
    assert Hog().fit(flat).transform(flat).max() == 0


@pytest.mark.parametrize(
    "size, grid, edges",
    [(6, 4, False), (8, 3, False), (6, 5, False), (8, 4, True), (8, 3, True), (12, 3, True)],
)
def test_mirroring_an_image_exchanges_columns_of_its_patch_descriptor(images, size, grid, edges):
    patches = PatchDictionary(size=size, grid=grid, atoms=16, edges=edges).fit(images)
    straight, turned = patches.responses(images), patches.responses(images[..., ::-1])
    np.testing.assert_allclose(patches.mirrored(straight), turned, atol=1e-3)
    assert not np.allclose(straight, turned, atol=1e-2)


def test_a_patch_response_is_what_coates_and_ng_define(images):
    """One image by hand: normalise, whiten, compare, threshold, average, root."""
    patches = PatchDictionary(size=6, atoms=16, grid=1)
    row = patches.fit(images).responses(images[:1])[0]
    assert row.any()
    sums = np.zeros(32)
    for top in range(0, 43, 2):
        for left in range(0, 43, 2):
            patch = images[0, top : top + 6, left : left + 6].astype(float).ravel()
            patch -= patch.mean()
            patch /= np.sqrt((patch**2).mean() + 10)
            response = patch @ patches.filters_ - patches.offsets_
            sums[:16] += np.maximum(response - 1, 0)
            sums[16:] += np.maximum(-response - 1, 0)
    np.testing.assert_allclose(row, np.sqrt(sums / 22**2), atol=1e-4)


#: Right, down, left, up; then what lies between, from down right on, clockwise.
DIRECTIONS = np.array([[1, 0], [0, 1], [-1, 0], [0, -1], [1, 1], [-1, 1], [-1, -1], [1, -1]])


def test_edges_are_what_lowe_and_arandjelovic_define(images):
    """One patch by hand: every gradient is so much of one direction and so much of the next."""
    image = images[0].astype(float)
    down, right = (np.pad(image, 1, mode="edge")[one] for one in (np.s_[:, 1:-1], np.s_[1:-1]))
    gradients = np.stack([right[:, 2:] - right[:, :-2], down[2:] - down[:-2]], axis=-1)
    cells = np.zeros((4, 4, 8))
    for y, x in np.ndindex(8, 8):
        turned = [
            (np.linalg.solve(DIRECTIONS[[a, b]].T, gradients[10 + y, 4 + x]), a, b)
            for a, b in ((0, 4), (4, 1), (1, 5), (5, 2), (2, 6), (6, 3), (3, 7), (7, 0))
        ]
        shares, a, b = next(one for one in turned if one[0].min() >= -1e-9)
        cells[y // 2, x // 2, [a, b]] += shares
    expected = np.sqrt(np.minimum(cells / np.sqrt((cells**2).sum() + 80**2), 0.2)).ravel()
    found = EDGES._patches(images[:1])[0, 5 * 21 + 2]
    np.testing.assert_allclose(found, 10 * expected, atol=1e-4)
    turned = EDGES._patches(images[:1, :, ::-1])[0, 5 * 21 + 20 - 2]
    assert np.array_equal(EDGES._mirrored(found), turned) and not np.array_equal(found, turned)


def test_kmeans_finds_the_directions_that_points_lie_in():
    random = np.random.default_rng(0)
    directions = np.eye(6, dtype=np.float32)[:3]
    points = random.normal(size=(3000, 1)) * directions[random.integers(3, size=3000)]
    atoms = _spherical_kmeans(points.astype(np.float32), 12, random)
    assert (np.abs(atoms @ directions.T).max(axis=0) > 0.99).all()
    np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1, atol=1e-5)


@given(st.integers(1, 60), st.integers(1, 8))
def test_pooling_weights_are_means(count, cells):
    weights = _means(count, min(cells, count))
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(weights, weights[::-1, ::-1], atol=1e-12)


@pytest.mark.parametrize(
    "wrong",
    [
        {"atoms": 7},
        {"size": 60},
        {"grid": 0},
        {"grid": 23},
        {"even": 0},
        {"edges": True, "size": 10},
        {"size": 7},
    ],
)
def test_impossible_dictionaries_are_refused(images, wrong):
    with pytest.raises(ParameterError, match="PatchDictionary"):
        PatchDictionary(**wrong).fit(images)


def test_blocks_are_put_together_in_order():
    numbers = np.arange(1000).reshape(-1, 1, 1)
    rows = in_blocks(lambda block: block.reshape(-1, 1).astype("f"), numbers, block=7)
    assert np.array_equal(rows.ravel(), np.arange(1000))


def test_a_second_run_reads_what_the_first_computed(images, cache, monkeypatch):
    first = Cached(SMALL)
    rows, others = first.fit_transform(images[:40]), first.transform(images[40:])
    monkeypatch.delattr(PatchDictionary, "fit")
    monkeypatch.delattr(PatchDictionary, "transform")
    second = Cached(SMALL)
    assert np.array_equal(second.fit_transform(images[:40]), rows)
    assert np.array_equal(second.transform(images[40:]), others)


def test_another_parameter_image_or_fit_is_never_answered_from_disk(images, cache):
    Cached(Hog()).fit(images).transform(images)
    assert Cached(Hog(cell=8)).fit_transform(images).shape != Hog().fit_transform(images).shape
    changed = images.copy()
    changed[0, 0, 0] += 100
    rows = Cached(Hog()).fit(images).transform(changed)
    np.testing.assert_array_equal(rows, Hog().transform(changed))
    Cached(SMALL).fit(images)
    others = Cached(SMALL).fit(changed).transform(images)
    np.testing.assert_array_equal(others, SMALL.fit(changed).transform(images))


def test_a_damaged_cache_is_computed_anew(images, cache):
    expected = Cached(Hog()).fit(images).transform(images)
    for path in (cache / "descriptors").iterdir():
        path.write_bytes(path.read_bytes()[:50])
    np.testing.assert_array_equal(Cached(Hog()).fit(images).transform(images), expected)
