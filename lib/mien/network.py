"""The network: how it is built, and what it answers. Keras 3 on any backend.

Small and convolutional, with its cost planned for a processor: the first convolution halves the
48 x 48 face, and the residual stages work on 24 x 24, 12 x 12 and 6 x 6 positions.
"""

import functools
import itertools
import logging
import time
from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import layers, ops
from keras.initializers import GlorotUniform, HeNormal

from mien.backend import enough_memory
from mien.emotions import EMOTIONS
from mien.errors import DataError

# TensorFlow warns in every page that many small networks are traced; they are, on purpose.
logging.getLogger("tensorflow").setLevel(logging.ERROR)

SIZE = 48  # width and height of a face, in pixels
CLASSES = len(EMOTIONS)


@keras.saving.register_keras_serializable(package="mien")
class NormConv2D(layers.Conv2D):
    """A convolution with its batch normalisation folded into the kernel.

    While training, mean and variance of the output come from the first ``sample`` faces of the
    (shuffled) batch; their outputs and the kernel for the other faces are scaled by them, so that
    every face is convolved once. Batch normalisation over all the batch costs several passes over
    every activation, which on a processor is more than the convolutions themselves.

    Batch normalisation: Ioffe and Szegedy 2015, arXiv:1502.03167. Statistics from a few faces of
    the batch: Chen et al. 2018, arXiv:1810.12102.

    Parameters
    ----------
    filters, kernel_size, strides, ...
        As in ``keras.layers.Conv2D``; padding is "same" and there is no separate bias.
    sample : int
        Number of faces whose statistics normalise the batch.
    momentum : float
        Of the moving mean and variance that are used outside of training.
    gamma : str
        Initialiser of the scale: "zeros" lets a residual block start as the identity.
    """

    def __init__(self, filters, kernel_size, *, sample=16, momentum=0.9, gamma="ones", **options):
        """See the class."""
        options |= {"padding": "same", "use_bias": False}
        super().__init__(filters, kernel_size, **options)
        self.sample, self.momentum, self.gamma_initializer = sample, momentum, gamma
        self.epsilon = 1e-3

    def build(self, input_shape):
        """Create the kernel, the scale and shift, and the moving statistics."""
        super().build(input_shape)
        new = functools.partial(self.add_weight, shape=(self.filters,), dtype="float32")
        self.gamma = new(name="gamma", initializer=self.gamma_initializer, autocast=False)
        self.beta = new(name="beta", initializer="zeros", autocast=False)
        still = functools.partial(new, trainable=False, autocast=False)
        self.moving_mean = still(name="moving_mean", initializer="zeros")
        self.moving_variance = still(name="moving_variance", initializer="ones")

    def call(self, inputs, training=False):
        """Return the normalised convolution of ``inputs``."""
        if not training:
            kernel, _, shift = self._folded(self.moving_mean, self.moving_variance, inputs.dtype)
            return ops.conv(inputs, kernel, self.strides, "same") + shift
        few, others = self._parted(inputs)
        outputs = ops.conv(few, self.kernel, self.strides, "same")
        kernel, scale, shift = self._folded(*self._statistics(outputs), inputs.dtype)
        outputs *= ops.cast(scale, inputs.dtype)
        if others is not None:
            others = ops.conv(others, kernel, self.strides, "same")
            outputs = ops.concatenate([outputs, others])
        return outputs + shift

    def _parted(self, inputs):
        """The faces that give the statistics, and the others: None where there are none."""
        count = inputs.shape[0]
        if count is None:
            return inputs[: self.sample], inputs[self.sample :]
        if count <= self.sample:
            return inputs, None
        return ops.split(inputs, [self.sample])  # its gradient copies, that of slices adds

    def _folded(self, mean, variance, dtype):
        """The scaled kernel, the scale and the shift of an output with these statistics."""
        scale = self.gamma * ops.rsqrt(variance + self.epsilon)
        kernel = ops.cast(ops.cast(self.kernel, "float32") * scale, dtype)
        return kernel, scale, ops.cast(self.beta - mean * scale, dtype)

    def _statistics(self, outputs):
        mean, variance = ops.moments(ops.cast(outputs, "float32"), axes=(0, 1, 2))
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + ops.stop_gradient(now) * (1 - self.momentum))
        return mean, variance

    def save_own_variables(self, store):
        """Write every variable; Keras' convolution would write the kernel only."""
        for number, variable in enumerate(self.weights):
            store[str(number)] = variable

    def load_own_variables(self, store):
        """Read what `save_own_variables` wrote."""
        for number, variable in enumerate(self.weights):
            variable.assign(store[str(number)])

    def get_config(self):
        """Return what rebuilds the layer."""
        own = {"sample": self.sample, "momentum": self.momentum, "gamma": self.gamma_initializer}
        return super().get_config() | own


def build(
    *,
    stem: int = 64,
    stem_blocks: int = 0,
    stages: Sequence[tuple[int, int]] = ((128, 1), (256, 1)),
    dropout: float = 0.3,
    dtype: str = "float32",
    normalised: bool = True,
    seed: int = 0,
) -> keras.Model:
    """Return an untrained network: face in, probabilities of the seven emotions out.

    Parameters
    ----------
    stem : int
        Channels of the first convolution (5 x 5, stride 2, 24 x 24 positions).
    stem_blocks : int
        Residual blocks on those positions.
    stages : sequence of (channels, blocks)
        For every stage a convolution that halves the positions and then residual blocks
        (He et al. 2016, arXiv:1512.03385). Multiples of 32 channels fit the processor's tiles.
    dropout : float
        Share of the pooled features that is left out at every step.
    dtype : str
        "float32", or "mixed_bfloat16" (weights and softmax stay float32); see `fast_dtype`.
    normalised : bool
        False builds plain convolutions with bias: what `fold` needs.
    seed : int
        Of the initial weights and of dropout.

    Returns
    -------
    keras.Model
        Functional; input float32 (n, 48, 48, 1) as `prepare` makes it, output float32 (n, 7).
        Layers "pooled" (features), "logits" and "softmax" have fixed names.

    Examples
    --------
    >>> build(stem=8, stages=((8, 1),)).output_shape
    (None, 7)
    """
    seeds = itertools.count(1000 * seed)  # one for every kernel
    conv = functools.partial(_convolution, seeds=seeds, dtype=dtype, normalised=normalised)
    relu = functools.partial(layers.ReLU, dtype=dtype)
    faces = keras.Input((SIZE, SIZE, 1), name="faces")
    first = {"kernel_initializer": HeNormal(next(seeds)), "dtype": dtype, "name": "stem"}
    x = layers.Conv2D(stem, 5, strides=2, padding="same", **first)(faces)
    x = relu(name="stem_relu")(x)
    x = _residual(x, stem_blocks, "stem", conv, relu)
    for number, (channels, blocks) in enumerate(stages, start=1):
        stage = f"stage{number}"
        x = conv(channels, strides=2, name=f"{stage}_halve")(x)
        x = relu(name=f"{stage}_halve_relu")(x)
        x = _residual(x, blocks, stage, conv, relu)
    x = layers.GlobalAveragePooling2D(dtype="float32", name="pooled")(x)
    x = layers.Dropout(dropout, seed=seed, dtype="float32", name="dropout")(x)
    head = {"kernel_initializer": GlorotUniform(next(seeds)), "dtype": "float32"}
    x = layers.Dense(CLASSES, name="logits", **head)(x)
    probabilities = layers.Softmax(dtype="float32", name="softmax")(x)
    return keras.Model(faces, probabilities, name="mien")


def _residual(x, blocks, stage, conv, relu):
    """Return ``x`` after residual blocks that start as the identity."""
    for block in range(1, blocks + 1):
        name = f"{stage}_block{block}"
        y = relu(name=f"{name}_relu1")(conv(x.shape[-1], name=f"{name}_conv1")(x))
        y = conv(x.shape[-1], gamma="zeros", name=f"{name}_conv2")(y)
        x = layers.Add(dtype=relu.keywords["dtype"], name=f"{name}_add")([x, y])
        x = relu(name=f"{name}_relu2")(x)
    return x


def _convolution(channels, *, strides=1, gamma="ones", seeds, dtype, normalised, name):
    options = {"strides": strides, "dtype": dtype, "name": name}
    options["kernel_initializer"] = HeNormal(next(seeds))
    if normalised:
        return NormConv2D(channels, 3, gamma=gamma, **options)
    return layers.Conv2D(channels, 3, padding="same", **options)


def fold(model: keras.Model, *, dtype: str | None = None) -> keras.Model:
    """Return the same function as plain layers: every normalisation merged into its kernel.

    The result holds standard Keras layers only, predicts faster, and is what fine-tuning starts
    from: batch normalisation stays in inference mode, because it is gone.

    Parameters
    ----------
    model : keras.Model
        From `build`; not changed.
    dtype : str, optional
        As in `build`; the model's own where left out.

    Raises
    ------
    DataError
        If ``model`` was not made by `build`.
    """
    arguments = shape(model)
    dtype = dtype or model.get_layer("stem").dtype_policy.name
    plain = build(**arguments, dtype=dtype, normalised=False)
    for layer in plain.layers:
        source = model.get_layer(layer.name)
        if isinstance(source, NormConv2D):
            kernel, gamma, beta, mean, variance = source.get_weights()
            scale = gamma / np.sqrt(variance + source.epsilon)
            layer.set_weights([kernel * scale, beta - mean * scale])
        elif layer.get_weights():
            layer.set_weights(source.get_weights())
    return plain


def shape(model: keras.Model) -> dict:
    """Return the arguments of `build` that give ``model``'s layers.

    Raises
    ------
    DataError
        If ``model`` was not made by `build`.
    """
    names = {layer.name: layer for layer in model.layers}

    def blocks(stage):
        return sum(name.startswith(f"{stage}_block") and name.endswith("_add") for name in names)

    try:
        halvings = [name for name in names if name.endswith("_halve")]
        stages = [(names[name].filters, blocks(name.removesuffix("_halve"))) for name in halvings]
        return {
            "stem": names["stem"].filters,
            "stem_blocks": blocks("stem"),
            "stages": tuple(stages),
            "dropout": names["dropout"].rate,
        }
    except (KeyError, AttributeError) as problem:
        raise DataError(f"the network is not one of mien.cnn.build: no {problem}") from None


def stage_ends(model: keras.Model) -> list:
    """Return the tensors that leave the stem and every stage, in order."""
    names = [layer.name for layer in model.layers]
    nexts = [name for name in names if name.endswith("_halve")] + ["pooled"]
    return [model.layers[names.index(name) - 1].output for name in nexts]


def describe(model: keras.Model) -> dict[str, float]:
    """Return the number of ``parameters`` and the ``megabytes`` they take in half precision."""
    parameters = model.count_params()
    return {"parameters": parameters, "megabytes": round(2 * parameters / 1e6, 2)}


@functools.cache
def fast_dtype() -> str:
    """Return the precision in which this machine convolves faster, by trying both (under 1 s).

    "mixed_bfloat16" where it saves at least a fifth of the time (processors with AMX, GPUs),
    "float32" elsewhere.
    """
    half, full = _convolving("bfloat16"), _convolving("float32")
    seconds = [(half(), full()) for _ in range(20)]  # by turns: other work disturbs both alike
    fastest = np.min(seconds[1:], axis=0)  # the first one warms up
    return "mixed_bfloat16" if fastest[0] < 0.8 * fastest[1] else "float32"


def _convolving(dtype: str) -> Callable[[], float]:
    """Return a function that convolves once in a precision and returns the seconds it took."""
    layer = layers.Conv2D(64, 3, padding="same", dtype=dtype)
    images = ops.cast(np.ones((64, 12, 12, 64), np.float32), dtype)

    def seconds():
        start = time.perf_counter()
        ops.convert_to_numpy(ops.cast(layer(images)[0, 0, 0], "float32"))
        return time.perf_counter() - start

    return seconds


def prepare(images: np.ndarray) -> np.ndarray:
    """Return what the network sees: every face with mean 0 and standard deviation 1.

    Parameters
    ----------
    images : ndarray of uint8, (n, height, width)

    Returns
    -------
    ndarray of float32, (n, height, width, 1)
        A face of one constant grey becomes zeros.
    """
    pixels = images.astype(np.float32)
    pixels -= pixels.mean(axis=(1, 2), keepdims=True)
    pixels /= np.maximum(pixels.std(axis=(1, 2), keepdims=True), 1.0)
    return pixels[..., None]


def predict(
    model: keras.Model, images: np.ndarray, *, mirror: bool = True, batch_size: int = 256
) -> np.ndarray:
    """Return the probabilities of the seven emotions.

    Parameters
    ----------
    images : ndarray of uint8, (n, 48, 48)
    mirror : bool
        Average the answers to the face and to its mirror image.

    Returns
    -------
    ndarray of float32, (n, 7)
        Columns in the order of ``EMOTIONS``; rows sum to 1.
    """
    answers = _answers(model, images, batch_size)
    if mirror:
        answers = (answers + _answers(model, np.asarray(images)[:, :, ::-1], batch_size)) / 2
    return answers


def embed(
    model: keras.Model, images: np.ndarray, *, mirror: bool = True, batch_size: int = 256
) -> np.ndarray:
    """Return the pooled features under the head, float32 (n, d), averaged over the mirror image."""
    return predict(
        keras.Model(model.input, model.get_layer("pooled").output),
        images,
        mirror=mirror,
        batch_size=batch_size,
    )


def _answers(model, images, batch_size) -> np.ndarray:
    """Run the network over padded batches of one size, so that it is compiled once."""
    images = np.asarray(images)
    if images.ndim != 3 or images.shape[1:] != (SIZE, SIZE) or images.dtype != np.uint8:
        raise DataError(
            f"the network reads uint8 faces of shape (n, {SIZE}, {SIZE}), "
            f"not {images.dtype} {images.shape}"
        )
    size = min(batch_size, max(32, len(images)))
    answers = [np.zeros((0, *model.output_shape[1:]), np.float32)]
    for start in range(0, len(images), size):
        faces = prepare(images[start : start + size])
        full = np.pad(faces, ((0, size - len(faces)), (0, 0), (0, 0), (0, 0)))
        with enough_memory(size):
            answers.append(np.asarray(model.predict_on_batch(full))[: len(faces)])
    return np.concatenate(answers)
