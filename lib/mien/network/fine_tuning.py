"""The crowd's network, tuned to one person: few images, early layers frozen, nothing thrown away.

The frozen layers answer the same for every fold and epoch, so their answers to the faces and to
some augmented copies of them are computed once; what is tuned is the rest of the network, on those.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import keras
import numpy as np
from keras import ops
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from mien.emotions import EMOTIONS, in_order, index, restrict
from mien.errors import DataError, ParameterError
from mien.network import architecture
from mien.network.architecture import stage_ends
from mien.network.backend import enough_memory
from mien.network.training import Augment

#: Few images bear strong changes; the network has seen weaker ones.
STRONG = Augment(mirror=True, shift=0.08, rotation=12, zoom=0.15, light=0.4, erase=0.0)


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """The settings of B3.

    Parameters
    ----------
    frozen : int
        How many stages stay as they are, from the input: 0 none, 1 the stem, 2 also the first
        stage …; as many as there are stages plus one: all but the head.
    epochs : int
        Most epochs; `choose_epochs` picks among 0 to this many.
    learning_rate : float
        Of Adam; constant, because the best epoch is not known beforehand.
    l2_to_start : float
        Weight of the squared distance to the starting weights in the loss (L2-SP: Li, Grandvalet
        and Davoine 2018, arXiv:1802.01483).
    label_smoothing : float
    batch_size : int
    copies : int
        Augmented copies of every face; every epoch sees one of them.
    augment : Augment
    """

    frozen: int = 2
    epochs: int = 30
    learning_rate: float = 3e-4
    l2_to_start: float = 1e-2
    label_smoothing: float = 0.1
    batch_size: int = 32
    copies: int = 16
    augment: Augment = field(default=STRONG)

    def __post_init__(self):
        """Refuse numbers that are out of range."""
        for name, low, high in (
            ("frozen", 0, 20),
            ("epochs", 0, 1000),
            ("learning_rate", 0, 1),
            ("l2_to_start", 0, 100),
            ("label_smoothing", 0, 0.9),
            ("batch_size", 1, 4096),
            ("copies", 1, 1000),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ParameterError(f"{name} is {value}; use {low} to {high}")


TUNINGS: dict[str, Tuning] = {
    "demo": Tuning(epochs=8, copies=6),
    "quick": Tuning(epochs=16, learning_rate=2e-4, copies=16),
    "full": Tuning(epochs=24, learning_rate=2e-4, copies=24),
}


class Tuner:
    """A network, one person's faces, and what the frozen layers say to them, computed once.

    Parameters
    ----------
    model : keras.Model
        From `mien.network.architecture.build` or `mien.network.pretrained.load`; it is not changed.
    images : ndarray of uint8, (n, 48, 48)
    labels : sequence of str, (n,)
        Emotion names. The head is restricted to the emotions that occur here: the others get a
        logit of minus infinity, which is the softmax masked and renormalised.
    tuning : Tuning
    seed : int
    """

    def __init__(
        self,
        model: keras.Model,
        images: np.ndarray,
        labels: Sequence[str],
        *,
        tuning: Tuning | None = None,
        seed: int = 0,
    ):
        """See the class."""
        if len(images) != len(labels) or not len(images):
            raise DataError(f"{len(images)} faces and {len(labels)} labels: one a face, please")
        self.tuning, self.seed = tuning or Tuning(), seed
        self.emotions = in_order(labels)
        self.codes = np.array([index(label) for label in labels])
        self.model = architecture.fuse(model)
        cut = _last_of_stage(self.model, self.tuning.frozen)
        early = keras.Model(self.model.input, cut)
        self.late = keras.Model(cut, self.model.get_layer("logits").output)
        rng = np.random.default_rng([seed, 0])
        copies = [self.tuning.augment(images, rng) for _ in range(self.tuning.copies)]
        seen = [images, images[:, :, ::-1], *copies]
        self.answers = np.stack([_outputs(early, faces) for faces in seen])
        self._compile()

    def _compile(self) -> None:
        barred = [code for code, emotion in enumerate(EMOTIONS) if emotion not in self.emotions]
        self.barrier = np.zeros(architecture.CLASSES, np.float32)
        self.barrier[barred] = -1e9
        smoothing = self.tuning.label_smoothing
        allowed = (self.barrier == 0) / np.sum(self.barrier == 0)

        def loss(truth, logits):
            target = truth * (1 - smoothing) + smoothing * allowed.astype(np.float32)
            return -ops.sum(target * ops.log_softmax(logits + self.barrier), axis=-1)

        self.start = [ops.convert_to_numpy(variable) for variable in self.late.variables]
        for variable in self.late.trainable_variables:
            variable.regularizer = _Pull(variable, self.tuning.l2_to_start)
        self.late.compile(keras.optimizers.Adam(self.tuning.learning_rate), loss)
        self.late.optimizer.build(self.late.trainable_variables)
        self.fresh = [ops.convert_to_numpy(v) for v in self.late.optimizer.variables]

    def reset(self) -> None:
        """Go back to the starting network."""
        self._put(self.start)
        for variable, value in zip(self.late.optimizer.variables, self.fresh, strict=True):
            variable.assign(value)

    def fit(
        self,
        rows: np.ndarray,
        *,
        epochs: int,
        seed: int = 0,
        on_epoch: Callable[[int], None] | None = None,
    ) -> None:
        """Tune the starting network on the faces ``rows`` for ``epochs`` epochs.

        The weights that it ends with, and that ``on_epoch`` finds, are the mean of those after
        every epoch (stochastic weight averaging: Izmailov et al. 2018, arXiv:1803.05407); with so
        few faces the last ones alone hang on the last batches.

        Parameters
        ----------
        rows : ndarray of int
            Which faces to learn from.
        epochs : int
            0 leaves the starting network.
        seed : int
        on_epoch : callable, optional
            Called with the number of epochs done, 0 first.
        """
        self.reset()
        rows, rng = np.asarray(rows), np.random.default_rng([self.seed, seed, 1])
        size = min(self.tuning.batch_size, len(rows))
        if on_epoch:
            on_epoch(0)
        mean = now = self.start
        for epoch in range(epochs):
            self._put(now)
            copy = self.answers[2 + epoch % self.tuning.copies]
            order = rng.permutation(rows)
            order = np.concatenate([order, order[: -len(order) % size]])  # batches of one size
            for batch in order.reshape(-1, size):
                with enough_memory(size):
                    self.late.train_on_batch(
                        copy[batch], np.eye(architecture.CLASSES)[self.codes[batch]]
                    )
            now = [ops.convert_to_numpy(variable) for variable in self.late.variables]
            mean = [old + (new - old) / (epoch + 1) for old, new in zip(mean, now, strict=True)]
            if on_epoch or epoch + 1 == epochs:
                self._put(mean)
            if on_epoch:
                on_epoch(epoch + 1)

    def _put(self, weights: Sequence[np.ndarray]) -> None:
        for variable, value in zip(self.late.variables, weights, strict=True):
            variable.assign(value)

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return probabilities of the faces ``rows``, float32 (k, 7), mirror images averaged.

        Masked to the person's emotions and renormalised, as `mien.emotions.restrict` does.
        """
        answers = self.answers[:2, rows]
        flat = answers.reshape(-1, *answers.shape[2:])
        logits = np.asarray(self.late.predict_on_batch(_padded(flat, 2 * len(self.codes))))
        shares = (
            softmax(logits[: len(flat)], axis=1).reshape(2, -1, architecture.CLASSES).mean(axis=0)
        )
        return restrict(shares, self.emotions).astype(np.float32)

    def choose_epochs(
        self, rows: np.ndarray, clips: Sequence[str], *, n_splits: int = 3, seed: int = 0
    ) -> int:
        """Return the number of epochs with the lowest held-out log loss *inside* ``rows``.

        The rows are split again into folds that keep clips together; of all labelled faces,
        only ``rows`` are looked at.
        """
        rows, clips = np.asarray(rows), np.asarray(clips)
        losses = np.zeros(self.tuning.epochs + 1)
        splitter = StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed)
        for learn, check in splitter.split(rows, self.codes[rows], clips[rows]):

            def note(epoch, check=rows[check]):
                of_truth = self.predict(check)[np.arange(len(check)), self.codes[check]]
                losses[epoch] -= np.log(np.maximum(of_truth, 1e-7)).sum()

            self.fit(rows[learn], epochs=self.tuning.epochs, seed=seed, on_epoch=note)
        return int(losses.argmin())

    def out_of_fold(
        self,
        folds: np.ndarray,
        clips: Sequence[str],
        *,
        n_splits: int = 3,
        on_fold: Callable[[int], None] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return answers to every face by networks that have not seen its clip.

        Parameters
        ----------
        folds : ndarray of int, (n,)
            The fold that tests a face (one row of
            `mien.evaluation.cross_validation.grouped_folds`).
        clips : sequence of str, (n,)
        n_splits : int
            Inner folds that choose the number of epochs.
        on_fold : callable, optional
            Called with the number of every fold that is done.

        Returns
        -------
        probabilities : ndarray of float32, (n, 7)
        epochs : ndarray of int, (number of folds,)
            The number of epochs that each fold's training part chose.
        """
        folds = np.asarray(folds)
        probabilities = np.zeros((len(folds), architecture.CLASSES), np.float32)
        epochs = []
        for fold in np.unique(folds):
            learn, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            epochs.append(self.choose_epochs(learn, clips, n_splits=n_splits, seed=int(fold)))
            self.fit(learn, epochs=epochs[-1], seed=int(fold))
            probabilities[test] = self.predict(test)
            if on_fold:
                on_fold(int(fold))
        return probabilities, np.array(epochs)

    def fit_all(self, clips: Sequence[str], *, n_splits: int = 3) -> tuple[keras.Model, int]:
        """Return the network tuned on every face, and its number of epochs (chosen inside)."""
        rows = np.arange(len(self.codes))
        epochs = self.choose_epochs(rows, clips, n_splits=n_splits, seed=self.seed)
        self.fit(rows, epochs=epochs, seed=self.seed)
        return architecture.fuse(self.model), epochs


class _Pull(keras.regularizers.Regularizer):
    """The weighted squared distance of a variable to where it was (L2-SP)."""

    def __init__(self, variable, weight: float):
        self.start, self.weight = ops.convert_to_numpy(variable), weight

    def __call__(self, variable):
        return self.weight * ops.sum(ops.square(variable - self.start))


def fine_tune(
    model: keras.Model,
    images: np.ndarray,
    labels: Sequence[str],
    *,
    epochs: int,
    tuning: Tuning | None = None,
    seed: int = 0,
) -> keras.Model:
    """Return a copy of ``model`` tuned to one person for a given number of epochs.

    The copy still answers all seven emotions; `mien.emotions.restrict` restricts its answers to the
    person's. See `Tuner` for the parameters.
    """
    tuner = Tuner(model, images, labels, tuning=tuning, seed=seed)
    tuner.fit(np.arange(len(images)), epochs=epochs, seed=seed)
    return architecture.fuse(tuner.model)


def feature_classifier(kind: str = "logistic", *, penalty: float = 0.01, seed: int = 0) -> Pipeline:
    """Return the simple rival of fine-tuning: a linear classifier on the network's features.

    Parameters
    ----------
    kind : {"logistic", "svm"}
    penalty : float
        C: the smaller, the stronger the regularisation.

    Raises
    ------
    ParameterError
        If ``kind`` is another.
    """
    if kind not in ("logistic", "svm"):
        raise ParameterError(f"kind is {kind!r}; use 'logistic' or 'svm'")
    if kind == "svm":
        return make_pipeline(StandardScaler(), SVC(kernel="linear", C=penalty, random_state=seed))
    return make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=2000))


def _last_of_stage(model: keras.Model, frozen: int):
    """Return the tensor that leaves the last of the ``frozen`` first stages."""
    ends = [model.input, *stage_ends(model)]
    if frozen >= len(ends):
        raise ParameterError(f"frozen is {frozen}, but the network has {len(ends) - 1} stages")
    if frozen == len(ends) - 1:
        return model.get_layer("pooled").output
    return ends[frozen]


def _outputs(early: keras.Model, images: np.ndarray) -> np.ndarray:
    answers = early.predict(architecture.prepare(images), batch_size=128, verbose=0)
    return np.asarray(answers).astype(np.float32)


def _padded(array: np.ndarray, count: int) -> np.ndarray:
    return np.pad(array, ((0, count - len(array)), *[(0, 0)] * (array.ndim - 1)))
