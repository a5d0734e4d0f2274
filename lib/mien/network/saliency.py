"""Where the network looks: Grad-CAM, occlusion, and their sanity check."""

from collections.abc import Sequence

import keras
import numpy as np
import pandas as pd
from keras import ops
from PIL import Image
from scipy.stats import spearmanr

from mien.data.images import prepare
from mien.errors import DataError
from mien.network import architecture, inference
from mien.network.architecture import CLASSES, SIZE

#: Positions along one side of the stage that Grad-CAM reads.
SIDE = 12
_BATCH = 64


def explains(model: keras.Model) -> bool:
    """Return whether Grad-CAM can read a network: it needs a convolution with 12 x 12 positions."""
    return _halves(model) is not None


def attention(model: keras.Model, images: np.ndarray, codes: Sequence[int]) -> np.ndarray:
    """Return where each face speaks for a class: Grad-CAM, float32 (n, 48, 48).

    0..1: the highest place of every face is 1, or all is 0 where nothing speaks for the class. The
    activations of a stage are weighted by the mean gradient of the class's logit, summed over
    channels, and cut off below zero (Selvaraju et al. 2017, arXiv:1610.02391). The stage is the
    last one with at least 12 x 12 positions: coarser ones cannot tell eyes from brows. Of a network
    that has none (`explains`), the falls of `occlusion`.

    Of any network of mien's, which is not changed; ``images`` are uint8 (n, 48, 48), ``codes`` (n,)
    the class to explain for every face, 0..6. `DataError` if they do not fit each other.
    """
    _check(images, codes)
    codes, halves = np.asarray(codes), _halves(model)
    if halves is None:
        falls = np.maximum(occlusion(model, images, codes), 0)
        return falls / np.maximum(falls.max(axis=(1, 2), keepdims=True), 1e-12)
    early, probe = halves[0], _Probe(halves[1])
    maps = np.zeros((len(images), SIZE, SIZE), np.float32)
    for start in range(0, len(images), _BATCH):
        part = slice(start, start + _BATCH)
        faces = prepare(inference.padded(images[part], _BATCH))
        seen = np.asarray(early.predict_on_batch(faces))
        wanted = np.eye(CLASSES, dtype=np.float32)[inference.padded(codes[part], _BATCH)]
        weights = probe.gradient(seen, wanted).mean(axis=(1, 2), keepdims=True)
        heat = np.maximum((weights * seen).sum(axis=-1), 0)[: len(images[part])]
        heat = heat / np.maximum(heat.max(axis=(1, 2), keepdims=True), 1e-12)
        for place, face in enumerate(heat, start):
            maps[place] = Image.fromarray(face).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return maps


def occlusion(
    model: keras.Model, images: np.ndarray, codes: Sequence[int], *, patch: int = 12, step: int = 4
) -> np.ndarray:
    """Return how much the probability of a class falls when a place is covered.

    A square of the face's mean grey, ``patch`` pixels wide, is moved over it by ``step`` pixels;
    the fall at a pixel is the mean over the squares that cover it, negative where covering helps
    the class (Zeiler and Fergus 2014, arXiv:1311.2901). Float32 (n, 48, 48); other arguments as in
    `attention`.
    """
    _check(images, codes)
    codes, rows = np.asarray(codes), np.arange(len(images))
    grey = images.mean(axis=(1, 2), keepdims=True).astype(np.uint8)
    whole = inference.predict(model, images, mirror=False)[rows, codes]
    fall, covered = np.zeros(images.shape, np.float32), np.zeros((SIZE, SIZE), np.float32)
    for top in range(0, SIZE - patch + 1, step):
        for left in range(0, SIZE - patch + 1, step):
            place = (slice(top, top + patch), slice(left, left + patch))
            hidden = images.copy()
            hidden[:, *place] = grey
            answers = inference.predict(model, hidden, mirror=False)[rows, codes]
            fall[:, *place] += (whole - answers)[:, None, None]
            covered[place] += 1
    return fall / np.maximum(covered, 1)


def sanity_check(
    model: keras.Model, images: np.ndarray, codes: Sequence[int], *, seed: int = 0
) -> pd.DataFrame:
    """Return how alike Grad-CAM stays when the network forgets, from the head downwards.

    A map that stays the same when the weights are drawn anew only shows edges of the picture
    (Adebayo et al. 2018, arXiv:1810.03292). One row for every stage that was randomised, all above
    it included: ``randomised`` (name), ``correlation`` (Spearman's, mean over the faces whose maps
    are not flat).
    """
    trained = attention(model, images, codes)
    forgetful = architecture.fuse(model, dtype="float32")
    if shape := architecture.shape(forgetful):
        random = architecture.build(**shape, cosines=False, standardized=False, seed=seed)
    else:
        random = architecture.made(forgetful, seed=seed)
    names = [layer.name for layer in forgetful.layers if layer.get_weights()]
    stage_of = {name: name.partition("_")[0] if shape else name for name in names}
    rows = []
    for stage in dict.fromkeys(reversed(stage_of.values())):
        for name in names:
            if stage_of[name] == stage:
                forgetful.get_layer(name).set_weights(random.get_layer(name).get_weights())
        maps = attention(forgetful, images, codes)
        pairs = [(a, b) for a, b in zip(trained, maps, strict=True) if a.any() and b.any()]
        alike = [spearmanr(a, b, axis=None).statistic for a, b in pairs]
        rows.append({"randomised": stage, "correlation": float(np.mean(alike)) if alike else 0.0})
    return pd.DataFrame(rows)


class _Probe(keras.Model):
    """The later half of a network, with an offset to the activations: all that learns in it."""

    def __init__(self, late: keras.Model):
        super().__init__(name="probe")
        late.trainable = False
        self.late = late
        self.offset = self.add_weight(shape=(_BATCH, *late.input_shape[1:]), initializer="zeros")
        self.compile(keras.optimizers.SGD(1.0))

    def call(self, seen):
        return self.late(seen + self.offset)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return -ops.sum(y * y_pred)

    def gradient(self, seen: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Return the gradient of the wanted logits: one step of descent at rate 1 from zero."""
        self.offset.assign(ops.zeros_like(self.offset))
        self.train_on_batch(seen, wanted)
        return ops.convert_to_numpy(self.offset)


def _halves(model: keras.Model) -> tuple[keras.Model, keras.Model] | None:
    """Return a copy up to the stage that is looked at, and from there to the logits, if it can."""
    plain = architecture.fuse(model, dtype="float32")
    learned = [place for place, layer in enumerate(plain.layers) if layer.get_weights()]
    outputs = [layer.output for layer in plain.layers[min(learned) :]]
    fine = [each for each in outputs if len(each.shape) == 4 and each.shape[1] >= SIDE]
    if not fine:
        return None
    for layer in plain.layers:
        if hasattr(layer, "rate"):  # of a dropout
            layer.rate = 0.0
    try:
        late = keras.Model(fine[-1], plain.get_layer("logits").output)
    except ValueError:  # some later layer reads an earlier one, too
        return None
    return keras.Model(plain.input, fine[-1]), late


def _check(images, codes) -> None:
    if len(images) != len(codes):
        raise DataError(f"{len(images)} faces and {len(codes)} classes: one class a face, please")
