"""Support vector machines on images of faces: raw pixels, HOG and the strong descriptor.

Each function returns an unfitted :class:`~sklearn.pipeline.Pipeline` over uint8 images
(n, 48, 48). Fit it on Training, :func:`calibrate` it on PublicTest, score it on PrivateTest.
"""

from collections.abc import Sequence

import numpy as np
import sklearn.svm
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from mien.cached import Cached
from mien.errors import DataError
from mien.features import Hog, Pixels
from mien.kernel import MirrorSvm
from mien.patches import PatchDictionary
from mien.symmetry import MirrorComponents


def solver(**parameters):
    """Return an ``SVC`` from scikit-learn-intelex where it is installed, else scikit-learn's own.

    Both solve the same problem to the same tolerance; the former is ten times faster or more on
    thousands of images. Ties between classes are broken by the decision values, so that the
    largest of ``decision_function`` is what ``predict`` says.

    Parameters
    ----------
    **parameters
        What :class:`sklearn.svm.SVC` takes.
    """
    try:
        from sklearnex.svm import SVC
    except ImportError:
        SVC = sklearn.svm.SVC
    return SVC(**{"break_ties": True, "cache_size": 1000} | parameters)


def pixel_svm(*, C: float = 1.0, gamma: float | str = "scale") -> Pipeline:
    """Return the baseline: standardised grey values and an RBF kernel.

    This is what the assignment's own solution did (44.7 % of PrivateTest). Cost: 40 s to fit on
    all of Training with scikit-learn-intelex on two cores.
    """
    return Pipeline(
        [
            ("pixels", Pixels()),
            ("scale", StandardScaler()),
            ("svm", solver(C=C, gamma=gamma)),
        ]
    )


def hog_svm(
    *, cell: int = 6, components: int = 256, C: float = 10.0, gamma: float | str = "scale", seed=0
) -> Pipeline:
    """Return HOG, its principal components and an RBF kernel (after Dalal and Triggs 2005)."""
    reduced = Pipeline([("hog", Hog(cell=cell)), ("pca", _pca(components, seed))])
    return Pipeline([("descriptor", Cached(reduced)), ("svm", solver(C=C, gamma=gamma))])


#: What :func:`strong_svm` takes in each profile: how much time there is.
STRONG: dict[str, dict] = {
    "demo": {"sizes": (8,), "atoms": 64, "even": 150, "odd": 75, "sample": 1000},
    "quick": {"sizes": (8,), "atoms": 256, "even": 500, "odd": 250, "sample": 4000},
    "full": {"sizes": (8, 12), "atoms": 512, "even": 1200, "odd": 600, "sample": 6000},
}


def strong_svm(
    *,
    sizes: Sequence[int] = (8, 12),
    atoms: int = 512,
    grid: int = 4,
    even: int = 1200,
    odd: int = 600,
    sample: int = 6000,
    gamma: float = 1.0,
    penalty: float = 0.05,
    seed: int = 0,
    progress: bool = False,
) -> Pipeline:
    """Return patch dictionaries of several sizes and an SVM that a mirror cannot mislead.

    Parameters
    ----------
    sizes : sequence of int
        Sides of the patches in pixels, one dictionary for each.
    atoms, grid : int
        Of each :class:`mien.patches.PatchDictionary`.
    even, odd, sample : int
        Components kept of each, and the images that they are learned from, see
        :class:`mien.symmetry.MirrorComponents`.
    gamma, penalty : float
        Of :class:`mien.kernel.MirrorSvm`.
    seed : int
        Seed of everything random.
    progress : bool
        Show a progress bar while images are described.
    """
    descriptors = [
        PatchDictionary(
            size=size,
            atoms=atoms,
            grid=grid,
            seed=seed,
            progress=f"{size}-pixel patches" if progress else "",
        )
        for size in sizes
    ]
    components = MirrorComponents(descriptors, even=even, odd=odd, sample=sample, seed=seed)
    svm = MirrorSvm(odd=len(sizes) * odd, gamma=gamma, penalty=penalty, seed=seed)
    return Pipeline([("descriptor", Cached(components)), ("svm", svm)])


def calibrate(model, images: np.ndarray, labels: np.ndarray) -> CalibratedClassifierCV:
    """Give a fitted model probabilities that mean something, without changing its predictions.

    One temperature that divides the decision values before the softmax is fitted to images that
    the model was not trained on (Guo et al. 2017, "On calibration of modern neural networks").
    The largest probability stays where the largest decision value was.

    Parameters
    ----------
    model : classifier
        Fitted on other images than these.
    images : uint8 array (n, 48, 48)
        Held-out images, PublicTest in this study.
    labels : array (n,)
        Their classes, every class of the model among them.

    Returns
    -------
    classifier with ``predict``, ``predict_proba`` and ``classes_``

    Raises
    ------
    DataError
        If a class of the model is missing from ``labels``.
    """
    missing = sorted(set(model.classes_) - set(labels))
    if missing:
        raise DataError(
            f"cannot calibrate: no held-out image of class {', '.join(map(str, missing))}; "
            f"calibrate on more images, all classes among them"
        )
    return CalibratedClassifierCV(FrozenEstimator(model), method="temperature").fit(images, labels)


def _pca(components, seed):
    return PCA(components, svd_solver="randomized", iterated_power=2, random_state=seed)
