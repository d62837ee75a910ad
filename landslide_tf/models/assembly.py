"""The parts that every segmentation network begins and ends with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path

import keras

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.errors import ModelError, check_choice, did_you_mean
from landslide_tf.layers import (
    Conv2D,
    CropTo,
    EncodeFactors,
    FactorKind,
    Factors,
    Normalization,
    Normalize,
    PadToStride,
    Resize2D,
    SelectChannels,
)
from landslide_tf.layers.image_model import ImageModel
from landslide_tf.models.backbones import Stem
from landslide_tf.models.backbones.pretrained import (
    check_backbone_weights,
    effective_normalization,
    load_backbone_weights,
)
from landslide_tf.models.layer_groups import layers_of
from landslide_tf.models.shipped import list_weights
from landslide_tf.models.weight_files import UNREADABLE, load_strictly, one_line

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
    shape = tuple(input_shape) if isinstance(input_shape, Iterable) else ()
    sizes = [v for v in shape if v is not None]
    whole = all(isinstance(v, Integral) and v > 0 for v in sizes)
    if len(shape) != 3 or shape[2] is None or not whole:
        raise ModelError(
            "`input_shape` must be (height, width, bands), height and width may be "
            f"None, received {input_shape!r}."
        )
    return keras.Input(_of_keras(shape), name="image", dtype="float32")


def _of_keras(shape: Iterable[int | None]) -> Shape:
    """Returns a shape without the numbers of NumPy, which Keras does not write."""
    return tuple(None if size is None else int(size) for size in shape)


def factor_branches(factors: Factors) -> dict[str, Sequence[FactorKind]]:
    """Returns the kinds of the factors of each branch by the start of its layer names.

    Args:
        factors: Kinds, for one branch, or kinds by the name of a branch. The branches
            take the channels of the input in their order.

    Returns:
        Kinds by `"fac"` for a single branch, else by `"fac_<name>"`.

    Raises:
        ModelError: If there is no branch, or a name is not made of letters, digits
            and `_`.
    """
    if not isinstance(factors, Mapping):
        return {"fac": factors}
    names = list(factors)
    if not names or not all(re.fullmatch(r"\w+", str(name)) for name in names):
        raise ModelError(
            "`factors` by branch must have names of letters, digits and `_`, received "
            f"{names}."
        )
    if len(names) == 1:
        return {"fac": factors[names[0]]}
    return {f"fac_{name}": kinds for name, kinds in factors.items()}


def factors_input(input_shape: Shape, factors: Factors) -> Tensor:
    """Makes the input named `factors`.

    Args:
        input_shape: Shape of the image, whose height and width it shares.
        factors: As in `factor_branches`.

    Returns:
        Symbolic float32 tensor (batch, height, width, factors) in raw units.
    """
    count = sum(len(kinds) for kinds in factor_branches(factors).values())
    shape = (*tuple(input_shape)[:2], count)
    return keras.Input(_of_keras(shape), name="factors", dtype="float32")


def prepared_image(image: Tensor, stride: int, normalization: Normalization) -> Tensor:
    """Pads an image to a multiple of the stride and normalises it, in float32."""
    x = PadToStride(stride, dtype="float32", name="image_pad")(image)
    return Normalize(normalization, name="image_normalize")(x)


def pretrained_image(
    image: Tensor,
    stride: int,
    normalization: Normalization,
    *,
    backbone: str,
    backbone_weights: str | Path | None,
    width: float,
    fits: bool,
    needs: str,
    stem: Stem | None,
) -> Tensor:
    """Pads and normalises an image, once the encoder fits its pretrained weights.

    Args:
        image: The `image` input.
        stride: What height and width become multiples of.
        normalization: The builder's argument.
        backbone: As in `check_backbone_weights`, as are all that follow.
        backbone_weights: Weights of the encoder, or None.
        width: Width multiplier.
        fits: Whether the encoder has the layers of `keras.applications`.
        needs: The argument that makes it fit.
        stem: How the weights serve other bands.

    Returns:
        float32 (batch, padded height, padded width, bands).

    Raises:
        ModelError: As `check_backbone_weights`.
    """
    check_backbone_weights(
        backbone_weights,
        backbone=backbone,
        width=width,
        bands=image.shape[-1],
        fits=fits,
        needs=needs,
        stem=stem,
        normalization=normalization,
    )
    form = effective_normalization(normalization, backbone, backbone_weights)
    return prepared_image(image, stride, form)


def prepared_factors(
    factors: Tensor, stride: int, kinds: Factors, encoding: str
) -> dict[str, Tensor]:
    """Pads factors to a multiple of the stride and encodes them, in float32.

    Args:
        factors: The `factors` input.
        stride: What height and width become multiples of.
        kinds: As in `factor_branches`.
        encoding: As in `layers.EncodeFactors`.

    Returns:
        The encoded factors of each branch, by the keys of `factor_branches`.
    """
    x = PadToStride(stride, dtype="float32", name="factors_pad")(factors)
    branches = factor_branches(kinds)
    encoded, start = {}, 0
    for branch, own in branches.items():
        if len(branches) == 1:
            return {branch: EncodeFactors(own, encoding, name="factors_encode")(x)}
        part = SelectChannels(start, len(own), name=f"{branch}_channels")(x)
        encode = EncodeFactors(own, encoding, name=f"{branch}_encode")
        encoded[branch] = encode(part)
        start += len(own)
    return encoded


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
        if not isinstance(self.num_classes, Integral) or self.num_classes < 1:
            raise ModelError(
                f"`num_classes` must be an integer >= 1, received {self.num_classes!r}."
            )
        # Keras writes no NumPy numbers.
        object.__setattr__(self, "num_classes", int(self.num_classes))
        check_choice("classifier_activation", self.activation, ACTIVATIONS, ModelError)
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


def functional(
    inputs: Sequence[Tensor], outputs: Tensor | Mapping[str, Tensor], name: str
) -> keras.Model:
    """Returns the model between tensors, the inputs by their names."""
    kind = ImageModel if len(inputs) == 1 else keras.Model
    return kind(list(inputs), outputs, name=name)


def finished(
    inputs: Sequence[Tensor],
    outputs: Tensor | Mapping[str, Tensor],
    name: str,
    weights: str | Path | None,
    skip_head: bool = False,
    *,
    backbone: str | None = None,
    backbone_weights: str | Path | None = None,
    stem: Stem | None = None,
) -> keras.Model:
    """Makes a network of its tensors and loads the weights that are asked for.

    Args:
        inputs: The inputs, `image` first.
        outputs: The output, or outputs by name.
        name: Name of the model.
        weights: `.weights.h5` or `.keras` file of the whole network, or None.
        skip_head: Whether it leaves the head as it is.
        backbone: Encoder that `backbone_weights` are for.
        backbone_weights: As in `load_backbone_weights`, or None.
        stem: As in `load_backbone_weights`.

    Returns:
        The functional model.

    Raises:
        ModelError: If a file is missing or does not fit the network.
    """
    model = functional(inputs, outputs, name)
    if backbone is not None and backbone_weights is not None:
        load_backbone_weights(model, backbone, backbone_weights, stem=stem)
    load_whole_weights(model, weights, skip_head)
    return model


def load_whole_weights(
    model: keras.Model, weights: str | Path | None, skip_head: bool = False
) -> None:
    """Loads the weights of a whole network from a file.

    Args:
        model: The network.
        weights: Path of a `.weights.h5` or `.keras` file, or None.
        skip_head: Whether the layers that score the classes keep their own weights.

    Raises:
        ModelError: If the file is missing or does not fit the network.
    """
    if weights is None:
        return
    path = Path(weights)
    if not path.name.endswith((".weights.h5", ".keras")):
        raise ModelError(
            "`weights` must be None, the path of a `.weights.h5` or `.keras` file, or "
            "the name of shipped weights, received "
            f"`{weights}`.{did_you_mean(str(weights), list_weights())}"
        )
    if not path.is_file():
        raise ModelError(f"`weights` must be an existing file, received `{weights}`.")
    try:
        load_strictly(model, path, layers_of(model, "head") if skip_head else ())
    except ModelError:
        raise
    except UNREADABLE as error:
        otherwise = "" if skip_head else ", or give `skip_head=True` for other classes"
        raise ModelError(
            f"`weights` must fit `{model.name}` as it was built here, received "
            f"`{weights}`: {one_line(error)}. Build it with the arguments that the "
            f"file was trained with{otherwise}."
        ) from error


def total_stride(model: keras.Model) -> int:
    """Returns the ratio of the image size to that of a network's deepest features.

    Shifting an image by a multiple of it shifts the features alike: tiles of a scene
    start at multiples of it.

    Args:
        model: A network of this package.

    Returns:
        The multiple that the network pads height and width to; of one that does not
        pad, the product of the strides on the way to its smallest features.

    Example:
        >>> from landslide_tf import models
        >>> models.total_stride(models.unet(width=0.125))
        16
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
