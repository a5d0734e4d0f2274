"""FER2013, the crowd: 35,887 faces that the public labelled with one of seven emotions.

Goodfellow et al. 2013, "Challenges in Representation Learning: A report on three machine learning
contests", arXiv:1307.0414.
"""

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from mien import files
from mien.data.fer2013_files import USAGES, Rows, csv_inside, read_csv, read_folder
from mien.emotions import EMOTIONS, named
from mien.errors import DataError, ParameterError

#: Part of the names of cached files: raise it whenever the reader reads something else than before.
_VERSION = 2


@dataclass(frozen=True, eq=False)
class PrivateTest:
    """The images that nothing may be chosen on; who has answered all of them gets the labels."""

    images: np.ndarray
    _labels: np.ndarray

    def truth_for(self, answers: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the true emotions, str (n,), for answers (..., n), by model, that are there.

        A chapter asks through `mien.study.chapter.Chapter.score_private`, which notes it.
        `ParameterError` if there are none, or one has not as many answers as there are images.
        """
        wrong = [name for name, given in answers.items() if given.shape[-1] != len(self.images)]
        if not answers or wrong:
            raise ParameterError(
                f"PrivateTest's labels are for who has answered its {len(self.images)} images, "
                f"once and for all; {wrong[0] if wrong else 'nobody'} has not"
            )
        return named(self._labels)


@dataclass(frozen=True, eq=False)
class Fer2013:
    """FER2013, or data in its layout; labels of images leave it through its methods only."""

    images: np.ndarray  # uint8 (n, 48, 48), grey faces, 0 is black
    _labels: np.ndarray
    usage: np.ndarray  # str (n,), of `USAGES`
    #: Bad rows that were left out: ``row`` (counted from 1 after the header, so that row 1 is on
    #: line 2; in folders of images the place in the sorted list of files) and ``reason``.
    skipped: pd.DataFrame
    fingerprint: str  # SHA-256 of images, labels and usage, whatever file they came from
    source: str  # what was read, as the caller named it
    shared_out: tuple[str, ...] = ()  # splits that Training gave, because the data lacked them

    def split(self, usage: str) -> tuple[np.ndarray, np.ndarray]:
        """Return images, uint8 (m, 48, 48), and class codes, int8 (m,), of a split."""
        if usage == "PrivateTest":
            raise ParameterError("PrivateTest's labels are sealed; see private_test()")
        chosen = self._in(usage)
        return self.images[chosen], self._labels[chosen]

    def private_test(self) -> PrivateTest:
        """Return PrivateTest: images, and labels for who has answered."""
        chosen = self._in("PrivateTest")
        return PrivateTest(self.images[chosen], self._labels[chosen])

    def counts(self) -> pd.DataFrame:
        """Return the images of every emotion (rows) in every split (columns)."""
        counts = pd.crosstab(named(self._labels), self.usage)
        return counts.reindex(index=list(EMOTIONS), columns=list(USAGES), fill_value=0).rename_axis(
            index="emotion", columns=None
        )

    def subset(self, n: int, *, seed: int) -> "Fer2013":
        """Return ``n`` random rows, in their order, for quick looks; all where there are no more.

        Usage and emotion are shared out as in the whole: each group's size is its exact share,
        rounded up or down. The same seed gives the same rows.
        """
        if n < 1:
            raise ParameterError(f"a subset needs at least one row, n is {n}")
        total = len(self.usage)
        if n >= total:
            return self
        generator = np.random.default_rng(seed)
        by_group = np.lexsort((generator.random(total), self._labels, self.usage))
        # Steps of equal length through the sorted groups, from a random start, hit each by share.
        steps = (np.arange(n) + generator.random()) * total / n
        rows = np.sort(by_group[steps.astype(int)])
        images, labels, usage = self.images[rows], self._labels[rows], self.usage[rows]
        return replace(
            self,
            images=images,
            _labels=labels,
            usage=usage,
            fingerprint=_fingerprint(images, labels, usage),
        )

    def _in(self, usage: str) -> np.ndarray:
        if usage not in USAGES:
            raise ParameterError(f"usage is {usage!r}; it must be one of {', '.join(USAGES)}")
        return self.usage == usage


def load_fer2013(
    path: str | Path,
    *,
    skip_bad_rows: bool = False,
    public_share: float = 0.0,
) -> Fer2013:
    """Load FER2013 in any layout that people have.

    ``path`` is ``fer2013.csv``, packed or not; Kaggle's ``fer2013.tar.gz`` or
    ``icml_face_data.csv``; the folder that holds ``train`` and ``test`` with images
    (`mien.data.fer2013_files.read_folder`); or one that holds such a file. ``skip_bad_rows``
    leaves bad rows out and lists them in ``skipped``, rather than refuse the data. Where PublicTest
    or PrivateTest is empty, it gets ``public_share`` (0..1) of every emotion in Training: the
    pixels choose, so that copies stay together and the order of files does not matter. The arrays
    are kept in `mien.files.cache_dir` under the hash of the file's content.

    `DataError` if it is missing, damaged or has bad rows; the text tells which rows, and why.
    """
    source, path = str(path), Path(path).expanduser()
    if path.is_dir():
        path = csv_inside(path) or path
    if not path.exists():
        raise DataError(
            f"there is no {path}; FER2013 is at kaggle.com (icml_face_data.csv or fer2013.tar.gz of"
            " the challenges in representation learning); give the path of the file as it came"
        )
    rows = _read(path)
    if len(rows.bad) and not skip_bad_rows:
        raise DataError(_refusal(source, rows))
    if not len(rows.labels):
        raise DataError(f"{source} holds no row of FER2013 that can be read")
    skipped = pd.DataFrame({"row": rows.bad, "reason": rows.reasons.astype(object)})
    usages, shared_out = _share_out(rows, public_share)
    usage = np.array(USAGES)[usages]
    fingerprint = _fingerprint(rows.images, rows.labels, usage)
    return Fer2013(rows.images, rows.labels, usage, skipped, fingerprint, source, shared_out)


def _share_out(rows: Rows, share: float) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return codes of usage with empty splits filled from Training, and which these are."""
    usages = rows.usages.copy()
    empty = [code for code in (1, 2) if share and not (usages == code).any()]
    if not empty:
        return usages, ()
    digests = np.array([hashlib.sha256(image).hexdigest() for image in rows.images])
    for code in empty:
        training = usages == 0
        chosen: set[str] = set()
        for label in range(len(EMOTIONS)):
            own = np.sort(digests[training & (rows.labels == label)])
            least = int(len(own) > 1)  # of few images, too, one that tests
            chosen.update(own[: max(least, round(share * len(own)))].tolist())
        usages[training & np.isin(digests, list(chosen))] = code
    return usages, tuple(USAGES[code] for code in empty)


def copies(crowd: Fer2013) -> np.ndarray:
    """Tell which images (n,) are exact pixel copies of an earlier one."""
    return pd.Series(_kinds(crowd.images)).duplicated().to_numpy()


def copied_in_training(crowd: Fer2013, usage: str) -> np.ndarray:
    """Tell which images (m,) of a test split have an exact pixel copy in Training."""
    kinds = _kinds(crowd.images)
    return np.isin(kinds[crowd._in(usage)], kinds[crowd._in("Training")])


def nearly_copied_in(crowd: Fer2013, usage: str = "PrivateTest") -> np.ndarray:
    """Tell which images (m,) of a test split are nearly the same photo as one of Training.

    Their grey values, halved to 24 x 24, or those of the mirror image correlate at 0.98 or more.
    Exact copies are among them; images of one grey count only as such.
    """
    others = _standardised(crowd.images[crowd._in("Training")])
    near = copied_in_training(crowd, usage)
    images = crowd.images[crowd._in(usage)]
    for start in range(0, len(images), 512):
        rows = slice(start, start + 512)
        for faces in (images[rows], images[rows, :, ::-1]):
            near[rows] |= (_standardised(faces) @ others.T).max(axis=1, initial=0) >= 0.98
    return near


def _standardised(images: np.ndarray) -> np.ndarray:
    """Return images at half size as rows (n, 576) of mean 0 and length 1, float32; 0 if grey."""
    small = images.reshape(len(images), 24, 2, 24, 2).mean(axis=(2, 4), dtype=np.float32)
    rows = small.reshape(len(images), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-3)


def constant_images(crowd: Fer2013) -> np.ndarray:
    """Return the indices (from 0, into ``crowd.images``) of images that are one grey all over."""
    flat = crowd.images.reshape(len(crowd.images), -1)
    return np.flatnonzero((flat == flat[:, :1]).all(axis=1))


def _kinds(images: np.ndarray) -> np.ndarray:
    """Return a number for each image, the same for images with the same pixels."""
    return pd.factorize(np.array([image.tobytes() for image in images], dtype=object))[0]


def _read(path: Path) -> Rows:
    """Read all rows, from the cache where they are there, else keep them in it."""
    try:
        content = files.content_hash(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    file = files.cache_dir() / "fer2013" / f"{content}-{_VERSION}.npz"
    # However a file of the cache is damaged, the data itself is still there.
    with contextlib.suppress(Exception), file.open("rb") as stream, np.load(stream) as kept:
        return Rows(**kept)
    rows = read_folder(path) if path.is_dir() else read_csv(path)
    files.keep(file, lambda part: np.savez(part, **rows._asdict()))
    return rows


def _fingerprint(images: np.ndarray, labels: np.ndarray, usage: np.ndarray) -> str:
    digest = hashlib.sha256(f"{images.shape} {' '.join(usage)}".encode())
    digest.update(labels.tobytes())
    digest.update(np.ascontiguousarray(images))
    return digest.hexdigest()


def _refusal(source: str, rows: Rows) -> str:
    """Say how many rows are bad, and of the first five which and why."""
    total = len(rows.bad) + len(rows.labels)
    told = list(zip(rows.bad, rows.reasons, strict=True))
    lines = [f"{source}: {len(told):,} of {total:,} rows are bad (data rows from 1)"]
    lines += [f"  row {number}: {reason}" for number, reason in told[:5]]
    if told[5:]:
        lines.append(f"  and {len(told) - 5:,} more")
    lines.append("Mend them, or set skip_bad_rows to leave them out and have them listed.")
    return "\n".join(lines)
