"""Saliency put into the colour channels of examples, before any resize."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import DataError, did_you_mean
from landslide_tf.evidence import fuse_channel, multiscale_saliency, to_uint8
from landslide_tf.evidence.channels import MODES, ChannelMode
from landslide_tf.evidence.saliency import BORDERS, Border

if TYPE_CHECKING:
    import tensorflow as tf

BranchImage: TypeAlias = Literal["original", "h", "s", "v"]
Example: TypeAlias = "dict[str, tf.Tensor]"


def branch_image(
    image: NDArray[np.uint8],
    branch: BranchImage,
    *,
    mode: ChannelMode = "replace",
    border: Border = "replicate",
) -> NDArray[np.uint8]:
    """Makes the image that one branch of the evidential classifier sees.

    Args:
        image: Red, green, blue 0..255 (..., height, width, 3), at its native size.
        branch: `"original"` (unchanged), or the channel that takes the saliency.
        mode: See `evidence.fuse_channel`.
        border: See `evidence.multiscale_saliency`.

    Returns:
        8-bit image (..., height, width, 3).

    Raises:
        DataError: If an argument or the image is not valid.
    """
    for name, value, known in (
        ("branch", branch, get_args(BranchImage)),
        ("mode", mode, MODES),
        ("border", border, BORDERS),
    ):
        if value not in known:
            raise DataError(
                f"`{name}` cannot be `{value}`.{did_you_mean(str(value), known)}"
            )
    if branch == "original":
        return np.asarray(image, np.uint8)
    saliency = multiscale_saliency(image, border)
    return to_uint8(fuse_channel(image, saliency, branch, mode))


def branch_map(
    branch: BranchImage,
    *,
    mode: ChannelMode = "replace",
    border: Border = "replicate",
) -> Callable[[Example], Example]:
    """Makes a function for `tf.data.Dataset.map` that applies `branch_image`.

    It runs NumPy inside the pipeline, so that Keras may use any backend and the
    pixels are those of the reference; `cache()` after it pays for several epochs.

    Args:
        branch: See `branch_image`.
        mode: See `branch_image`.
        border: See `branch_image`.

    Returns:
        A function from examples or batches (dictionaries with `image`, red, green, blue
        0..255) to the same with the branch's 8-bit `image`.

    Raises:
        DataError: If an argument is not valid; pipelines raise TensorFlow's error for
            images that are not.
    """
    branch_image(np.zeros((24, 24, 3), np.uint8), branch, mode=mode, border=border)

    def convert(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return branch_image(image, branch, mode=mode, border=border)

    def mapped(example: Example) -> Example:
        import tensorflow as tf

        image = tf.numpy_function(convert, [example["image"]], tf.uint8)
        image.set_shape(example["image"].shape)
        return {**example, "image": image}

    return mapped
