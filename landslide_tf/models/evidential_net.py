"""Three branches of one image with saliency in its colours, fused by evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import keras

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.choices import Border, ChannelMode, Variant
from landslide_tf.errors import ModelError, check_choice
from landslide_tf.evidence.channels import CHANNELS
from landslide_tf.layers import (
    ChannelSaliencyFusion,
    EvidentialFusion,
    FixedResize2D,
    MultiScaleSaliency,
    Normalization,
)
from landslide_tf.models import assembly
from landslide_tf.models.landslide_classifier import landslide_classifier


def evidential_net(
    *,
    input_shape: Shape = (None, None, 3),
    backbone: str = "repvgg_a0",
    normalization: Normalization = "imagenet",
    width: float = 1.0,
    deploy: bool = False,
    dropout: float = 0.0,
    mode: ChannelMode = "replace",
    border: Border = "replicate",
    precision: str = "float64",
    branch_size: int = 224,
    temperatures: Sequence[float] = (1.0, 1.0, 1.0),
    variant: Variant = "inverse",
    weights: str | Path | None = None,
    branch_weights: Mapping[str, str | Path] | None = None,
    backbone_weights: str | Path | None = None,
    name: str = "evidential_net",
) -> keras.Model:
    """Builds the evidential classifier of doi 10.1109/JSTARS.2024.3354455.

    The saliency of the image at its own size replaces hue, saturation or value; each
    of the three results is resized and seen by a `landslide_classifier` of its own,
    called `branch_h`, `branch_s` and `branch_v`; their probabilities are fused. The
    branches are trained one by one on the images of `pipelines.branch_image`.

    Args:
        input_shape: (height, width, 3) of `image`, sizes of at least 24, or None.
        backbone: Encoder of each branch, as in `landslide_classifier`.
        normalization: As in `landslide_classifier`.
        width: As in `landslide_classifier`.
        deploy: As in `landslide_classifier`.
        dropout: As in `landslide_classifier`.
        mode: How saliency enters a channel, as in `evidence.fuse_channel`.
        border: Border of the saliency's gradient, `"replicate"` or `"zero"`.
        precision: `"float64"` or `"float32"`, of the saliency.
        branch_size: Side in pixels that the branches see, >= 1.
        temperatures: Divisor of each branch's logits, above 0, from
            `metrics.fit_temperature`.
        variant: Weights of the fusion, as in `evidence.fuse_branches`.
        weights: `.weights.h5` or `.keras` file of the whole network.
        branch_weights: Files of trained classifiers by channel, `"h"`, `"s"`, `"v"`.
        backbone_weights: As in `landslide_classifier`.
        name: Name of the model.

    Returns:
        Functional model from raw `image` (batch, height, width, 3), red, green, blue
        0..255, to a dictionary: float32 `probabilities` (batch, 2) of (non-landslide,
        landslide), integer `label` (batch,), `branch_probabilities` (batch, 3, 2),
        `weights` (batch, 3), `conflict` and `vacuity` (batch,), `saliency` (batch,
        height, width).

    Raises:
        ModelError: If an argument or a file does not fit.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import models
        >>> model = models.evidential_net(
        ...     backbone="resnet18", width=0.125, branch_size=32, precision="float32"
        ... )
        >>> image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3))
        >>> result = model([image])
        >>> {name: tuple(result[name].shape) for name in ("probabilities", "weights")}
        {'probabilities': (1, 2), 'weights': (1, 3)}
    """
    divisors = _checked(branch_size, temperatures, branch_weights)
    image = assembly.image_input(input_shape)
    saliency = MultiScaleSaliency(border, precision, name="saliency_map")(image)
    rows = []
    for channel in CHANNELS:
        branch = landslide_classifier(
            2,
            input_shape=(branch_size, branch_size, 3),
            backbone=backbone,
            normalization=normalization,
            width=width,
            deploy=deploy,
            dropout=dropout,
            classifier_activation=None,
            weights=(branch_weights or {}).get(channel),
            backbone_weights=backbone_weights,
            name=f"branch_{channel}",
        )
        x = ChannelSaliencyFusion(channel, mode, name=f"fused_{channel}")(
            image, saliency
        )
        x = FixedResize2D(branch_size, name=f"resize_{channel}")(x)
        rows.append(_calibrated(branch([x]), divisors[channel], channel))
    branches = keras.layers.Concatenate(
        axis=1, dtype="float32", name="branch_probabilities"
    )(rows)
    fusion = EvidentialFusion(variant, name="fusion")(branches)
    outputs = {
        **fusion,
        "branch_probabilities": branches,
        "saliency": keras.ops.squeeze(saliency, axis=-1),
    }
    return assembly.finished([image], outputs, name, weights)


def _checked(
    branch_size: int,
    temperatures: Sequence[float],
    branch_weights: Mapping[str, str | Path] | None,
) -> dict[str, float]:
    """Returns the temperature of each channel."""
    if not isinstance(branch_size, int) or branch_size < 1:
        raise ModelError(
            f"`branch_size` must be an integer >= 1, received {branch_size!r}."
        )
    if len(temperatures) != len(CHANNELS) or not all(t > 0 for t in temperatures):
        raise ModelError(
            "`temperatures` must hold a number above 0 for each of "
            f"{CHANNELS}, received {temperatures!r}."
        )
    for channel in branch_weights or {}:
        check_choice("branch_weights", channel, CHANNELS, ModelError)
    return {
        channel: float(temperature)
        for channel, temperature in zip(CHANNELS, temperatures, strict=True)
    }


def _calibrated(logits: Tensor, temperature: float, channel: str) -> Tensor:
    """Returns softmax(logits / temperature) as (batch, 1, 2)."""
    options = {"dtype": "float32"}
    x = keras.layers.Rescaling(
        1 / temperature, name=f"temperature_{channel}", **options
    )(logits)
    x = keras.layers.Softmax(name=f"softmax_{channel}", **options)(x)
    return keras.layers.Reshape((1, 2), name=f"row_{channel}", **options)(x)
