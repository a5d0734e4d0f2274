"""Support vector machines on images of faces: raw pixels, HOG and the strong descriptor.

The first functions return unfitted pipelines over uint8 images (n, 48, 48). Fit them on Training,
:class:`Calibrated` on PublicTest, score on PrivateTest.
"""

from collections.abc import Mapping

import numpy as np
import sklearn.svm
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from mien.designed.classifiers import Steps, decisions
from mien.designed.descriptors import Hog, PatchDictionary, Pixels, Reduced
from mien.designed.mirror_svm import HingeMirrorSvm, MirrorComponents, MirrorSvm, SideBySide
from mien.designed.storage import Cached
from mien.emotions import named
from mien.errors import DataError
from mien.evaluation.calibration import fit_temperature


def solver(**parameters):
    """Return an ``SVC`` from scikit-learn-intelex where it is installed, else scikit-learn's own.

    The former finds the same solution ten times faster or more. Ties between classes are broken by
    the decision values: the largest of ``decision_function`` is what ``predict`` says.
    """
    try:
        from sklearnex.svm import SVC
    except ImportError:
        SVC = sklearn.svm.SVC
    return SVC(**{"break_ties": True, "cache_size": 1000} | parameters)


def pixel_svm() -> Pipeline:
    """Return the assignment's own baseline: standardised grey values and an RBF kernel."""
    return Steps([("pixels", Pixels()), ("scale", StandardScaler()), ("svm", solver())])


def hog_svm(*, cell: int = 6, components: int = 256, C: float = 10.0, seed: int = 0) -> Pipeline:
    """Return HOG, its principal components and an RBF kernel (after Dalal and Triggs 2005)."""
    reduced = Pipeline([("hog", Hog(cell=cell)), ("pca", Reduced(components, seed=seed))])
    return Steps([("descriptor", Cached(reduced)), ("svm", solver(C=C))])


def strong_svm(
    *,
    patches: Mapping[int, int],
    atoms: int,
    even: int,
    odd: int,
    sample: int,
    gamma: float,
    penalty: float,
    mirrors: bool = True,
    seed: int = 0,
) -> Pipeline:
    """Return patch dictionaries of several sizes and an SVM that a mirror cannot mislead.

    What each profile takes stands in `mien.study.profiles`, as ``image_svm``. What a dictionary
    makes of the images is kept on disk, for another combination of the same dictionaries.

    Parameters
    ----------
    patches : mapping of int to int
        Side of a patch in pixels, and cells per side of its pooling grid; a `PatchDictionary` for
        each, of so many ``atoms``.
    even, odd, sample : int
        Components kept of each, and the images that they are learned from (`MirrorComponents`).
    gamma, penalty : float
        Of `MirrorSvm`.
    mirrors : bool
        Train on every image's mirror image too.
    """
    parts = [
        Cached(
            MirrorComponents(
                PatchDictionary(size=size, grid=grid, atoms=atoms, seed=seed),
                even=even,
                odd=odd,
                sample=sample,
                seed=seed,
            )
        )
        for size, grid in patches.items()
    ]
    turned = len(parts) * odd if mirrors else 0
    svm = MirrorSvm(odd=turned, gamma=gamma, penalty=penalty, seed=seed)
    return Steps([("descriptor", SideBySide(parts, odd=odd)), ("svm", svm)])


def strong_steps(*, patches: Mapping[int, int], **settings) -> dict[str, Pipeline]:
    """Return :func:`strong_svm` as it grows, for an ablation: by name, the whole model last.

    One size of patches without mirror images, then with them, then all sizes: fitted in this order,
    each step describes only what is new in it. Arguments as of `strong_svm`, ``mirrors`` aside.
    """
    first, *others = patches
    one = {first: patches[first]}
    name = f"{first}-pixel patches"
    steps = {
        f"{name}, no mirrors": strong_svm(patches=one, mirrors=False, **settings),
        name: strong_svm(patches=one, **settings),
    }
    if others:
        *before, last = map(str, patches)
        name = ", ".join(f"{size}-" for size in before) + f" and {last}-pixel patches"
        steps[name] = strong_svm(patches=patches, **settings)
    return steps


def losses_compared(model: Pipeline, *, C: float) -> dict[str, Pipeline]:
    """Return what a fitted :func:`strong_svm` would be with either loss: two unfitted models.

    Both keep its descriptor, fitted, and its kernel; ``C`` is the penalty of the hinge loss.
    Nothing where another classifier has taken its place.
    """
    if not isinstance(model, Pipeline) or not isinstance(model.steps[-1][1], MirrorSvm):
        return {}
    descriptor, svm = FrozenEstimator(model["descriptor"]), model["svm"]
    hinge = HingeMirrorSvm(C=C, odd=svm.odd, gamma=svm.gamma)
    return {
        "squared loss": Pipeline([("descriptor", descriptor), ("svm", clone(svm))]),
        "hinge loss": Pipeline([("descriptor", descriptor), ("svm", hinge)]),
    }


def check_crowd(training: np.ndarray, public: np.ndarray) -> None:
    """Refuse a crowd that no SVM can learn from, before anything is computed.

    `DataError` if of the class codes, int (n,), ``training`` has fewer than two, or ``public`` none
    of those. A class that only one of them shows does no harm.
    """
    shown = named(np.unique(training))
    if len(shown) < 2:
        raise DataError(
            f"Training of FER2013 shows {' and '.join(shown) or 'no emotion'} only; an SVM needs "
            "images of at least two emotions to tell apart"
        )
    if not np.isin(public, training).any():
        raise DataError(
            "PublicTest of FER2013 holds no image of an emotion that Training shows "
            f"({', '.join(shown)}); it chooses the model and calibrates it, so give it some"
        )


class Calibrated(ClassifierMixin, BaseEstimator):
    """A fitted classifier with probabilities that mean something, and the same predictions.

    One temperature (``temperature_``), fitted to held-out images, divides the decision values
    before the softmax (Guo et al. 2017, "On calibration of modern neural networks"). scikit-learn's
    ``CalibratedClassifierCV`` finds the same number, but refuses held-out images that lack a class
    of the model, or show one fewer times than it has folds.
    """

    def __init__(self, model):
        self.model = model

    def fit(self, images, labels):
        """Fit the temperature to held-out images (n, 48, 48); `DataError` if none shows a class."""
        self.classes_ = self.model.classes_
        known = np.isin(labels, self.classes_)
        if not known.any():
            raise DataError("cannot calibrate: no held-out image shows a class of the model")
        values = decisions(self.model, images)[known]
        unit = values.std() or 1.0  # brings the temperature near 1, where it is searched
        codes = np.searchsorted(self.classes_, np.asarray(labels)[known])
        self.temperature_ = float(unit * fit_temperature(softmax(values / unit, axis=1), codes))
        return self

    def predict_proba(self, images) -> np.ndarray:
        """Return probabilities (n, classes), columns in the order of ``classes_``."""
        return softmax(decisions(self.model, images) / self.temperature_, axis=1)

    def predict(self, images) -> np.ndarray:
        """Return the class of every image, as the model itself does."""
        return self.model.predict(images)
