"""The crowd's network, tuned to one person: few images, early layers frozen, nothing thrown away.

The frozen layers answer the same for every fold and epoch, so their answers to the faces and to
some augmented copies of them are computed once; what is tuned is the rest of the network, on those.
"""

import copy
import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pydantic
from keras import ops
from pydantic import Field
from scipy.special import softmax

from mien.data.images import prepare
from mien.emotions import EMOTIONS, codes, restrict
from mien.errors import DataError, ParameterError
from mien.evaluation.calibration import log_loss
from mien.evaluation.cross_validation import grouped_folds, out_of_fold
from mien.evaluation.probing import head
from mien.network import architecture, inference
from mien.network.architecture import CLASSES
from mien.network.backend import enough_memory
from mien.network.training import Augment

#: Few images bear strong changes; the network has seen weaker ones.
STRONG = Augment(shift=0.08, rotation=12, zoom=0.15, light=0.4)
_INNER_FOLDS = 3  # of the faces learned from, to choose the number of epochs


@pydantic.dataclasses.dataclass(frozen=True, kw_only=True)
class Tuning:
    """The settings of B3; `pydantic.ValidationError` if a number is out of range.

    Parameters
    ----------
    frozen : int
        How many stages stay as they are, from the input: 0 none, 1 the stem, 2 also the first
        stage …; as many as there are stages plus one: all but the head. A network that
        `architecture.build` has not made has no stages: all but its last layer with weights.
    epochs : int
        Most epochs; `Tuner.choose_epochs` picks among 0 to this many.
    learning_rate : float
        Of Adam; constant, because the best epoch is not known beforehand.
    l2_to_start : float
        Weight of the squared distance to the starting weights in the loss (L2-SP: Li, Grandvalet
        and Davoine 2018, arXiv:1802.01483).
    label_smoothing : float
    batch_size : int
    copies : int
        Augmented copies of every face; every epoch sees one of them.
    from_probe : bool
        Whether the head starts as the linear probe (`mien.evaluation.probing.head`) of the faces
        learned from (Kumar et al. 2022, arXiv:2202.10054), and not as the crowd's.
    augment : Augment
    """

    frozen: int = Field(2, ge=0, le=20)
    epochs: int = Field(30, ge=0, le=1000)
    learning_rate: float = Field(3e-4, ge=0, le=1)
    l2_to_start: float = Field(1e-2, ge=0, le=100)
    label_smoothing: float = Field(0.1, ge=0, le=0.9)
    batch_size: int = Field(32, ge=1, le=4096)
    copies: int = Field(16, ge=1, le=1000)
    from_probe: bool = False
    augment: Augment = STRONG


class Tuner:
    """A network, one person's faces, and what the frozen layers say to them, computed once.

    ``model``, from `mien.network.architecture.build` or `mien.network.pretrained.load`, is not
    changed; ``images`` are uint8 (n, 48, 48), and whoever tunes on some of them brings their
    labels. The head is restricted to ``emotions``: the others get a logit of minus infinity, which
    is the softmax masked and renormalised.
    """

    def __init__(
        self,
        model: keras.Model,
        images: np.ndarray,
        emotions: Sequence[str],
        *,
        tuning: Tuning,
        seed: int = 0,
    ):
        """See the class."""
        self.tuning, self.seed, self.emotions, self.known = tuning, seed, list(emotions), {}
        self.model = architecture.fuse(model)
        pairs = itertools.pairwise(self.model.layers)
        ends = [one.output for one, after in pairs if after.name.endswith("_halve")]
        ends = [self.model.input, *ends, self.model.get_layer("pooled").output]
        frozen = tuning.frozen if architecture.shape(self.model) else -1
        if frozen >= len(ends):
            raise ParameterError(f"frozen is {frozen}, but the network has {len(ends) - 1} stages")
        early = keras.Model(self.model.input, ends[frozen])
        # What is learned stands beside the head, so that every fold can start from its own.
        self.head = self.model.get_layer("logits")
        self.head.trainable = False
        self.change = keras.layers.Dense(CLASSES, kernel_initializer="zeros", name="change")
        change = self.change(self.model.get_layer("dropout").output)
        self.late = keras.Model(ends[frozen], self.head.output + change)
        self.features = inference.embed(self.model, images)
        rng = np.random.default_rng([seed, 0])
        copies = [tuning.augment(images, rng) for _ in range(tuning.copies)]
        seen = [images, images[:, :, ::-1], *copies]
        answers = [early.predict(prepare(faces), batch_size=128, verbose=0) for faces in seen]
        self.answers = np.stack(answers).astype(np.float32)
        self._compile()

    def describe(self) -> dict[str, Any]:
        """Return all settings, ``inner_folds``, and ``own``: the network has stages to freeze."""
        own = bool(architecture.shape(self.model))
        return {**vars(self.tuning), "inner_folds": _INNER_FOLDS, "own": own}

    def _compile(self) -> None:
        allowed = np.isin(EMOTIONS, self.emotions)
        barrier = np.where(allowed, 0, -1e9).astype(np.float32)
        even = (allowed / allowed.sum()).astype(np.float32)
        smoothing, pull = self.tuning.label_smoothing, self.tuning.l2_to_start

        def loss(truth, logits):
            target = truth * (1 - smoothing) + smoothing * even
            return -ops.sum(target * ops.log_softmax(logits + barrier), axis=-1)

        def pulled(start, now):
            return pull * ops.sum(ops.square(now - start))

        for variable in self.late.trainable_variables:
            variable.regularizer = functools.partial(pulled, ops.convert_to_numpy(variable))
        self.late.compile(keras.optimizers.Adam(self.tuning.learning_rate), loss)
        self.late.optimizer.build(self.late.trainable_variables)
        self.variables = [*self.late.variables, *self.late.optimizer.variables]
        self.start = [ops.convert_to_numpy(variable) for variable in self.variables]

    def from_other_start(self) -> "Tuner":
        """Return a tuner of the same network and faces whose head starts as the other of the two.

        They share the network: what one has fitted is gone when the other fits.
        """
        other = copy.copy(self)
        other.tuning = replace(self.tuning, from_probe=not self.tuning.from_probe)
        return other

    def fit(
        self,
        rows: np.ndarray,
        labels: Sequence[str],
        *,
        epochs: int,
        seed: int = 0,
        on_epoch: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Tune the starting network on the faces ``rows`` and their labels, (k,) each.

        A head that starts as the linear probe is fitted on just these faces. 0 epochs leave the
        starting network; ``on_epoch`` is called with the number of epochs done, 0 first.
        `DataError` if there are not as many labels as faces, or none.

        The weights that it ends with, and that ``on_epoch`` finds, are the mean of those after
        every epoch (stochastic weight averaging: Izmailov et al. 2018, arXiv:1803.05407); with so
        few faces the last ones alone hang on the last batches.
        """
        if len(rows) != len(labels) or not len(rows):
            raise DataError(f"{len(rows)} faces and {len(labels)} labels: one a face, please")
        self._put(self.start)
        if self.tuning.from_probe:
            self.head.set_weights(head(self.features[rows], labels))
        rows, rng = np.asarray(rows), np.random.default_rng([self.seed, seed, 1])
        targets, most = np.eye(CLASSES)[codes(labels)], self.tuning.batch_size
        size = math.ceil(len(rows) / math.ceil(len(rows) / most))  # of equal batches
        size = min(size + -size % 4, most)  # of few sizes: each is compiled once
        mean = now = [ops.convert_to_numpy(variable) for variable in self.late.variables]
        on_epoch(0)
        for epoch in range(epochs):
            self._put(now)
            copy = self.answers[2 + epoch % self.tuning.copies]
            order = rng.permutation(len(rows))
            order = np.resize(order, len(order) + -len(order) % size)  # batches of one size
            for batch in order.reshape(-1, size):
                with enough_memory(size):
                    self.late.train_on_batch(copy[rows[batch]], targets[batch])
            now = [ops.convert_to_numpy(variable) for variable in self.late.variables]
            mean = [old + (new - old) / (epoch + 1) for old, new in zip(mean, now, strict=True)]
            self._put(mean)
            on_epoch(epoch + 1)

    def _put(self, weights: Sequence[np.ndarray]) -> None:
        for variable, value in zip(self.variables, weights, strict=False):
            variable.assign(value)

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return probabilities of the faces ``rows``, float32 (k, 7), mirror images averaged.

        Masked to the person's emotions and renormalised, as `mien.emotions.restrict` does.
        """
        answers = self.answers[:2, rows]
        flat = answers.reshape(-1, *answers.shape[2:])
        count = len(flat) + -len(flat) % 32  # of few sizes: each is compiled once
        logits = self.late.predict_on_batch(inference.padded(flat, count))
        shares = softmax(np.asarray(logits)[: len(flat)], axis=1).reshape(2, -1, CLASSES)
        return restrict(shares.mean(axis=0), self.emotions).astype(np.float32)

    def choose_epochs(
        self, rows: np.ndarray, labels: Sequence[str], clips: Sequence[str], *, seed: int = 0
    ) -> int:
        """Return the number of epochs with the lowest held-out log loss *inside* ``rows``.

        The k rows are split again into folds that keep their clips together.
        """

        def answer(learn, truth, _, check):
            said = []

            def note(_):
                said.append(self.predict(check))

            self.fit(learn, truth, epochs=self.tuning.epochs, seed=seed, on_epoch=note)
            return np.stack(said, axis=1), None

        n_splits = max(2, min(_INNER_FOLDS, len(set(clips))))
        folds = grouped_folds(labels, clips, n_splits=n_splits, seed=seed)
        (answers,), _ = out_of_fold(answer, np.asarray(rows), labels, clips, folds)
        losses = [log_loss(said, codes(labels)) for said in answers.swapaxes(0, 1)]
        return int(np.argmin(losses))

    def answer(
        self, learn: np.ndarray, labels: np.ndarray, clips: np.ndarray, test: np.ndarray
    ) -> tuple[np.ndarray, int]:
        """Return answers to the faces ``test`` after tuning on others, and the number of epochs.

        What `mien.evaluation.cross_validation.out_of_fold` asks where its rows are the places of
        the faces; what was asked before is not computed again. Probabilities are as of `predict`.
        """
        asked = (self.tuning.from_probe, *(tuple(each) for each in (learn, labels, clips, test)))
        if asked not in self.known:
            seed = int(np.min(test))
            epochs = self.choose_epochs(learn, labels, clips, seed=seed)
            self.fit(learn, labels, epochs=epochs, seed=seed)
            self.known[asked] = self.predict(test), epochs
        return self.known[asked]

    def fit_on(
        self, rows: np.ndarray, labels: Sequence[str], clips: Sequence[str]
    ) -> tuple[keras.Model, int]:
        """Return the network tuned on the faces ``rows``, and its number of epochs (chosen inside).

        It still answers all seven emotions; `mien.emotions.restrict` masks them to the person's.
        """
        epochs = self.choose_epochs(rows, labels, clips, seed=self.seed)
        self.fit(rows, labels, epochs=epochs, seed=self.seed)
        return self.network(), epochs

    def network(self) -> keras.Model:
        """Return the network as `fit` has left it, its head one layer again."""
        plain, parts = architecture.fuse(self.model), (self.head, self.change)
        weights = zip(*(part.get_weights() for part in parts), strict=True)
        plain.get_layer("logits").set_weights([start + change for start, change in weights])
        return plain
