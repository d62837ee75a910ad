"""The parts that every segmentation network begins and ends with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.errors import ModelError
from landslide_tf.layers import (
    Conv2D,
    CropTo,
    EncodeFactors,
    FactorKind,
    Normalization,
    Normalize,
    PadToStride,
    Resize2D,
)
from landslide_tf.models.backbones.files import UNREADABLE, load_strictly, one_line

ACTIVATIONS = ("softmax", "sigmoid", None)


def image_input(input_shape: Shape) -> Tensor:
    """Makes the input named `image`.

    Args:
        input_shape: (height, width, bands); height and width may be None.

    Returns:
        Symbolic float32 tensor (batch, height, width, bands) of raw values.

    Raises:
        ModelError: If the shape has not three entries or no number of bands.
    """
    shape = tuple(input_shape)
    sizes = [v for v in shape if v is not None]
    if len(shape) != 3 or shape[2] is None or not all(int(v) == v > 0 for v in sizes):
        raise ModelError(
            "`input_shape` must be (height, width, bands), height and width may be "
            f"None, received {input_shape!r}."
        )
    return keras.Input(shape, name="image", dtype="float32")


def factors_input(input_shape: Shape, factors: Sequence[FactorKind]) -> Tensor:
    """Makes the input named `factors`.

    Args:
        input_shape: Shape of the image, whose height and width it shares.
        factors: Kind of each channel, as in `layers.EncodeFactors`.

    Returns:
        Symbolic float32 tensor (batch, height, width, factors) in raw units.
    """
    shape = (*tuple(input_shape)[:2], len(factors))
    return keras.Input(shape, name="factors", dtype="float32")


def prepared_image(image: Tensor, stride: int, normalization: Normalization) -> Tensor:
    """Pads an image to a multiple of the stride and normalises it, in float32."""
    x = PadToStride(stride, dtype="float32", name="image_pad")(image)
    return Normalize(normalization, name="image_normalize")(x)


def prepared_factors(
    factors: Tensor, stride: int, kinds: Sequence[FactorKind], encoding: str
) -> Tensor:
    """Pads factors to a multiple of the stride and encodes them, in float32."""
    x = PadToStride(stride, dtype="float32", name="factors_pad")(factors)
    return EncodeFactors(kinds, encoding, name="factors_encode")(x)


def effective_normalization(
    normalization: Normalization, backbone_weights: str | Path | None
) -> Normalization:
    """Returns the form of `"imagenet"` that pretrained weights expect.

    The ImageNet weights of `keras.applications` were trained with Caffe's form;
    without them the common form (x / 255 - mean) / std is used.
    """
    if normalization == "imagenet" and backbone_weights is not None:
        return "caffe"
    return normalization


@dataclass(frozen=True)
class Head:
    """What a network scores at its end.

    Args:
        num_classes: Classes, >= 1.
        activation: `"softmax"`, `"sigmoid"` or None for logits.
        dropout: Dropout rate before the classifier.

    Raises:
        ModelError: If the number of classes and the activation do not go together.
    """

    num_classes: int
    activation: str | None
    dropout: float

    def __post_init__(self) -> None:
        if not isinstance(self.num_classes, int) or self.num_classes < 1:
            raise ModelError(
                f"`num_classes` must be an integer >= 1, received {self.num_classes!r}."
            )
        if self.activation not in ACTIVATIONS:
            raise ModelError(
                f"`classifier_activation` must be one of {ACTIVATIONS}, received "
                f"{self.activation!r}."
            )
        if self.activation == "softmax" and self.num_classes == 1:
            raise ModelError(
                "`classifier_activation='softmax'` needs at least 2 classes (of one it "
                "is always 1), received 1: use 'sigmoid'."
            )


def dropped(x: Tensor, rate: float, name: str) -> Tensor:
    """Applies dropout; also for a rate of 0, as weight files go by layer order."""
    if not 0 <= rate < 1:
        raise ModelError(f"A dropout rate must be in [0, 1), received {rate!r}.")
    return keras.layers.Dropout(rate, name=name)(x)


def class_scores(
    x: Tensor, num_classes: int, name: str = "logits_conv", *, kernel_size: int = 1
) -> Tensor:
    """Scores each class by a convolution, in float32 under every policy."""
    return Conv2D(
        num_classes,
        kernel_size,
        padding="same",
        kernel_initializer="glorot_uniform",
        dtype="float32",
        name=name,
    )(x)


def enlarged(scores: Tensor, like: Tensor, align_corners: bool) -> Tensor:
    """Resizes class scores to the padded image, in float32."""
    return Resize2D(align_corners=align_corners, dtype="float32", name="logits_resize")(
        scores, like
    )


def cropped_output(
    scores: Tensor, image: Tensor, classifier_activation: str | None
) -> Tensor:
    """Crops class scores to the image and applies the activation.

    Args:
        scores: Tensor (batch, padded height, padded width, classes).
        image: The `image` input.
        classifier_activation: `"softmax"`, `"sigmoid"` or None.

    Returns:
        Float32 tensor (batch, height, width, classes) of a layer named
        `probabilities`, or `logits` without an activation.
    """
    logits = CropTo(dtype="float32", name="logits")(scores, image)
    if classifier_activation is None:
        return logits
    return keras.layers.Activation(
        classifier_activation, dtype="float32", name="probabilities"
    )(logits)


def load_whole_weights(model: keras.Model, weights: str | Path | None) -> None:
    """Loads the weights of a whole network from a file.

    Args:
        model: The network.
        weights: Path of a `.weights.h5` or `.keras` file, or None.

    Raises:
        ModelError: If the file is missing or does not fit the network.
    """
    if weights is None:
        return
    path = Path(weights)
    if not path.name.endswith((".weights.h5", ".keras")):
        raise ModelError(
            "`weights` must be None or the path of a `.weights.h5` or `.keras` file, "
            f"received `{weights}`."
        )
    if not path.is_file():
        raise ModelError(f"`weights` must be an existing file, received `{weights}`.")
    try:
        load_strictly(model, path)
    except UNREADABLE as error:
        raise ModelError(
            f"`weights` must fit `{model.name}` as it was built here, received "
            f"`{weights}`: {one_line(error)}. Build it with the arguments that the "
            "file was trained with."
        ) from error


def total_stride(model: keras.Model) -> int:
    """Returns by how much a network's deepest features are smaller than its image.

    Shifting an image by a multiple of it shifts the features alike: tiles of a scene
    start at multiples of it.

    Args:
        model: A network of this package.

    Returns:
        The multiple that the network pads height and width to; of one that does not
        pad, the product of the strides on the way to its smallest features.
    """
    padded = [v.stride for v in model.layers if isinstance(v, PadToStride)]
    if max(padded, default=1) > 1:
        return max(padded)
    scales: dict[int, int] = {}
    for layer in model.layers:  # from the inputs on
        inputs = keras.tree.flatten(layer.input)
        # A resized tensor takes the size of the second one.
        like = inputs[-1 if isinstance(layer, Resize2D) else 0] if inputs else None
        scale = scales.get(id(like), 1)
        if not isinstance(layer, keras.layers.Conv2DTranspose):
            scale *= max(getattr(layer, "strides", (1,)))
        for output in keras.tree.flatten(layer.output):
            scales[id(output)] = scale
    return max(scales.values(), default=1)
