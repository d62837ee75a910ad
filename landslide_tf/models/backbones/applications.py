"""Networks of `keras.applications` as encoders."""

from __future__ import annotations

import inspect
from pathlib import Path

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.errors import ModelError, did_you_mean
from landslide_tf.layers import Normalization
from landslide_tf.models.backbones.files import UNREADABLE, one_line

# Raw 0..255 to the range that the ImageNet weights of each network expect.
_SIGNED = (1.0, 1.0, 127.5)
_NORMALIZATIONS: dict[str, Normalization] = {
    **dict.fromkeys(("ResNet50", "ResNet101", "ResNet152", "VGG16", "VGG19"), "caffe"),
    **dict.fromkeys(("ResNet50V2", "ResNet101V2", "ResNet152V2"), _SIGNED),
    **dict.fromkeys(("MobileNet", "MobileNetV2"), _SIGNED),
    **dict.fromkeys(("DenseNet121", "DenseNet169", "DenseNet201"), "imagenet"),
    **dict.fromkeys((f"EfficientNetV2B{i}" for i in range(4)), "imagenet"),
    **dict.fromkeys((f"EfficientNetV2{s}" for s in "SML"), (1.0, 1.0, 128.0)),
}
# Those that have features at 1/2, 1/4, 1/8, 1/16 and 1/32, take normalised images and
# name every layer (MobileNetV3 does not).
APPLICATIONS = tuple(sorted(_NORMALIZATIONS))
_PROBE = 128  # pixels; every stride then has a size of its own


def application_normalization(name: str) -> Normalization:
    """Returns the form of `layers.Normalize` that the ImageNet weights expect.

    Args:
        name: One of `APPLICATIONS`.
    """
    return _NORMALIZATIONS[name]


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
    if backbone_weights != "imagenet" and not Path(backbone_weights).is_file():
        raise ModelError(
            "`backbone_weights` must be None, 'imagenet' or a weight file, received "
            f"`{backbone_weights}`, which does not exist."
        )


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
    try:
        network = _built(name, backbone_weights, input_tensor=x)
    except Exception as error:  # Keras's downloader raises a bare Exception
        if backbone_weights != "imagenet" and not isinstance(error, UNREADABLE):
            raise
        raise ModelError(
            f"`backbone_weights` must be weights of `keras.applications.{name}`, "
            f"received `{backbone_weights}`: {one_line(error)}."
        ) from error
    return {k: network.get_layer(layer).output for k, layer in levels.items()}


def _built(
    name: str, backbone_weights: str | Path | None, **more: Tensor
) -> keras.Model:
    build = getattr(keras.applications, name)
    if "include_preprocessing" in inspect.signature(build).parameters:
        more["include_preprocessing"] = False
    weights = None if backbone_weights is None else str(backbone_weights)
    return build(include_top=False, weights=weights, **more)


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
