"""The network: how it is built, folded into plain layers, described. Keras 3 on any backend."""

import functools
import itertools
import logging
import timeit
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from keras.initializers import GlorotUniform, HeNormal

from mien.emotions import EMOTIONS
from mien.errors import DataError

# Whatever somebody's keras.json says, the pictures here are (height, width, channels).
keras.config.set_image_data_format("channels_last")
keras.config.set_floatx("float32")
# TensorFlow warns in every page that many small networks are traced; they are, on purpose.
logging.getLogger("tensorflow").setLevel(logging.ERROR)
SIZE = 48  # width and height of a face, in pixels
CLASSES = len(EMOTIONS)


@keras.saving.register_keras_serializable(package="mien")
class StandardizedConv2D(layers.Layer):
    """A 3 x 3 convolution that keeps its signal in range by standardising its kernel.

    Every channel's kernel is used with mean 0 and such a variance that, after a ReLU, unit variance
    stays unit variance; a learned gain scales it. Batch normalisation would cost as much as the
    convolutions on a processor, and its answer to a face hangs on the other faces of the batch.
    Scaled weight standardisation: Brock, De and Smith 2021, arXiv:2101.08692; the standardised
    kernel: Qiao et al. 2019, arXiv:1903.10520.

    Parameters
    ----------
    filters : int
        Channels of the output.
    strides : int
        Padding is "same".
    gain : str
        Initialiser of the gain: "zeros" lets a residual block start as the identity.
    kernel_initializer : keras.initializers.Initializer or str
    """

    def __init__(
        self, filters, *, strides=1, gain="ones", kernel_initializer="he_normal", **options
    ):
        """See the class."""
        super().__init__(**options)
        self.filters, self.strides, self.gain_initializer = filters, strides, gain
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        """Create the kernel, the gain and the bias, all float32."""
        new = functools.partial(self.add_weight, dtype="float32", autocast=False)
        rows = 9 * input_shape[-1]  # a matrix: what Muon orthogonalises
        self.kernel = new((rows, self.filters), self.kernel_initializer, name="kernel")
        self.gain = new((self.filters,), self.gain_initializer, name="gain")
        self.bias = new((self.filters,), "zeros", name="bias")

    def standardized(self):
        """Return the kernel that is convolved with, float32 (3, 3, channels, filters)."""
        kernel = ops.convert_to_tensor(self.kernel)
        mean, variance = ops.moments(kernel, axes=0, keepdims=True)
        # the inverse standard deviation of a rectified standard normal (Brock et al., section 4.2)
        relu = float(np.sqrt(2 / (1 - 1 / np.pi)))
        scale = relu * self.gain * ops.rsqrt(kernel.shape[0] * variance + 1e-4)
        return ops.reshape((kernel - mean) * scale, (3, 3, -1, self.filters))

    def call(self, inputs):
        """Return the convolution of ``inputs``, (n, height, width, filters)."""
        kernel = ops.cast(self.standardized(), inputs.dtype)
        return ops.conv(inputs, kernel, self.strides, "same") + ops.cast(self.bias, inputs.dtype)

    def get_config(self):
        """Return what rebuilds the layer."""
        own = {"filters": self.filters, "strides": self.strides, "gain": self.gain_initializer}
        own["kernel_initializer"] = keras.initializers.serialize(self.kernel_initializer)
        return super().get_config() | own


@keras.saving.register_keras_serializable(package="mien")
class Cosines(keras.initializers.Initializer):
    """Kernels that see every spatial frequency equally well: cosines that whiten a face.

    The amplitudes of faces fall with the frequency, as those of natural images do (Field 1987,
    doi:10.1364/JOSAA.4.002379). The cosines of a window (Ahmed, Natarajan and Rao 1974,
    doi:10.1109/T-C.1974.223784), each times its frequency, are therefore close to the whitened
    principal components that Coates and Ng 2012 (doi:10.1007/978-3-642-35289-8_30) compute from
    data. Each comes with both signs, because a ReLU follows, the lowest frequencies first; kernels
    beyond those are random (He et al. 2015, arXiv:1502.01852).
    """

    def __init__(self, seed=0):
        """See the class."""
        self.seed = seed

    def __call__(self, shape, dtype=None):
        """Return kernels of shape (size, size, 1, filters)."""
        size, filters = shape[0], shape[-1]
        place = np.arange(size)
        waves = np.cos(np.pi * np.outer(place + 0.5, place) / size)  # (pixel, frequency)
        waves /= np.linalg.norm(waves, axis=0)
        frequency = np.hypot.outer(place, place)
        frequency[0, 0] = 0.5  # the mean
        # 1.25 lets faces of variance 1 leave the kernels as strong as random ones do
        planes = np.einsum("yu,xv->yxuv", waves, waves) * frequency * 1.25
        order = np.argsort(frequency, axis=None, kind="stable")
        planes = planes.reshape(size, size, 1, -1)[..., order]
        signed = np.stack([planes, -planes], axis=-1).reshape(size, size, 1, -1)[..., :filters]
        others = HeNormal(self.seed)(shape, dtype=dtype)[..., signed.shape[-1] :]
        return ops.concatenate([ops.convert_to_tensor(signed, others.dtype), others], axis=-1)

    def get_config(self):
        """Return what rebuilds the initialiser."""
        return {"seed": self.seed}


def build(
    *,
    stem: int = 64,
    stem_blocks: int = 0,
    stages: Sequence[tuple[int, int]] = ((128, 1), (256, 1)),
    dropout: float = 0.3,
    dtype: str = "float32",
    cosines: bool = True,
    standardized: bool = True,
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
        For every stage a convolution that halves the positions and then residual blocks (He et al.
        2016, arXiv:1512.03385). Multiples of 32 channels fit the processor's tiles.
    dropout : float
        Share of the pooled features that is left out at every step.
    dtype : str
        "float32", or "mixed_bfloat16" (weights and softmax stay float32); see `fast_dtype`.
    cosines : bool
        False starts the first convolution from random kernels.
    standardized : bool
        False builds plain convolutions: what `fuse` needs.
    seed : int
        Of the initial weights and of dropout.

    Returns
    -------
    keras.Model
        Functional; input float32 (n, 48, 48, 1) as `mien.data.images.prepare` makes it, output
        float32 (n, 7); its last layers are "pooled" (features), "logits" and "softmax".

    Examples
    --------
    >>> build(stem=8, stages=((8, 1),)).output_shape
    (None, 7)
    """
    seeds = itertools.count(1000 * seed)  # one for every kernel
    relu = functools.partial(layers.ReLU, dtype=dtype)

    def conv(channels, name, *, strides=1, gain="ones"):
        start = HeNormal(next(seeds))
        shared = {"strides": strides, "kernel_initializer": start, "dtype": dtype, "name": name}
        if standardized:
            return StandardizedConv2D(channels, gain=gain, **shared)
        return layers.Conv2D(channels, 3, padding="same", **shared)

    def residual(x, blocks, stage):  # every block starts as the identity
        for name in (f"{stage}_block{number}" for number in range(1, blocks + 1)):
            y = conv(x.shape[-1], f"{name}_conv1")(x)
            y = relu(name=f"{name}_relu1")(y)
            y = conv(x.shape[-1], f"{name}_conv2", gain="zeros")(y)
            x = layers.Add(dtype=dtype, name=f"{name}_add")([x, y])
            x = relu(name=f"{name}_relu2")(x)
        return x

    faces = keras.Input((SIZE, SIZE, 1), name="faces")
    start = (Cosines if cosines else HeNormal)(next(seeds))
    shared = {"strides": 2, "kernel_initializer": start, "dtype": dtype, "name": "stem"}
    x = layers.Conv2D(stem, 5, padding="same", **shared)(faces)
    x = residual(relu(name="stem_relu")(x), stem_blocks, "stem")
    for number, (channels, blocks) in enumerate(stages, start=1):
        stage = f"stage{number}"
        x = conv(channels, f"{stage}_halve", strides=2)(x)
        x = residual(relu(name=f"{stage}_halve_relu")(x), blocks, stage)
    x = layers.GlobalAveragePooling2D(dtype="float32", name="pooled")(x)
    x = layers.Dropout(dropout, seed=seed, dtype="float32", name="dropout")(x)
    start = GlorotUniform(next(seeds))
    x = layers.Dense(CLASSES, kernel_initializer=start, dtype="float32", name="logits")(x)
    probabilities = layers.Softmax(dtype="float32", name="softmax")(x)
    return keras.Model(faces, probabilities, name="mien")


def fuse(model: keras.Model, *, dtype: str | None = None) -> keras.Model:
    """Return the same function as plain layers: every standardised kernel as an ordinary one.

    ``model`` is not changed; ``dtype`` is as in `build`, the model's own where left out. Of a
    network that `build` has not made, a copy with the layers of our head.
    """
    arguments = shape(model)
    if not arguments:
        return _with_our_head(model)
    dtype = dtype or model.get_layer("stem").dtype_policy.name
    plain = build(**arguments, dtype=dtype, standardized=False)
    for layer in plain.layers:
        source = model.get_layer(layer.name)
        if isinstance(source, StandardizedConv2D):
            layer.set_weights([np.asarray(source.standardized()), np.asarray(source.bias)])
        else:
            layer.set_weights(source.get_weights())
    return plain


def shape(model: keras.Model) -> dict[str, Any]:
    """Return the arguments of `build` that give ``model``'s layers; none if it has not made it."""
    if model.name != "mien":
        return {}
    found = {layer.name: layer for layer in model.layers}

    def blocks(stage):
        return sum(name.startswith(f"{stage}_block") and name.endswith("_add") for name in found)

    stages = [name.removesuffix("_halve") for name in found if name.endswith("_halve")]
    return {
        "stem": found["stem"].filters,
        "stem_blocks": blocks("stem"),
        "stages": tuple((found[f"{stage}_halve"].filters, blocks(stage)) for stage in stages),
        "dropout": found["dropout"].rate,
    }


def check(model: Any, name: str = "the network") -> None:
    """Refuse, by a `DataError`, what does not turn faces of 48 x 48 pixels into seven emotions."""
    reads, answers = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    if (reads, answers) != ((None, SIZE, SIZE, 1), (None, CLASSES)):
        raise DataError(
            f"{name} reads {reads} and answers {answers}, not one probability for each of "
            f"{', '.join(EMOTIONS)} to grey faces of {SIZE} x {SIZE} pixels; train it with mien, "
            "or name another file"
        )


def made(network: Mapping[str, Any] | keras.Model, *, dtype: str = "float32", seed: int = 0):
    """Return an untrained network: from settings of `build`, or like one that is there.

    Of one that `build` has not made the layers are made anew, and ``dtype`` is its own. `DataError`
    if it does not turn faces into seven shares that sum to 1 (`check`).
    """
    if isinstance(network, Mapping):
        return build(**network, dtype=dtype, seed=seed)
    check(network)
    if settings := shape(network):
        return build(**settings, dtype=dtype, seed=seed)
    keras.utils.set_random_seed(seed)
    fresh = keras.models.clone_model(network)
    shares = fresh.predict_on_batch(np.zeros((1, SIZE, SIZE, 1), np.float32))
    if not np.isclose(np.sum(shares), 1, atol=0.01):
        raise DataError(
            "the network's answers do not sum to 1: end it with "
            f'layers.Dense({CLASSES}, activation="softmax")'
        )
    return fresh


def _with_our_head(model: keras.Model) -> keras.Model:
    """Return a copy of a network that `build` has not made, with the layers of our head."""
    check(model)
    has_it = "logits" in [layer.name for layer in model.layers]

    def copied(layer):
        name = layer.name if has_it else f"crowd_{layer.name}"
        return layer.from_config(layer.get_config() | {"name": name})

    copy = keras.models.clone_model(model, clone_function=copied)
    copy.set_weights(model.get_weights())
    if has_it:
        return copy
    last = next((layer for layer in reversed(copy.layers) if layer.get_weights()), None)
    if isinstance(last, layers.Dense) and last.units == CLASSES:
        seen, (kernel, *bias) = last.input, last.get_weights()
    else:
        seen, kernel, bias = ops.log(ops.maximum(copy.outputs[0], 1e-7)), np.eye(CLASSES), []
    x = layers.Dropout(0.0, name="dropout")(layers.Flatten(name="pooled")(seen))
    logits = layers.Dense(CLASSES, name="logits")
    probabilities = layers.Softmax(name="softmax")(logits(x))
    logits.set_weights([kernel, *(bias or [np.zeros(CLASSES)])])
    return keras.Model(copy.inputs[0], probabilities)


@functools.cache
def fast_dtype() -> str:
    """Return the precision in which this machine convolves faster, by trying both (under 1 s).

    "mixed_bfloat16" where it saves a fifth of the time (GPUs, processors with AMX or AVX-512's
    bfloat16), else "float32". They take turns: the longer a process computes, the faster it gets.
    """

    def convolution(dtype):
        layer = layers.Conv2D(64, 3, padding="same", dtype=dtype)
        images = ops.cast(np.ones((64, 12, 12, 64), np.float32), dtype)
        return lambda: ops.convert_to_numpy(ops.cast(layer(images)[0, 0, 0], "float32"))

    ways = [convolution(dtype) for dtype in ("bfloat16", "float32")]
    turns = [[timeit.timeit(way, number=1) for way in ways] for _ in range(30)]
    half, single = np.median(turns, axis=0)
    return "mixed_bfloat16" if half < 0.8 * single else "float32"
