"""The encoders of segmentation networks by name: ResNet and EfficientNet-Lite."""

from __future__ import annotations

from collections.abc import Sequence

from landslide_tf.array_types import Tensor
from landslide_tf.errors import ModelError, check_choice
from landslide_tf.models.backbones.efficientnet_lite import LITES, efficientnet_lite
from landslide_tf.models.backbones.resnet import (
    DEPTHS,
    OUTPUT_STRIDES,
    check_resnet,
    resnet,
)

ENCODERS = (*DEPTHS, *LITES)


def check_encoder(
    backbone: str,
    layout: str,
    output_stride: int,
    multi_grid: Sequence[int] | None,
) -> None:
    """Checks the arguments of an encoder.

    Args:
        backbone: One of `ENCODERS`.
        layout: As in `resnet`; other encoders have one layout and ignore it.
        output_stride: As in `resnet`.
        multi_grid: As in `resnet`; the others have none.

    Raises:
        ModelError: If an argument is unknown or does not fit the others.
    """
    check_choice("backbone", backbone, ENCODERS, ModelError)
    if backbone in DEPTHS:
        check_resnet(backbone, layout, output_stride, multi_grid)
        return
    if output_stride not in OUTPUT_STRIDES:
        raise ModelError(
            f"`output_stride` must be one of {OUTPUT_STRIDES}, received "
            f"{output_stride!r}."
        )
    if multi_grid is not None:
        raise ModelError(
            f"`multi_grid` needs a ResNet, received `backbone={backbone!r}`."
        )


def encoder(
    x: Tensor,
    backbone: str,
    *,
    layout: str = "keras",
    output_stride: int = 16,
    multi_grid: Sequence[int] | None = None,
    width: float = 1.0,
) -> dict[str, Tensor]:
    """Builds an encoder.

    Args:
        x: Normalised image (batch, height, width, bands).
        backbone: One of `ENCODERS`.
        layout: As in `resnet`.
        output_stride: Image size over size of the last stage: 8, 16 or 32.
        multi_grid: As in `resnet`.
        width: Width multiplier of every channel count.

    Returns:
        Features `"C1"` to `"C5"`, `"C2_reduced"` and `"C3_reduced"`, as in `resnet`.

    Raises:
        ModelError: As `check_encoder`.
    """
    check_encoder(backbone, layout, output_stride, multi_grid)
    if backbone in LITES:
        return efficientnet_lite(x, backbone, output_stride=output_stride, width=width)
    return resnet(
        x,
        backbone,
        layout=layout,
        output_stride=output_stride,
        multi_grid=multi_grid,
        width=width,
    )
