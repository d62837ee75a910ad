"""Every family of `keras.applications` as the encoder of a classifier."""

from __future__ import annotations

import inspect
from pathlib import Path

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.errors import ModelError
from landslide_tf.layers import Normalization
from landslide_tf.models.backbones.applications import (
    APPLICATIONS,
    application_normalization,
)
from landslide_tf.models.backbones.files import UNREADABLE, one_line

_AS_IT_IS = (0.0, 1.0, 1.0)
_SIGNED = (1.0, 1.0, 127.5)
# Raw 0..255 to what the ImageNet weights of each expect. The first EfficientNets scale
# inside, by layers without which they would not be those of keras.applications.
FAMILIES: dict[str, Normalization] = {
    **{name: application_normalization(name) for name in APPLICATIONS},
    **dict.fromkeys((f"EfficientNetB{i}" for i in range(8)), _AS_IT_IS),
    **dict.fromkeys(("MobileNetV3Small", "MobileNetV3Large"), _SIGNED),
    **dict.fromkeys(("InceptionV3", "InceptionResNetV2", "Xception"), _SIGNED),
    **dict.fromkeys(("NASNetMobile", "NASNetLarge"), _SIGNED),
    **dict.fromkeys(
        (f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")),
        "imagenet",
    ),
}


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
    build = getattr(keras.applications, name)
    known = inspect.signature(build).parameters
    options = {"include_top": False, "input_tensor": x}
    if "include_preprocessing" in known:
        options["include_preprocessing"] = False
    if width != 1:
        if "alpha" not in known:
            raise ModelError(
                f"`width` must be 1 for `backbone={name!r}`, received {width}: take a "
                "smaller network of the family, or a RepVGG or MobileNet."
            )
        options["alpha"] = width
    weights = None if backbone_weights is None else str(backbone_weights)
    try:
        return build(weights=weights, **options).output
    except Exception as error:  # Keras's downloader raises a bare Exception
        if backbone_weights != "imagenet" and not isinstance(error, UNREADABLE):
            raise
        raise ModelError(
            f"`keras.applications.{name}` cannot be built with `backbone_weights="
            f"{backbone_weights!r}` and `width={width}`: {one_line(error)}."
        ) from error
