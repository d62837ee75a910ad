"""Networks of `keras.applications` as encoders of U-Net and of classifiers."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.errors import ModelError, did_you_mean
from landslide_tf.layers import Normalization
from landslide_tf.models.weight_files import (
    UNREADABLE,
    check_application_file,
    check_weight_file,
    one_line,
)

# Raw 0..255 to the range that the ImageNet weights of each network expect.
_SIGNED = (1.0, 1.0, 127.5)
NORMALIZATIONS: dict[str, Normalization] = {
    **dict.fromkeys(("ResNet50", "ResNet101", "ResNet152", "VGG16", "VGG19"), "caffe"),
    **dict.fromkeys(("ResNet50V2", "ResNet101V2", "ResNet152V2"), _SIGNED),
    **dict.fromkeys(("MobileNet", "MobileNetV2"), _SIGNED),
    **dict.fromkeys(("DenseNet121", "DenseNet169", "DenseNet201"), "imagenet"),
    **dict.fromkeys((f"EfficientNetV2B{i}" for i in range(4)), "imagenet"),
    **dict.fromkeys((f"EfficientNetV2{s}" for s in "SML"), (1.0, 1.0, 128.0)),
}
# Those that have features at 1/2, 1/4, 1/8, 1/16 and 1/32, take normalised images and
# name every layer (MobileNetV3 does not).
APPLICATIONS = tuple(sorted(NORMALIZATIONS))
_AS_IT_IS = (0.0, 1.0, 1.0)
# Raw 0..255 to what the ImageNet weights of each expect. The first EfficientNets scale
# inside, by layers without which they would not be those of keras.applications.
FAMILIES: dict[str, Normalization] = {
    **NORMALIZATIONS,
    **dict.fromkeys((f"EfficientNetB{i}" for i in range(8)), _AS_IT_IS),
    **dict.fromkeys(("MobileNetV3Small", "MobileNetV3Large"), _SIGNED),
    **dict.fromkeys(("InceptionV3", "InceptionResNetV2", "Xception"), _SIGNED),
    **dict.fromkeys(("NASNetMobile", "NASNetLarge"), _SIGNED),
    **dict.fromkeys(
        (f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")),
        "imagenet",
    ),
}
_PROBE = 128  # pixels; every stride then has a size of its own


def check_application(
    name: str, bands: int, backbone_weights: str | Path | None
) -> None:
    """Refuses encoders and weights that cannot be had.

    Args:
        name: Name in `keras.applications`.
        bands: Bands of the image.
        backbone_weights: None, `"imagenet"` or a file.

    Raises:
        ModelError: If the encoder is unknown, or weights do not fit or exist.
    """
    if name not in APPLICATIONS:
        raise ModelError(
            "`backbone` must be one of ours or of `keras.applications` with features "
            f"at 1/2 to 1/32 ({', '.join(APPLICATIONS)}), received {name!r}."
            + did_you_mean(str(name), APPLICATIONS)
        )
    if backbone_weights is None:
        return
    if bands != 3:
        raise ModelError(
            "`backbone_weights` needs an image of 3 bands (red, green, blue), received "
            f"{bands}."
        )
    check_application_file(backbone_weights)


def application_encoder(
    x: Tensor, name: str, backbone_weights: str | Path | None = None
) -> dict[str, Tensor]:
    """Builds a network of `keras.applications` and picks a feature at each stride.

    A level is the last layer of its size, so that an inverted residual gives its
    expanded feature.

    Args:
        x: Normalised image (batch, height, width, bands), sizes multiples of 32.
        name: One of `APPLICATIONS`.
        backbone_weights: None, `"imagenet"` (downloaded by Keras), or a file in the
            form that `keras.applications` loads, without the classifier.

    Returns:
        Features by name: `"C1"` (1/2) to `"C5"` (1/32).

    Raises:
        ModelError: If the weights cannot be had or do not fit.
    """
    levels = _levels(name)
    network = _built(name, backbone_weights, input_tensor=x)
    return {k: network.get_layer(layer).output for k, layer in levels.items()}


def family_feature(
    x: Tensor,
    name: str,
    *,
    width: float = 1.0,
    backbone_weights: str | Path | None = None,
) -> Tensor:
    """Builds a network of `keras.applications` without its classifier.

    Args:
        x: Image (batch, height, width, bands) normalised as `FAMILIES` says.
        name: One of `FAMILIES`.
        width: The `alpha` of MobileNets; 1 for every other family.
        backbone_weights: None, `"imagenet"` (downloaded by Keras), or a file in the
            form that `keras.applications` loads, without the classifier.

    Returns:
        Last feature (batch, height / 32, width / 32, channels).

    Raises:
        ModelError: If the width or the weights do not fit the family.
    """
    alpha = {} if width == 1 else {"alpha": width}
    return _built(name, backbone_weights, input_tensor=x, **alpha).output


def _built(
    name: str,
    backbone_weights: str | Path | None,
    **options: Any,  # of keras.applications
) -> keras.Model:
    """Builds a network; what Keras says against it becomes a ModelError."""
    build = getattr(keras.applications, name)
    known = inspect.signature(build).parameters
    if "include_preprocessing" in known:
        options["include_preprocessing"] = False
    if "alpha" in options and "alpha" not in known:
        raise ModelError(
            f"`width` must be 1 for `backbone={name!r}`, received {options['alpha']}: "
            "take a smaller network of the family, or a RepVGG or MobileNet."
        )
    weights = None if backbone_weights is None else str(backbone_weights)
    if weights not in (None, "imagenet"):
        check_application_file(weights)
        check_weight_file(Path(weights))
    try:
        return build(include_top=False, weights=weights, **options)
    except Exception as error:  # Keras's downloader raises a bare Exception
        if backbone_weights != "imagenet" and not isinstance(error, UNREADABLE):
            raise
        raise ModelError(
            f"`backbone_weights` and `width` must fit `keras.applications.{name}`, "
            f"received `{backbone_weights}` and {options.get('alpha', 1)}: "
            f"{one_line(error)}."
        ) from error


def _levels(name: str) -> dict[str, str]:
    """Returns the layer of each level, from a copy of known size."""
    probe = _built(name, None, input_shape=(_PROBE, _PROBE, 3))
    sizes = {_PROBE >> level: f"C{level}" for level in range(1, 6)}
    levels = {}
    for layer in probe.layers:
        shape = layer.output.shape
        if len(shape) == 4 and shape[1] in sizes:
            levels[sizes[shape[1]]] = layer.name
    return levels
