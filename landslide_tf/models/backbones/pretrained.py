"""Published weights for our encoders, and their first convolution."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import h5py
import keras
import numpy as np

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import ModelError, check_choice
from landslide_tf.imagenet import imagenet_file
from landslide_tf.layers import Normalization
from landslide_tf.models.backbones.applications import NORMALIZATIONS
from landslide_tf.models.backbones.efficientnet_lite import (
    LITES,
    NORMALIZATION,
    classifying_lite,
)
from landslide_tf.models.weight_files import (
    UNREADABLE,
    check_application_file,
    check_weight_file,
    load_strictly,
    one_line,
)
from landslide_tf.models.weights import load_weights
from landslide_tf.words import counted

COLOURS = ("red", "green", "blue")
RULES = ("repeat", "zero")
# A rule, or the colour (None: nothing) that each band takes its weights from.
Stem: TypeAlias = str | Sequence[str | None]
# Of a reference with its classifier: an encoder has no place for them.
HEAD_LAYERS = ("head_conv", "head_bn", "logits")
REFERENCES = {"resnet50": "ResNet50", "resnet101": "ResNet101", "vgg16": "VGG16"}


def check_backbone_weights(
    backbone_weights: str | Path | None,
    *,
    backbone: str,
    width: float,
    bands: int,
    fits: bool,
    needs: str,
    stem: Stem | None,
    normalization: Normalization,
) -> None:
    """Refuses a network that cannot take published weights.

    Args:
        backbone_weights: As in `load_backbone_weights`; None is always fine.
        backbone: Name of the encoder.
        width: Width multiplier.
        bands: Bands of the image.
        fits: Whether a ResNet or VGG has the layers of `keras.applications`.
        needs: The argument that makes it fit, for the message.
        stem: How the weights serve other bands, as in `stem_kernel`.
        normalization: The builder's argument.

    Raises:
        ModelError: If the encoder differs from the one that the weights are for, or
            the file does not exist.
    """
    if backbone_weights is None:
        return
    known = (*REFERENCES, *LITES)
    if backbone not in known:
        raise ModelError(
            f"`backbone_weights` needs a backbone of {known}, received "
            f"`backbone={backbone!r}`."
        )
    if backbone in REFERENCES and not fits:
        raise ModelError(f"`backbone_weights` needs {needs}: the weights are for it.")
    if width != 1:
        raise ModelError(f"`backbone_weights` needs `width=1`, received {width}.")
    check_stem(stem, bands, normalization)
    if backbone not in LITES:
        check_application_file(backbone_weights)
    elif backbone_weights == "imagenet":
        imagenet_file(backbone)  # refuses where it is not installed
    elif not Path(backbone_weights).is_file():
        raise ModelError(
            "`backbone_weights` must be None, 'imagenet' or a weight file, received "
            f"`{backbone_weights}`, which does not exist."
        )


def load_backbone_weights(
    model: keras.Model,
    backbone: str,
    backbone_weights: str | Path,
    *,
    prefix: str = "vgg",
    stem: Stem | None = None,
) -> None:
    """Copies an encoder's published weights by layer name.

    Channels of the first convolution beyond the image's bands start at zero, so that
    the network at first does what the published one does.

    Args:
        model: The network that holds the encoder, width 1, its image the first input.
        backbone: `"resnet50"`, `"resnet101"`, `"vgg16"` or an EfficientNet-Lite.
        backbone_weights: `"imagenet"` (downloaded by `keras.applications`, installed
            for EfficientNet-Lite), or a file that `keras.applications` or its
            `save_weights` wrote (`.weights.h5` or legacy `.h5`, with or without the
            classifier), for EfficientNet-Lite one as `models.weights` reads it.
        prefix: Start of the layer names of a VGG encoder.
        stem: How the first convolution serves the image's bands, as in `stem_kernel`;
            None is for red, green, blue.

    Raises:
        ModelError: If the weights cannot be had or do not fit.
    """
    bands = model.inputs[0].shape[-1]
    reference = _reference(backbone, backbone_weights)
    for source in reference.layers:
        weights = source.get_weights()
        name = source.name
        if not weights or name in HEAD_LAYERS:
            continue
        if backbone == "vgg16":
            block, conv = name.removeprefix("block").split("_conv")
            name = f"{prefix}_conv{block}_{conv}_conv"
        target = model.get_layer(name)
        first = source.name in ("conv1_conv", "block1_conv1", "stem_conv")
        if first and stem is not None:
            # Those of `keras.applications` are for blue, green, red.
            rgb = weights[0] if backbone in LITES else weights[0][:, :, ::-1]
            weights[0] = stem_kernel(rgb, bands, stem)
        missing = target.kernel.shape[2] - weights[0].shape[2] if first else 0
        if missing:
            weights[0] = np.pad(weights[0], ((0, 0), (0, 0), (0, missing), (0, 0)))
        target.set_weights(weights)


def _reference(backbone: str, backbone_weights: str | Path) -> keras.Model:
    """Returns the published encoder with the weights asked for."""
    if backbone in LITES:
        reference = classifying_lite(backbone)
        if backbone_weights == "imagenet":
            backbone_weights = imagenet_file(backbone)
        load_weights(
            reference,
            backbone_weights,
            names="landslide_classifier",
            optional=HEAD_LAYERS,
        )
        return reference
    build = getattr(keras.applications, REFERENCES[backbone])
    shape = (None, None, 3)
    if backbone_weights == "imagenet":
        try:
            return build(include_top=False, weights="imagenet", input_shape=shape)
        except Exception as error:  # Keras's downloader raises a bare Exception
            raise ModelError(
                "`backbone_weights='imagenet'` needs the weights of "
                f"`keras.applications.{REFERENCES[backbone]}`, received: "
                f"{one_line(error)}. Give a local file instead."
            ) from error
    path = Path(backbone_weights)
    reference = build(include_top=False, weights=None, input_shape=shape)
    try:
        if path.name.endswith(".weights.h5"):
            load_strictly(reference, path)
        else:
            _load_legacy(reference, path)
    except ModelError:
        raise
    except UNREADABLE as error:
        raise ModelError(
            f"`backbone_weights` must be a file of `keras.applications."
            f"{REFERENCES[backbone]}`, received `{path}`: {one_line(error)}."
        ) from error
    return reference


def _load_legacy(reference: keras.Model, path: Path) -> None:
    """Loads a legacy `.h5` file, in which layers are found by name."""
    check_weight_file(path)
    with h5py.File(path, "r") as file:
        group = file.get("model_weights", file)
        present = set(group)
    absent = [v.name for v in reference.layers if v.weights and v.name not in present]
    if absent:
        # Keras itself would leave these layers untouched without a word.
        raise ValueError(f"it has no layer `{absent[0]}`")
    reference.load_weights(path, by_name=True)


def check_stem(stem: Stem | None, bands: int, normalization: Normalization) -> None:
    """Refuses weights of three bands for an image they do not serve.

    Args:
        stem: As in `stem_kernel`; None is for images of red, green and blue.
        bands: Bands of the image.
        normalization: The builder's argument.

    Raises:
        ModelError: If there is no such rule or it does not fit the bands.
    """
    if stem is None:
        if bands != 3:
            raise ModelError(
                "`backbone_weights` needs an image of 3 bands (red, green, blue), "
                f"received {bands}: choose a `stem` rule for them, such as 'repeat'."
            )
        if not isinstance(normalization, str):
            raise ModelError(
                "`backbone_weights` with constants of its own in `normalization` needs "
                "a `stem`: 'zero' for red, green, blue, in this order."
            )
        return
    if isinstance(normalization, str):
        raise ModelError(
            "`stem` needs `normalization=(mean, std, scale)` for its bands, received "
            f"{normalization!r}, which is for red, green and blue."
        )
    if isinstance(stem, str):
        check_choice("stem", stem, RULES, ModelError)
        return
    if len(stem) != bands:
        raise ModelError(
            "`stem` must name a colour or None for each of "
            f"{counted(bands, 'band')}, received {len(stem)}: {list(stem)}."
        )
    for colour in stem:
        check_choice("stem", colour, (*COLOURS, None), ModelError)


def stem_kernel(rgb: FloatArray, bands: int, stem: Stem) -> FloatArray:
    """Derives the kernel of a first convolution from that for red, green and blue.

    Args:
        rgb: Kernel of shape (height, width, 3, filters), bands red, green, blue.
        bands: Bands of the image.
        stem: `"repeat"`: the three are cycled over the bands and scaled by 3 / bands,
            so that an image that is constant over its bands gives the same (for
            multiples of three; nearly for others); `"zero"`: the first three bands are
            red, green and blue, the others start without effect; or the colour that
            each band takes its weights from, None for one that starts without effect,
            where bands of one colour share its weight equally.

    Returns:
        Kernel of shape (height, width, bands, filters).
    """
    if isinstance(stem, str) and stem == "repeat":
        return rgb[:, :, np.arange(bands) % 3] * np.asarray(3 / bands, rgb.dtype)
    if isinstance(stem, str):
        stem = [*COLOURS, *([None] * bands)][:bands]
    kernel = np.zeros((*rgb.shape[:2], bands, rgb.shape[3]), rgb.dtype)
    for band, colour in enumerate(stem):
        if colour is not None:
            share = sum(other == colour for other in stem)
            kernel[:, :, band] = rgb[:, :, COLOURS.index(colour)] / share
    return kernel


def effective_normalization(
    normalization: Normalization,
    backbone: str | None,
    backbone_weights: str | Path | None,
) -> Normalization:
    """Returns the form of `"imagenet"` that an encoder expects.

    The ImageNet weights of `keras.applications` were trained with forms of their own
    (Caffe's for ResNet and VGG); without them the common form (x / 255 - mean) / std
    is used. EfficientNet-Lite has its own with and without weights.

    Args:
        normalization: The builder's argument.
        backbone: Name of the encoder, or None.
        backbone_weights: The builder's argument.

    Returns:
        The form, which may be `normalization` itself.
    """
    if normalization != "imagenet":
        return normalization
    if backbone in LITES:
        return NORMALIZATION
    if backbone_weights is None:
        return normalization
    return NORMALIZATIONS.get(str(backbone), "caffe")
